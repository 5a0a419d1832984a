"""People's and systems' answers to the same items: accuracy and bias, side by side."""

from causalbias.analyses.human_machine.analysis import HumanMachine, analyse_human_machine
from causalbias.analyses.human_machine.report import human_machine_content

__all__ = ["HumanMachine", "analyse_human_machine", "human_machine_content"]
