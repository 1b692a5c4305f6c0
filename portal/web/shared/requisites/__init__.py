"""What pages about requisites share, in whichever portal they stand."""
