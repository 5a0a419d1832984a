"""One model of what people and a network see in the same pairs."""
