"""People: who there is, what they may do, and letting them in."""
