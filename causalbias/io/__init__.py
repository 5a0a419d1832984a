"""Files: memory limits, checks of untrusted files, atomic writes, `save` and `open`."""
