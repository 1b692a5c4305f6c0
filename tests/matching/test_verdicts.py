"""The one rule of what makes a requisite fit an order: its words, and what follows from it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from portal.core.db import hot
from portal.matching.verdicts import PAYOUT_GATE, Verdict
from portal.web.labels.verdicts import fell_words
from tests.rows import change

_SAYING = ("requisite_refusals", "requisite_verdict", "traffic_refusals", "pick_requisite")


@pytest.mark.proves("tried A1")
def test_the_words_are_exactly_those_that_the_database_can_say(app: Flask) -> None:
    rows = hot("SELECT prosrc FROM pg_proc WHERE proname = ANY(%(names)s)", {"names": list(_SAYING)})
    assert len(rows) == len(_SAYING)
    texts = "\n".join(row["prosrc"] for row in rows)
    said = re.findall(r"(?:then|else|verdict :=|\[1\],)\s+'(\w+)'", texts)
    assert set(said) - {"before", "after", "traders"} == set(Verdict)
    assert all(fell_words(verdict) != verdict for verdict in Verdict if verdict is not Verdict.FITS)


# Every counter below, at and above what its limit leaves for the least amount (100), each switch in each state.
_GRID = """
CREATE TEMP TABLE grid (LIKE requisite INCLUDING DEFAULTS INCLUDING GENERATED) ON COMMIT DROP;
ALTER TABLE grid ALTER trader_id DROP NOT NULL;
INSERT INTO grid (id, mode, method, currency, bank, number_encrypted, number_index, number_masked, number_last4, holder,
                  available_account_id, held_account_id, min_amount, max_amount, max_open_orders, day,
                  status, payin_on, payout_on, trader_payin_on, trader_payout_on, open_orders,
                  day_amount_limit, day_amount, day_count_limit, day_count, window_s, window_amount_limit, window_amount,
                  total_amount_limit, total_amount)
SELECT gen_random_uuid(), 'live', 'card', 'RUB', 'sber', '', '', '', '', '', 1, 1, 100, 300, 2, DATE '2030-01-02',
       s.status, on1, on2, on1 OR on3, on2 OR on3, o, d.l, d.n, c.l, c.n, 60, w.l, w.n, t.l, t.n
  FROM (VALUES ('approved'), ('pending'), ('suspended'), ('archived')) s (status),
       (VALUES (true), (false)) a (on1), (VALUES (true), (false)) b (on2), (VALUES (true), (false)) e (on3),
       (VALUES (0), (1), (2), (3)) f (o),
       (VALUES (NULL, 900), (500, 300), (500, 400), (500, 401)) d (l, n),
       (VALUES (NULL, 9), (3, 2), (3, 3)) c (l, n),
       (VALUES (NULL, 900), (500, 400), (500, 401)) w (l, n),
       (VALUES (NULL, 900), (500, 400), (500, 401)) t (l, n)
 WHERE on1 OR on2 OR NOT on3 OR s.status = 'approved'
"""
_JUDGED = f"""
SELECT r.can_take_payin, {PAYOUT_GATE} AS payout_gate,
       requisite_verdict(r, 'payin', r.min_amount, NULL, r.day) AS least,
       requisite_verdict(r, 'payin', r.min_amount - 1, NULL, r.day) AS too_little,
       requisite_verdict(r, 'payin', 200, NULL, r.day) AS more,
       requisite_verdict(r, 'payin', r.min_amount, 'sber', r.day) AS its_bank,
       requisite_verdict(r, 'payin', r.min_amount, 'tbank', r.day) AS other_bank,
       requisite_verdict(r, 'payin', r.min_amount, NULL, r.day - 1) AS before_midnight,
       requisite_verdict(r, 'payin', requisite_room(r, r.day), NULL, r.day) AS room,
       requisite_verdict(r, 'payin', requisite_room(r, r.day) + 1, NULL, r.day) AS above_room,
       requisite_verdict(r, 'payout', r.min_amount, NULL, r.day) AS payout,
       requisite_refusals(r, 'payin', r.min_amount, NULL, r.day) AS today,
       requisite_refusals(r, 'payin', r.min_amount, NULL, r.day + 1) AS tomorrow
  FROM grid g, jsonb_populate_record(NULL::requisite, to_jsonb(g)) r
"""


@pytest.fixture
def judged(app: Flask) -> list[dict[str, Any]]:
    for statement in _GRID.split(";"):
        change(statement)
    return hot(_JUDGED)


@pytest.mark.proves("tried A1")
def test_the_gate_of_the_index_is_open_exactly_where_the_least_amount_fits(
    judged: list[dict[str, Any]],
) -> None:
    assert {row["can_take_payin"] for row in judged} == {True, False}
    for row in judged:
        assert row["can_take_payin"] == (row["least"] == Verdict.FITS), row
        fits = {name for name, verdict in row.items() if verdict == Verdict.FITS} - {"payout"}
        assert row["can_take_payin"] or not fits, row
        assert row["payout_gate"] or row["payout"] != Verdict.FITS, row


def test_the_room_of_a_requisite_is_the_greatest_amount_that_fits(judged: list[dict[str, Any]]) -> None:
    for row in judged:
        if row["least"] == Verdict.FITS:
            assert row["room"] == Verdict.FITS, row
            assert row["above_room"] != Verdict.FITS, row
            assert row["too_little"] == Verdict.AMOUNT, row
            assert (row["its_bank"], row["other_bank"]) == (Verdict.FITS, Verdict.BANK), row


def test_a_new_day_forgets_what_was_counted_and_a_day_that_has_passed_does_not_come_back(
    judged: list[dict[str, Any]],
) -> None:
    of_day = {Verdict.DAY_AMOUNT.value, Verdict.DAY_COUNT.value}
    assert {reason for row in judged for reason in row["today"]} >= of_day
    for row in judged:
        assert set(row["tomorrow"]) == set(row["today"]) - of_day, row
        assert row["before_midnight"] == row["least"], row
        assert row["least"] == (row["today"] or [Verdict.FITS])[0], row
