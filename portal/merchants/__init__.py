"""Merchants, their stores and fee plans."""
