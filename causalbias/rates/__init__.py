"""False match and false non-match rates by group: no model needed."""
