"""Lists of traders, leads and merchants with what they have and turned over in a period."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from portal.core.modes import Mode
from portal.merchants.staff_list import MerchantLine, list_merchant_lines
from portal.orders.turnover import NOTHING, Turnover, turnover_by_store, turnover_by_trader
from portal.traders.models import TraderStatus
from portal.traders.staff_list import LeadLine, TraderLine, list_lead_lines, list_trader_lines
from portal.web.admin.people_lists import Count
from portal.web.admin.sorted_lines import cursor_of, page_of, period_choices, since_of
from portal.web.listing import Asked, Cell, Column, Filter, Kind, Listing

_BY_TURNOVER = {"turnover", "orders"}
Sorts = Mapping[str, Callable[[Any], Any]]


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
    """One list of a request. `read` gives all lines that hold the words, `owners` whose turnover is a line's."""

    name: str
    title: str
    read: Callable[[str | None], Sequence[Any]]
    owners: Callable[[Any], Sequence[UUID]]
    turnover: Callable[[Sequence[UUID], Mode, Any], Mapping[UUID, Turnover]]
    states: Mapping[str, Callable[[Any], bool]]
    words_of_states: Callable[[], Sequence[tuple[str, str]]]
    columns: tuple[Column[Worked], ...]
    sorts: Sorts
    is_whole: bool = True
    counts: dict[str, int] = field(default_factory=dict)

    def fetch(self, asked: Asked) -> list[Worked]:
        """The page; the turnover of its lines alone, unless the list is sorted by it."""
        everybody = self.read(asked.get("q"))
        self.counts = {name: sum(map(is_in, everybody)) for name, is_in in self.states.items()}
        state = asked.get("state")
        lines = [line for line in everybody if state is None or self.states[state](line)]
        if asked.sort in _BY_TURNOVER:
            return page_of(self._worked(lines, asked), self._key(asked), asked)
        return self._worked(page_of(lines, self.sorts[asked.sort], asked), asked)

    def _key(self, asked: Asked) -> Callable[[Worked], int]:
        by_money = asked.sort == "turnover"
        return lambda row: row.turnover.minor if by_money else row.turnover.orders

    def _worked(self, lines: Sequence[Any], asked: Asked) -> list[Worked]:
        owners = [owner for line in lines for owner in self.owners(line)]
        found = self.turnover(owners, Mode.LIVE, since_of(asked.get("period")))
        self.is_whole = all(turnover.is_whole for turnover in found.values())
        return [
            Worked(line, sum((found.get(owner, NOTHING) for owner in self.owners(line)), NOTHING))
            for line in lines
        ]

    @cached_property
    def listing(self) -> Listing[Worked]:
        return Listing(
            name=self.name,
            columns=self.columns,
            fetch=self.fetch,
            cursor=cursor_of,
            endpoint=f"admin.{self.name}",
            export_endpoint=None,
            default_sort="name",
            title=self.title,
            empty_title=_l("Nobody is here yet"),
            empty_next=_l("Invite somebody: they get a link and pick their own password."),
            icon="users-group",
            filters=(
                Filter("q", _l("Search")),
                Filter("state", _l("State"), Kind.CHOICE, self.words_of_states),
                Filter(
                    "period", _l("Turnover of"), Kind.CHOICE, period_choices, otherwise=_l("Last 24 hours")
                ),
            ),
        )

    def states_counted(self) -> list[Count]:
        """After the page was fetched."""
        period = request.args.get("period")
        return [
            Count(
                words, self.counts.get(name, 0),
                url_for(self.listing.endpoint, state=name, period=period),
                "bad" if name == "blocked" and self.counts.get(name) else None,
            )
            for name, words in self.words_of_states()
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
_COMMON: Sorts = {"name": lambda line: line.name.lower(), "created": lambda line: line.created_at}


def _by(*names: str) -> Sorts:
    return {name: (lambda line, name=name: getattr(line, name)) for name in names}  # type: ignore[misc]


def _trader_state(row: Worked) -> tuple[str, str]:
    line: TraderLine = row.line
    if line.is_blocked:
        return "red", _("Blocked")
    if line.status != TraderStatus.VERIFIED:
        return "yellow", _("Not verified")
    return ("green", _("Online")) if line.is_online else ("gray", _("Offline"))


def _trader_states() -> Sequence[tuple[str, str]]:
    return (
        ("active", _("Active")), ("blocked", _("Blocked")), ("online", _("Online")), ("offline", _("Offline")),
        ("unverified", _("Not verified")),
    )  # fmt: skip


def traders_list() -> WorkList:
    return WorkList(
        name="traders",
        title=_l("Traders"),
        read=list_trader_lines,
        owners=lambda line: [line.id],
        turnover=turnover_by_trader,
        states={
            "active": lambda line: not line.is_blocked and line.status == TraderStatus.VERIFIED,
            "blocked": lambda line: line.is_blocked,
            "online": lambda line: line.is_online and line.status == TraderStatus.VERIFIED,
            "offline": lambda line: not line.is_online and not line.is_blocked and line.status == TraderStatus.VERIFIED,
            "unverified": lambda line: line.status != TraderStatus.VERIFIED,
        },
        words_of_states=_trader_states,
        columns=(
            _name(lambda line: url_for("admin.trader", trader_id=line.id)),
            Column("email", _l("Email"), lambda row: row.line.email, is_shown=False),
            Column("team", _l("Team"), lambda row: row.line.team, sort="team"),
            Column("state", _l("State"), _trader_state, Cell.PILL),
            _number("requisites", _l("Requisites")),
            _number("requisites_online", _l("Ready now")),
            _number("open_orders", _l("Open orders")),
            *_TURNOVER,
            *_SINCE,
        ),
        sorts={**_COMMON, **_by("requisites", "requisites_online", "open_orders"),
               "team": lambda line: (line.team or "").lower()},
    )  # fmt: skip


def _lead_state(row: Worked) -> tuple[str, str]:
    line: LeadLine = row.line
    if not line.is_active:
        return "red", _("Blocked")
    return ("green", _("Team online")) if line.traders_online else ("gray", _("Team offline"))


def _lead_states() -> Sequence[tuple[str, str]]:
    return (
        ("active", _("Active")), ("blocked", _("Blocked")), ("online", _("Team online")),
        ("offline", _("Team offline")),
    )  # fmt: skip


def leads_list() -> WorkList:
    return WorkList(
        name="leads",
        title=_l("Team leads"),
        read=list_lead_lines,
        owners=lambda line: line.trader_ids,
        turnover=turnover_by_trader,
        states={
            "active": lambda line: line.is_active,
            "blocked": lambda line: not line.is_active,
            "online": lambda line: line.is_active and line.traders_online > 0,
            "offline": lambda line: line.is_active and not line.traders_online,
        },
        words_of_states=_lead_states,
        columns=(
            _name(lambda line: url_for("admin.person", person_id=line.id)),
            Column("teams", _l("Teams"), lambda row: ", ".join(row.line.teams)),
            Column("state", _l("State"), _lead_state, Cell.PILL),
            Column("traders", _l("Traders"), lambda row: len(row.line.trader_ids), Cell.NUMBER, sort="traders"),
            _number("traders_online", _l("Online")),
            _number("requisites", _l("Requisites")),
            _number("requisites_online", _l("Ready now"), is_shown=False),
            _number("open_orders", _l("Open orders")),
            *_TURNOVER,
            *_SINCE,
        ),
        sorts={**_COMMON, **_by("requisites", "requisites_online", "open_orders", "traders_online"),
               "traders": lambda line: len(line.trader_ids)},
    )  # fmt: skip


def _merchant_state(row: Worked) -> tuple[str, str]:
    line: MerchantLine = row.line
    if not line.is_active:
        return "red", _("Blocked")
    return ("green", _("Online")) if line.is_online else ("gray", _("Offline"))


def _merchant_states() -> Sequence[tuple[str, str]]:
    return (
        ("active", _("Active")), ("blocked", _("Blocked")), ("online", _("Online")), ("offline", _("Offline")),
    )  # fmt: skip


def merchants_list() -> WorkList:
    return WorkList(
        name="merchants",
        title=_l("Merchants"),
        read=list_merchant_lines,
        owners=lambda line: line.store_ids,
        turnover=turnover_by_store,
        states={
            "active": lambda line: line.is_active,
            "blocked": lambda line: not line.is_active,
            "online": lambda line: line.is_online,
            "offline": lambda line: line.is_active and not line.is_online,
        },
        words_of_states=_merchant_states,
        columns=(
            _name(lambda line: url_for("admin.merchant", merchant_id=line.id)),
            Column("state", _l("State"), _merchant_state, Cell.PILL),
            Column("stores", _l("Stores"), lambda row: len(row.line.store_ids), Cell.NUMBER, sort="stores"),
            _number("members", _l("People")),
            Column("used", _l("Keys last used"), lambda row: row.line.last_used_at, Cell.MOMENT, is_shown=False),
            *_TURNOVER,
            *_SINCE,
        ),
        sorts={**_COMMON, **_by("members"), "stores": lambda line: len(line.store_ids)},
    )  # fmt: skip
