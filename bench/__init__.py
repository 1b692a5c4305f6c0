"""Benchmarks: ours against two yardsticks, in one run, as ratios."""
