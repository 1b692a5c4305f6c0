"""Who there is: those who run the house, and those they let in."""
