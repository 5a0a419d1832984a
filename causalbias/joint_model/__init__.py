"""One model of what people and a network see in the same pairs, as ``cb.joint_model``."""

from causalbias.estimands.perceived import per_perceived
from causalbias.joint_model.model import Joint, conditional_bias, joint, joint_rows

__all__ = [
    "Joint",
    "conditional_bias",
    "joint",
    "joint_rows",
    "per_perceived",
]
