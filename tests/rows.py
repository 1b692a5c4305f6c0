"""Changing rows behind the product's back, as a test does that makes time pass or somebody tamper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal.core.db import hot, transaction


def change(sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """hot() for a statement that changes or locks rows, in a transaction() of its own or in the one that is open."""
    with transaction():
        return hot(sql, params)
