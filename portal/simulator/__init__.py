"""Simulated shops, customers and traders, who use the real API and the real pages. For development only."""
