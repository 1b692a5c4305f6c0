"""Declaring a list: its columns, its filters, and how its rows are fetched.

A page declares its list once (`Listing`); everything else - the form, the table, the pages, the export - follows.
It works without a script; with one, only the table is swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from flask_babel import LazyString
from flask_babel import gettext as _

from portal.core.cursors import Position
from portal.core.errors import BadRequest

Row = TypeVar("Row")
PAGE = 50
# What of a refused value is said back.
MOST_SAID_BACK = 60
# Ids, which lists of orders are narrowed by, can say no other moments.
_YEARS = (1971, 2999)


class Cell(StrEnum):
    """How a value is drawn: what the value must be stands beside it."""

    TEXT = "text"
    CODE = "code"
    NUMBER = "number"  # an int
    MONEY = "money"  # (minor units, currency) or None
    MOMENT = "moment"  # an aware datetime or None
    STATUS = "status"  # a status of an order
    PILL = "pill"  # (colour, words)


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column. `value` gives what the cell is drawn from, `link` where it leads, `plain` what a file says.

    `sort` names the order it can be sorted by; `is_optional` columns can be switched off, and those that are
    not `is_shown` are off until somebody switches them on.
    """

    name: str
    label: LazyString | str
    value: Callable[[Row], Any]
    cell: Cell = Cell.TEXT
    link: Callable[[Row], str | None] | None = None
    plain: Callable[[Row], str] | None = None
    sort: str | None = None
    is_optional: bool = True
    is_shown: bool = True

    @property
    def is_number(self) -> bool:
        return self.cell in {Cell.NUMBER, Cell.MONEY}


class NotOfThisList(BadRequest):
    """The address asks for something that the list does not have; it says what, and leads to the list itself."""

    code = "not_of_this_list"


class Kind(StrEnum):
    TEXT = "search"
    CHOICE = "choice"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Filter:
    """One field above the list; its name is the parameter in the URL. `choices` are (value, words); `otherwise`
    says what no choice means, where that is not all. `former` is its name in addresses that people kept.
    """

    name: str
    label: LazyString | str
    kind: Kind = Kind.TEXT
    choices: Callable[[], Sequence[tuple[str, str]]] = tuple
    hint: LazyString | str = ""
    otherwise: LazyString | str = ""
    former: str = ""

    def clean(self, text: str) -> str:
        """What is taken of the URL: nothing endless. Raises NotOfThisList for a choice or a day that is none."""
        if self.kind is Kind.TEXT:
            return text.replace("\0", "").strip()[:200]
        if text and self.kind is Kind.CHOICE and text not in {value for value, _ in self.choices()}:
            raise NotOfThisList(
                _("“%(name)s” has no choice “%(value)s”.", name=self.label, value=text[:MOST_SAID_BACK])
            )
        if text and self.kind is Kind.DATE and day_of(text) is None:
            raise NotOfThisList(
                _("“%(name)s” is not a day: “%(value)s”.", name=self.label, value=text[:MOST_SAID_BACK])
            )
        return text


@dataclass(frozen=True, slots=True)
class Asked:
    """What the URL asks for. `after` is the position of the row before the page, None for the first."""

    filters: Mapping[str, str]
    sort: str
    is_descending: bool
    after: Position | None
    limit: int = PAGE

    def get(self, name: str) -> str | None:
        return self.filters.get(name) or None


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """A list of one kind of rows. `position` says of a row what the list is sorted by, which `fetch` finds in `after`
    when the next page goes on behind it; it may raise BadCursor.

    `endpoint` shows it, `export_endpoint` gives it as a file; `params` are both routes' own.
    """

    name: str
    columns: tuple[Column[Row], ...]
    fetch: Callable[[Asked], Sequence[Row]]
    position: Callable[[Row], Position]
    endpoint: str
    default_sort: str
    title: LazyString | str
    empty_title: LazyString | str
    empty_next: LazyString | str
    icon: str = "list-details"
    page_size: int = PAGE
    filters: tuple[Filter, ...] = ()
    export_endpoint: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def element_id(self) -> str:
        return f"list-{self.name}"

    @property
    def sorts(self) -> set[str]:
        return {column.sort for column in self.columns if column.sort} | {self.default_sort.lstrip("-")}


def day_of(text: str) -> date | None:
    """A day as browsers send it; None for whatever is none, or too far away for an id to say it."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
    return day if _YEARS[0] <= day.year <= _YEARS[1] else None
