"""The reference data, and a customer in front of their payment page."""

from __future__ import annotations

from tests.web.pay.conftest import customer, requisite, scene, trader, undecided

__all__ = ["customer", "requisite", "scene", "trader", "undecided"]
