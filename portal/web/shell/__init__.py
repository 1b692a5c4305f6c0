"""What every page has around it, whoever it is for."""
