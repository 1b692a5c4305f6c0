"""The JSON API for merchants."""
