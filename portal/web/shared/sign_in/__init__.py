"""What signing in shares with the pages of one's own account: sessions' cookies, limits, forms."""
