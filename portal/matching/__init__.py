"""Who gets the order, and why."""
