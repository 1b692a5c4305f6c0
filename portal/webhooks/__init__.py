"""Endpoints, deliveries, signing."""
