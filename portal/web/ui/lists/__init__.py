"""Lists as people use them."""
