"""Entry points of the schedule."""

from __future__ import annotations

from portal.reference import rate_feed


def refresh_due_rates() -> int:
    """Fetch the rates that are due; returns how many changed."""
    return rate_feed.refresh_due_rates()
