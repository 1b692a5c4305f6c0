"""Refusals of the ledger."""

from portal.core.errors import Conflict


class InsufficientFunds(Conflict):
    """An account would fall below its floor. Nothing was posted."""

    code, title = "insufficient_funds", "The balance does not cover this"
