"""A limit of requisites is one rule, and some places that show, set, count or watch it: none of them is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portal.matching.readiness import _KEEPS
from portal.matching.verdicts import Verdict
from portal.traders.models import Requisite

ROOT = Path(__file__).parents[2]
LIMITS = sorted(
    column.name
    for column in Requisite.__table__.columns
    if column.name.endswith("_limit") or column.name == "max_open_orders"
)
# Where each limit has to be named, and what for. The rule itself is in matching/sql/requisite_verdict.sql.
PLACES = {
    "portal/traders/models.py": "the column, its CHECK, and what closes a full row to searches",
    "portal/matching/sql/requisite_verdict.sql": "the rule",
    "portal/traders/service.py": "its bounds",
    "portal/traders/requisites.py": "changing it",
    "portal/audit/images.py": "the proof watches it",
    "portal/web/trader/requisite_form.py": "the trader sets it",
    "templates/trader/requisites/_fields.html": "in this field",
}
# What a trader is told by other words than that a requisite is full or off.
TOLD_OTHERWISE = {Verdict.TRADER_NOT_WORKING, Verdict.BANK, Verdict.AMOUNT}


def test_there_are_limits_to_look_at() -> None:
    assert len(LIMITS) >= 5


@pytest.mark.proves("tried A1")
@pytest.mark.parametrize("place", PLACES)
def test_each_limit_is_where_it_is_set_watched_and_asked(place: str) -> None:
    text = (ROOT / place).read_text(encoding="utf-8")
    assert [name for name in LIMITS if not re.search(rf"\b{name}\b", text)] == [], PLACES[place]


@pytest.mark.proves("tried A1")
def test_a_trader_is_told_of_each_verdict_that_a_requisite_has_by_itself() -> None:
    by_the_row = list(Verdict)[1 : list(Verdict).index(Verdict.TRADER_EXCLUDED)]
    told = {verdict for verdicts in _KEEPS.values() for verdict in verdicts}
    assert set(by_the_row) - TOLD_OTHERWISE == told


@pytest.mark.proves("tried A1")
def test_what_closes_a_full_row_names_each_limit() -> None:
    gate = str(Requisite.__table__.c.can_take_payin.computed.sqltext)
    assert [name for name in LIMITS if name not in gate] == []
