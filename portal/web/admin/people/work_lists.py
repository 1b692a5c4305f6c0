"""Lists of traders, leads and merchants with what they have and turned over in a period."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.core.cursors import position_of, value_and_id_in
from portal.core.db.keyset import RANK, Page
from portal.core.modes import Mode
from portal.core.permissions import Permission
from portal.merchants.staff_list import MerchantLine, page_of_merchants
from portal.orders.figures.turnover import (
    NOTHING,
    Turnover,
    turnover_by_store,
    turnover_by_trader,
    turnover_of_all_stores,
    turnover_of_all_traders,
)
from portal.traders.queries import leads_of
from portal.traders.staff_list import (
    LeadLine,
    TraderLine,
    page_of_leads,
    page_of_traders,
)
from portal.web.admin.people.lists import Count
from portal.web.admin.people.periods import period_choices, since_of
from portal.web.labels.person_states import (
    lead_pill,
    lead_state_choices,
    merchant_state_choices,
    person_pill,
    trader_state_choices,
    trader_state_pill,
)
from portal.web.ui.lists.declaration import PAGE, Asked, Cell, Column, Filter, Kind, Listing

_BY_TURNOVER = {"turnover", "orders"}


@dataclass(frozen=True, slots=True)
class Worked:
    """One line with its turnover."""

    line: Any
    turnover: Turnover

    @property
    def id(self) -> UUID:
        return UUID(str(self.line.id))


@dataclass
class WorkList:
    """One list of a request. `read` gives a page of the lines that hold the words, and how many of those are in each
    state; `owners` of a line are whose turnover is its own.
    """

    name: str
    title: str
    read: Callable[[str | None, Page], tuple[Sequence[Any], dict[str, int]]]
    turnover: Callable[[Sequence[UUID], Mode, datetime], Mapping[UUID, Turnover]]
    everybodys: Callable[[Mode, datetime], Mapping[UUID, Turnover]]
    words_of_states: Callable[[], Sequence[tuple[str, str]]]
    columns: tuple[Column[Worked], ...]
    page_size: int = PAGE
    is_whole: bool = True
    counts: dict[str, int] = field(default_factory=dict)

    def fetch(self, asked: Asked) -> list[Worked]:
        """The page with the counts by one statement, the turnover of its lines by another; where the list is sorted by turnover,
        everybody's comes first.
        """
        words, since = asked.get("q"), since_of(asked.get("period"))
        found, sort, ranking = None, asked.sort, {}
        if sort in _BY_TURNOVER:
            found, sort = self.everybodys(Mode.LIVE, since), RANK
            by_money = asked.sort == "turnover"
            ranking = {owner: t.minor if by_money else t.orders for owner, t in found.items()}
        after, state = value_and_id_in(asked.after), asked.get("state")
        page = Page(sort, asked.is_descending, after, asked.limit, state, ranking)
        lines, self.counts = self.read(words, page)
        if found is None:
            found = self.turnover([owner for line in lines for owner in line.owners], Mode.LIVE, since)
        self.is_whole = all(turnover.is_whole for turnover in found.values())
        return [
            Worked(line, sum((found.get(owner, NOTHING) for owner in line.owners), NOTHING)) for line in lines
        ]

    @cached_property
    def listing(self) -> Listing[Worked]:
        return Listing(
            name=self.name,
            columns=self.columns,
            fetch=self.fetch,
            position=lambda row: position_of(row.line.sort_key, row.id),
            endpoint=f"admin.{self.name}",
            export_endpoint=f"admin.export_{self.name}"
            if current_user.can(Permission.PERSON_EXPORT)
            else None,
            default_sort="name",
            title=self.title,
            empty_title=_l("Nobody is here yet"),
            empty_next=_l("Invite somebody: they get a link and pick their own password."),
            icon="users-group",
            page_size=self.page_size,
            filters=(
                Filter("q", _l("Search")),
                Filter("state", _l("State"), Kind.CHOICE, self.words_of_states),
                Filter(
                    "period", _l("Turnover of"), Kind.CHOICE, period_choices, otherwise=_l("Last 24 hours")
                ),
            ),
        )

    def states_counted(self) -> list[Count]:
        """After the page was fetched, of the lines that hold the asked words."""
        period, words = request.args.get("period"), request.args.get("q")
        return [
            Count(
                name_of_state, self.counts.get(name, 0),
                url_for(self.listing.endpoint, state=name, period=period, q=words or None),
                "bad" if name == "blocked" and self.counts.get(name) else None,
            )
            for name, name_of_state in self.words_of_states()
        ]  # fmt: skip


def _name(link: Callable[[Any], str | None]) -> Column[Worked]:
    return Column(
        "name", _l("Name"), lambda row: row.line.name, sort="name", link=lambda row: link(row.line),
        is_optional=False,
    )  # fmt: skip


def _number(name: str, label: Any, *, is_shown: bool = True) -> Column[Worked]:
    return Column(name, label, lambda row: getattr(row.line, name), Cell.NUMBER, sort=name, is_shown=is_shown)


def _money(row: Worked) -> tuple[int, str] | None:
    return (row.turnover.minor, row.turnover.currency) if row.turnover.currency else None


_TURNOVER: tuple[Column[Worked], ...] = (
    Column("turnover", _l("Turnover"), _money, Cell.MONEY, sort="turnover"),
    Column("orders", _l("Orders"), lambda row: row.turnover.orders, Cell.NUMBER, sort="orders"),
    Column("completed", _l("Completed"), lambda row: row.turnover.completed, Cell.NUMBER, is_shown=False),
)
_SINCE: tuple[Column[Worked], ...] = (
    Column(
        "created", _l("Joined"), lambda row: row.line.created_at, Cell.MOMENT, sort="created", is_shown=False
    ),
)


def _trader_state(row: Worked) -> tuple[str, str]:
    line: TraderLine = row.line
    return trader_state_pill(line)


def traders_list() -> WorkList:
    return WorkList(
        name="traders",
        title=_l("Traders"),
        read=page_of_traders,
        turnover=turnover_by_trader,
        everybodys=turnover_of_all_traders,
        words_of_states=trader_state_choices,
        columns=(
            _name(lambda line: url_for("admin.trader", trader_id=line.id)),
            Column("email", _l("Email"), lambda row: row.line.email, is_shown=False),
            Column("team", _l("Team"), lambda row: row.line.team, sort="team"),
            Column("state", _l("State"), _trader_state, Cell.PILL),
            _number("requisites", _l("Requisites")),
            _number("requisites_online", _l("Of them ready")),
            _number("open_orders", _l("Open orders")),
            *_TURNOVER,
            *_SINCE,
        ),
    )  # fmt: skip


def _lead_state(row: Worked) -> tuple[str, str]:
    line: LeadLine = row.line
    return lead_pill(is_active=line.is_active, is_online=line.traders_online > 0)


def _turnover_of_all_leads(mode: Mode, since: datetime) -> Mapping[UUID, Turnover]:
    """Of the traders whom each leads now."""
    found: dict[UUID, Turnover] = {}
    moved = turnover_of_all_traders(mode, since)
    for trader_id, lead_id in leads_of(moved).items():
        found[lead_id] = found.get(lead_id, NOTHING) + moved[trader_id]
    return found


def _turnover_of_leads(leads: Sequence[UUID], mode: Mode, since: datetime) -> Mapping[UUID, Turnover]:
    """A lead may have thousands of traders: to ask for each costs more than to look at the newest orders."""
    return _turnover_of_all_leads(mode, since) if leads else {}


def leads_list() -> WorkList:
    return WorkList(
        name="leads",
        title=_l("Team leads"),
        read=page_of_leads,
        turnover=_turnover_of_leads,
        everybodys=_turnover_of_all_leads,
        words_of_states=lead_state_choices,
        page_size=20,
        columns=(
            _name(lambda line: url_for("admin.person", person_id=line.id)),
            Column("teams", _l("Teams"), lambda row: ", ".join(row.line.teams)),
            Column("state", _l("State"), _lead_state, Cell.PILL),
            Column("traders", _l("Traders"), lambda row: row.line.traders, Cell.NUMBER, sort="traders"),
            _number("traders_online", _l("Online")),
            _number("requisites", _l("Requisites")),
            _number("requisites_online", _l("Of them ready"), is_shown=False),
            _number("open_orders", _l("Open orders")),
            *_TURNOVER,
            *_SINCE,
        ),
    )  # fmt: skip


def _merchant_state(row: Worked) -> tuple[str, str]:
    line: MerchantLine = row.line
    return person_pill(is_active=line.is_active, is_online=line.is_online)


def merchants_list() -> WorkList:
    return WorkList(
        name="merchants",
        title=_l("Merchants"),
        read=page_of_merchants,
        turnover=turnover_by_store,
        everybodys=turnover_of_all_stores,
        words_of_states=merchant_state_choices,
        columns=(
            _name(lambda line: url_for("admin.merchant", merchant_id=line.id)),
            Column("state", _l("State"), _merchant_state, Cell.PILL),
            Column("stores", _l("Stores"), lambda row: len(row.line.store_ids), Cell.NUMBER, sort="stores"),
            _number("members", _l("People")),
            Column("used", _l("Keys last used"), lambda row: row.line.last_used_at, Cell.MOMENT, is_shown=False),
            *_TURNOVER,
            *_SINCE,
        ),
    )  # fmt: skip
