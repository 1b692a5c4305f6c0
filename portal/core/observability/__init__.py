"""What a process says of itself: logs, metrics, traces, errors; and what it must not say."""
