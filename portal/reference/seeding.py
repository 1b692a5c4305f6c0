"""The reference data that Nostro comes with. Adds what is missing, changes nothing that is there."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from portal.core.db import db
from portal.reference.models import Bank, BankMethod, Currency, Method, MethodCurrency, RatePair
from portal.reference.queries import snapshot


def seed_reference() -> dict[str, int]:
    """Add the currencies, methods, banks and rate pairs that are missing; says how many of each.

    An operator's own rows, limits and switches stay as they are, so it can be run at every start. Pairs
    come without a rate: the operator sets one or names a feed. Needs transaction().
    """
    banks = _rows("banks")
    offers = [
        {"bank": bank["code"], "method": method, "currency": currency}
        for bank in banks
        for method, _, currency in (offer.partition(":") for offer in bank.pop("methods"))
    ]
    added = {
        "currencies": _add(Currency, _rows("currencies")),
        "methods": _add(Method, _rows("methods")),
        "methods in a currency": _add(MethodCurrency, _rows("method_currencies")),
        "banks": _add(Bank, banks),
        "banks of a method": _add(BankMethod, offers),
        "rate pairs": _add(RatePair, _rows("rate_pairs")),
    }
    if any(added.values()):
        snapshot.changed()
    return added


def _add(model: type[Any], rows: list[dict[str, Any]]) -> int:
    statement = insert(model).values(rows).on_conflict_do_nothing().returning(*model.__table__.primary_key)
    return len(db.session.execute(statement).all())


def _rows(name: str) -> list[dict[str, Any]]:
    source = files("portal.reference") / "seed_data" / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    return rows
