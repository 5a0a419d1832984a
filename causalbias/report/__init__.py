"""One-command report: figures, tables and one self-contained HTML page."""
