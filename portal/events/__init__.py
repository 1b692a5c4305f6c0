"""The outbox: what happened, told once it is committed."""
