"""Editors and generators that should keep a person's identity: whose they lose."""

from causalbias.analyses.editing.analysis import Editing, analyse_editing
from causalbias.analyses.editing.report import editing_content

__all__ = ["Editing", "analyse_editing", "editing_content"]
