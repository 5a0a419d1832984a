"""The HTML report: what it holds (`Content`), its page, tables, verdicts, glossary and wording."""
