"""Errors as rows: what went wrong, how often, when first and last, and in which requests."""
