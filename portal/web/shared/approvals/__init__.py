"""Words and pages' parts for what takes two people."""
