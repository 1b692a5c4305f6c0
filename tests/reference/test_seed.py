"""What Nostro comes with is real, complete, and never overwrites the operator's own."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import select, text

from portal.core.db import db, transaction
from portal.reference.models import Bank
from portal.reference.queries import (
    find_bank,
    get_currency,
    list_banks,
    list_methods,
    method_terms,
    snapshot,
)
from portal.reference.seeding import _rows, seed_reference

FIAT = {
    "RUB": {"card", "sbp", "account"},
    "KZT": {"card", "kz_phone", "iban"},
    "UZS": {"card"},
    "EUR": {"sepa"},
    "INR": {"upi", "imps"},
}


def test_seeding_again_adds_nothing(seeded: Flask) -> None:
    with transaction():
        assert set(seed_reference().values()) == {0}


def test_each_currency_has_its_methods_and_each_of_them_its_bounds(seeded: Flask) -> None:
    for currency, expected in FIAT.items():
        assert get_currency(currency).exponent == 2
        assert {method.code for method in list_methods(currency)} >= expected
        for method in expected:
            terms = method_terms(method, currency)
            assert terms is not None
            assert 0 < terms.min_minor < terms.max_minor
            assert not terms.bank_required or list_banks(method, currency), (
                "a bank can be chosen where one must be"
            )
    assert (get_currency("USDT").exponent, get_currency("USDT").is_settlement) == (6, True)
    assert method_terms("upi", "RUB") is None


def test_a_bank_that_was_switched_off_and_renamed_stays_so(seeded: Flask) -> None:
    with transaction():
        db.session.execute(
            text("UPDATE bank SET is_active = false, name_en = 'Renamed' WHERE code = 'wb_bank'")
        )
        seed_reference()
        snapshot.changed()
    try:
        bank = find_bank("wb_bank")
        assert bank is not None
        assert (bank.is_active, bank.name("en"), bank.name("ru")) == (False, "Renamed", "Вайлдберриз Банк")
        assert "wb_bank" not in {listed.code for listed in list_banks("sbp", "RUB")}
    finally:
        with transaction():
            db.session.execute(
                text("UPDATE bank SET is_active = true, name_en = 'Wildberries Bank' WHERE code = 'wb_bank'")
            )
            snapshot.changed()


def test_pairs_come_without_a_rate() -> None:
    """The operator sets one: a rate that came with the program would be a silent old value."""
    pairs = _rows("rate_pairs")
    assert {pair["quote"] for pair in pairs} == set(FIAT)
    assert all(pair.keys() == {"base", "quote"} for pair in pairs)


def test_names_are_there_in_both_languages(seeded: Flask) -> None:
    for bank in db.session.scalars(select(Bank)):
        assert bank.name_en
        assert bank.name_ru
        assert bank.name_en.isascii() or bank.country not in {"RU", "KZ", "UZ"}
