"""Joint model of people's scores and a network's distances, as ``cb.joint_model``."""

from causalbias.estimands.perceived import per_perceived
from causalbias.joint_model.effects import compare, conditional_bias
from causalbias.joint_model.model import Joint, joint, joint_rows

__all__ = [
    "Joint",
    "compare",
    "conditional_bias",
    "joint",
    "joint_rows",
    "per_perceived",
]
