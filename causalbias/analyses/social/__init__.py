"""Social perception of faces in a vision-language model: similarities of images with prompts."""

from causalbias.analyses.social.analysis import SocialPerception, analyse_social_perception
from causalbias.analyses.social.report import social_perception_content

__all__ = ["SocialPerception", "analyse_social_perception", "social_perception_content"]
