"""Who did what, and the history of one thing."""
