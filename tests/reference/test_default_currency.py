"""What is settled in where nobody names a currency comes from the reference data, not from the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from flask import Flask

from portal.reference.errors import UnknownCurrency
from portal.reference.queries import CurrencyInfo, RateInfo, default_settlement_currency, snapshot


def settle_in(
    monkeypatch: pytest.MonkeyPatch, pairs: Mapping[str, int], *, inactive: tuple[str, ...] = ()
) -> None:
    """Reference data whose settlement currencies are these, each with so many rate pairs."""
    known = {code: CurrencyInfo(code, 6, code, code, True, code not in inactive) for code in pairs}
    known["RUB"] = CurrencyInfo("RUB", 2, "RUB", "RUB", False, True)
    rates = {
        (base, f"F{n}"): RateInfo(base, f"F{n}", "manual", 0, 60, None, None, None)
        for base, count in pairs.items()
        for n in range(count)
    }
    data = replace(snapshot.get(), currencies=known, rates=rates)
    monkeypatch.setattr(snapshot, "get", lambda: data)


@pytest.mark.proves("tried A15")
def test_a_house_of_another_currency_settles_in_that(seeded: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_in(monkeypatch, {"XAU": 1})
    assert default_settlement_currency() == "XAU"


def test_one_that_was_only_added_does_not_take_the_place_of_the_one_in_use(
    seeded: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(monkeypatch, {"AAA": 0, "XAU": 2, "ZZZ": 1})
    assert default_settlement_currency() == "XAU"


def test_one_that_was_switched_off_is_no_default(seeded: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_in(monkeypatch, {"AAA": 2, "XAU": 1}, inactive=("AAA",))
    assert default_settlement_currency() == "XAU"


def test_without_any_it_is_said_what_to_add(seeded: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_in(monkeypatch, {})
    with pytest.raises(UnknownCurrency, match="flask seed reference"):
        default_settlement_currency()
