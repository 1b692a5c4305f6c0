"""What single people may do beyond their roles, and how that is changed."""
