"""Currencies, methods, banks, rates, and the settings an operator can change."""
