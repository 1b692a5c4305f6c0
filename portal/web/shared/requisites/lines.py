"""The list of requisites, as administrators and leads see it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from flask_babel import lazy_gettext as _l

from portal.core.cursors import position_of, value_and_id_in
from portal.reference import configuration as config
from portal.reference.queries import list_banks, list_currencies, list_methods
from portal.traders.requisite_list import (
    RequisiteFilter,
    RequisiteLine,
    RequisiteSort,
    RequisiteState,
    Used,
    list_requisite_lines,
)
from portal.web.labels.requisite_states import state_choices, state_pill, used_choices
from portal.web.ui.formats import amount_text, bank_name, method_name, percent_text
from portal.web.ui.lists.declaration import Asked, Cell, Column, Filter, Kind, Listing


def _methods() -> Sequence[tuple[str, str]]:
    codes = {method.code for currency in list_currencies() for method in list_methods(currency.code)}
    return sorted(((code, method_name(code)) for code in codes), key=lambda choice: choice[1])


def _banks() -> Sequence[tuple[str, str]]:
    codes = {
        bank.code
        for currency in list_currencies()
        for method in list_methods(currency.code)
        for bank in list_banks(method.code, currency.code)
    }
    return sorted(((code, bank_name(code)) for code in codes), key=lambda choice: choice[1])


def _range(line: RequisiteLine) -> str:
    least, most = (amount_text(minor, line.currency) for minor in (line.min_amount, line.max_amount))
    return f"{least} – {most}\u00a0{line.currency}"


def _columns(link: Callable[[RequisiteLine], str | None]) -> tuple[Column[RequisiteLine], ...]:
    return (
        Column("number", _l("Requisite"), lambda line: line.number_masked, Cell.CODE, link=link, is_optional=False),
        Column("state", _l("State"), state_pill, Cell.PILL),
        Column("trader", _l("Trader"), lambda line: line.trader, sort=RequisiteSort.TRADER.value),
        Column("team", _l("Team"), lambda line: line.team, is_shown=False),
        Column("method", _l("Method"), lambda line: method_name(line.method)),
        Column("bank", _l("Bank"), lambda line: bank_name(line.bank)),
        Column("range", _l("Amounts"), _range),
        Column("open", _l("Open orders"), lambda line: line.open_orders, Cell.NUMBER),
        Column("used", _l("Limits used"), lambda line: percent_text(line.used / 1000, 0), sort=RequisiteSort.USED.value),
        Column("created", _l("Added"), lambda line: line.created_at, Cell.MOMENT, sort=RequisiteSort.CREATED.value),
    )  # fmt: skip


def requisite_listing(
    portal: str, link: Callable[[RequisiteLine], str | None], lead_id: uuid.UUID | None = None
) -> Listing[RequisiteLine]:
    """Everybody's requisites, or those of a lead's traders; numbers masked, in the file too."""

    def fetch(asked: Asked) -> list[RequisiteLine]:
        state, used = asked.get("state"), asked.get("used")
        narrow = RequisiteFilter(
            RequisiteState(state) if state else None, asked.get("method"), asked.get("bank"),
            Used(used) if used else None, asked.get("q"), lead_id,
        )  # fmt: skip
        return list_requisite_lines(
            narrow, RequisiteSort(asked.sort), day_timezone=config.get(config.DAY_TIMEZONE),
            is_descending=asked.is_descending, after=value_and_id_in(asked.after), limit=asked.limit,
        )  # fmt: skip

    return Listing(
        name="requisites",
        columns=_columns(link),
        fetch=fetch,
        position=lambda line: position_of(line.sort_key, line.id),
        endpoint=f"{portal}.requisites",
        export_endpoint=f"{portal}.export_requisites",
        default_sort="-created",
        title=_l("Requisites"),
        empty_title=_l("No requisites yet"),
        empty_next=_l("They appear as soon as a trader adds one."),
        icon="credit-card",
        filters=(
            Filter("q", _l("Search"), hint=_l("Trader, or last four digits")),
            Filter("state", _l("State"), Kind.CHOICE, state_choices, otherwise=_l("All but archived")),
            Filter("method", _l("Method"), Kind.CHOICE, _methods),
            Filter("bank", _l("Bank"), Kind.CHOICE, _banks),
            Filter("used", _l("Limits used"), Kind.CHOICE, used_choices, otherwise=_l("Whatever")),
        ),
    )
