"""People's accounts, sessions, API keys and tokens."""
