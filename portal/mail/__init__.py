"""Mail: an outbox in PostgreSQL, and whoever carries it out of the house."""
