"""Pages for those who build and try out the house. In production they are not there."""
