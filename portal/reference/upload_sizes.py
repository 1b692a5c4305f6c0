"""How large an uploaded file may be, and what a request that brings one may be in all."""

from __future__ import annotations

from portal.reference import configuration as config

_MIB = 1024 * 1024
# What the largest receipt that can be allowed takes with the form around it; nginx refuses the same.
LARGEST_REQUEST_BYTES = ((config.RECEIPT_MAX_MIB.maximum or 0) + 1) * _MIB


def receipt_max_bytes() -> int:
    """The largest receipt or document that is taken now."""
    return config.get(config.RECEIPT_MAX_MIB) * _MIB
