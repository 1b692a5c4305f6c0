"""Telling people what happened: the bell, and mail for those who want it."""
