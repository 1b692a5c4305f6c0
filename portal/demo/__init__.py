"""The demo: everything on one machine, from one command. Refused in production."""
