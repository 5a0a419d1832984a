"""Who is mistaken for whom: genuine and impostor pairs."""
