"""Studies with known truth: parameters, design, machine, people, and the truth they imply."""
