"""Limits of exposure: what one store, customer or network may hold of the traders' deposits."""
