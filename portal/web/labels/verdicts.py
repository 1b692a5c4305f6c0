"""Why a requisite was not taken: what the search writes down, and what is counted now."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.matching.verdicts import Verdict

VERDICT: Mapping[str, LazyString] = {
    Verdict.NOT_APPROVED: _l("not approved"),
    Verdict.SWITCHED_OFF: _l("switched off"),
    Verdict.TRADER_NOT_WORKING: _l("their trader does not work now"),
    Verdict.BANK: _l("of another bank"),
    Verdict.AMOUNT: _l("do not take this amount"),
    Verdict.OPEN_ORDERS: _l("have as many open orders as they may"),
    Verdict.DAY_AMOUNT: _l("over the amount of their day"),
    Verdict.DAY_COUNT: _l("over the number of orders of their day"),
    Verdict.WINDOW_AMOUNT: _l("over the amount of their time window"),
    Verdict.TOTAL_AMOUNT: _l("over their total amount"),
    Verdict.TRADER_EXCLUDED: _l("their trader may not serve this store"),
    Verdict.TRADER_NOT_PINNED: _l("their trader is not among those chosen for this store"),
    Verdict.HAD_IT_BEFORE: _l("had this order before"),
    Verdict.DEPOSIT: _l("deposit too low"),
    Verdict.SAME_AMOUNT: _l("have an open order of the same amount"),
    Verdict.BUSY: _l("were busy with another order at that moment"),
    Verdict.JUST_USED_UP: _l("were used up at that moment"),
}


def fell_words(verdict: str) -> str:
    return str(VERDICT.get(verdict, verdict))
