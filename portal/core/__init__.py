"""What every room stands on. No business words in here."""
