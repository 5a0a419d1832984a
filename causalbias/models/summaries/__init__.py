"""Rows summed up by cells: fits of data that no memory holds, or that may not leave their owner."""
