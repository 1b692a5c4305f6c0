"""What several portals show."""
