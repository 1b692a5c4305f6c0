"""One trader: their papers, their work, and blocking them."""
