"""Appeals over orders and their decisions."""
