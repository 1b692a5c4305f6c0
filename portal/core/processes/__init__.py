"""Which processes run, that they live, and how they are asked to end."""
