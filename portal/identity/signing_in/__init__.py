"""What people do to get in, and to their own way of getting in."""
