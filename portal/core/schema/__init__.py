"""The database as it should be: what the release ships, rules of rows, rights of roles."""
