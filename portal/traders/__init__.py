"""Traders, teams and requisites."""
