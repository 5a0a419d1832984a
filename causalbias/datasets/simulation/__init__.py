"""Parts of the simulator: parameters, design, machine, people, and the truth they imply."""
