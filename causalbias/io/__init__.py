"""Files: what memory holds, what a file may do, whole or not at all, save and open."""
