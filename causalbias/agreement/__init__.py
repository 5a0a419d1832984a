"""How far annotators agree, and what they agree on."""
