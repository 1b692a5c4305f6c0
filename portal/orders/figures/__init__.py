"""Sums and counts of orders for people, reports and metrics."""
