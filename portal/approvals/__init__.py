"""What takes two people: one proposes it exactly, another decides about just that."""
