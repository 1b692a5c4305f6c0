"""Long-running processes: worker, relay, clock."""
