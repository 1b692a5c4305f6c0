"""Looking after an installation: backups, keys, diagnosis."""
