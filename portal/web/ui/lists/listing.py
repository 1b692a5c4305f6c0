"""Lists as people use them: sorted and narrowed by the URL, keyset pages, chosen columns, a file of the same.

A page declares its list once (`Listing`) and hands over how rows are fetched; everything else - the form, the
table, the pages, the export - follows. It works without a script; with one, only the table is swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from flask import Response, after_this_request, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import gettext as _

from portal.core.cursors import BadCursor, Position, decode, encode
from portal.core.errors import BadRequest
from portal.settings import get_settings
from portal.web.shell.htmx import fragment, is_htmx

Row = TypeVar("Row")
PAGE = 50
_COLUMNS_KEPT_S = 365 * 86400
# What of a refused value is said back.
_SHOWN = 60
# Ids, which lists of orders are narrowed by, can say no other moments.
_YEARS = (1971, 2999)
# Parameters that every list has. `view` says that the columns are those of a saved view, not the person's choice.
_OWN = frozenset({"sort", "after", "columns", "view"})
_VIEW = "1"


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
                _("“%(name)s” has no choice “%(value)s”.", name=self.label, value=text[:_SHOWN])
            )
        if text and self.kind is Kind.DATE and day_of(text) is None:
            raise NotOfThisList(
                _("“%(name)s” is not a day: “%(value)s”.", name=self.label, value=text[:_SHOWN])
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


@dataclass(frozen=True, slots=True)
class Shown(Generic[Row]):
    """One page of a list, ready to be drawn by the macro."""

    listing: Listing[Row]
    asked: Asked
    rows: Sequence[Row]
    columns: tuple[Column[Row], ...]
    next_after: str | None

    @property
    def is_narrowed(self) -> bool:
        return any(self.asked.filters.values())

    @property
    def is_first(self) -> bool:
        return self.asked.after is None

    def url(self, *, sort: str | None = None, after: str | None = None) -> str:
        """This list with the same filters, sorted so, from there on."""
        values = {**self.listing.params, **self._query(sort), "after": after}
        return url_for(self.listing.endpoint, **values)

    @property
    def plain_url(self) -> str:
        return url_for(self.listing.endpoint, **self.listing.params)

    @property
    def export_url(self) -> str | None:
        if self.listing.export_endpoint is None:
            return None
        chosen = [column.name for column in self.columns]
        return url_for(
            self.listing.export_endpoint, **{**self.listing.params, **self._query(None), "columns": chosen}
        )

    def sort_url(self, column: Column[Row]) -> str:
        """Sorted by this column; the other way round where it is already."""
        name = column.sort or ""
        is_descending = not self.asked.is_descending if self.asked.sort == name else False
        return self.url(sort=f"-{name}" if is_descending else name)

    def sort_state(self, column: Column[Row]) -> str:
        if self.asked.sort != column.sort:
            return "none"
        return "descending" if self.asked.is_descending else "ascending"

    @property
    def sort_value(self) -> str:
        value = ("-" if self.asked.is_descending else "") + self.asked.sort
        return "" if value == self.listing.default_sort else value

    @property
    def view_query(self) -> str:
        """This list as it is shown, but from its beginning: what a saved view keeps."""
        columns = [column.name for column in self.columns]
        return urlencode(self._query(None) | {"columns": columns, "view": _VIEW}, doseq=True)

    @property
    def kept(self) -> dict[str, Any]:
        """What the address has of a saved view, and must not lose when the list is narrowed or sorted."""
        if "view" not in request.args:
            return {}
        return {"columns": [column.name for column in self.columns], "view": _VIEW}

    def _query(self, sort: str | None) -> dict[str, Any]:
        query: dict[str, Any] = {name: value for name, value in self.asked.filters.items() if value}
        wanted = self.sort_value if sort is None else sort
        return query | ({"sort": wanted} if wanted else {}) | self.kept


class NotOfThisList(BadRequest):
    """The address asks for something that the list does not have; it says what, and leads to the list itself."""

    code = "not_of_this_list"


def read_asked(listing: Listing[Any]) -> Asked:
    """What the URL asks of this list. Raises NotOfThisList (400): what is not known is never passed over."""
    with _leading_back(listing):
        return _read(listing)


@contextmanager
def _leading_back(listing: Listing[Any]) -> Iterator[None]:
    try:
        yield
    except (NotOfThisList, BadCursor) as error:
        refusal = bad_place() if isinstance(error, BadCursor) else error
        refusal.extra["page"] = url_for(listing.endpoint, **listing.params)
        raise refusal from None


def _read(listing: Listing[Any]) -> Asked:
    former = {narrow.former: narrow.name for narrow in listing.filters if narrow.former}
    known = {narrow.name for narrow in listing.filters} | former.keys() | _OWN | set(listing.params)
    for name in request.args:
        if name not in known:
            raise NotOfThisList(_("This list knows no “%(name)s”.", name=name[:_SHOWN]))
        is_twice = len(request.args.getlist(name)) > 1 or former.get(name) in request.args
        if name != "columns" and is_twice:
            raise NotOfThisList(_("“%(name)s” stands in the address more than once.", name=name[:_SHOWN]))
    sort = request.args.get("sort", "") or listing.default_sort
    if sort.removeprefix("-") not in listing.sorts:
        raise NotOfThisList(_("This list can't be sorted by “%(name)s”.", name=sort[:_SHOWN]))
    if request.args.get("view", _VIEW) != _VIEW:
        raise NotOfThisList(_("This list knows no “%(name)s”.", name="view"))
    for name in request.args.getlist("columns"):
        if name not in {column.name for column in listing.columns}:
            raise NotOfThisList(_("This list has no column “%(name)s”.", name=name[:_SHOWN]))
    filters = {narrow.name: narrow.clean(_value_of(narrow)) for narrow in listing.filters}
    after = request.args.get("after", "")
    return Asked(filters, sort.removeprefix("-"), sort.startswith("-"), decode(after) if after else None)


def _value_of(narrow: Filter) -> str:
    former = request.args.get(narrow.former, "") if narrow.former else ""
    return request.args.get(narrow.name, former)


def day_of(text: str) -> date | None:
    """A day as browsers send it; None for whatever is none, or too far away for an id to say it."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
    return day if _YEARS[0] <= day.year <= _YEARS[1] else None


def bad_place() -> NotOfThisList:
    """The refusal of a cursor that this list did not give."""
    return NotOfThisList(_("There is no such place to go on from."))


def show(listing: Listing[Row]) -> Shown[Row]:
    """Fetch the asked page."""
    asked = read_asked(listing)
    size = listing.page_size
    with _leading_back(listing):
        rows = listing.fetch(Asked(asked.filters, asked.sort, asked.is_descending, asked.after, size + 1))
    page = rows[:size]
    more = encode(listing.position(page[-1])) if len(rows) > size else None
    return Shown(listing, asked, page, chosen_columns(listing), more)


def fixed(
    listing: Listing[Row], rows: Sequence[Row], only: Sequence[str] = (), *, name: str | None = None
) -> Shown[Row]:
    """Rows that are at hand, drawn as this list draws them: for a part of another page, with some columns only.

    Where a page has two parts of one list, one of them needs a `name` of its own.
    """
    listing = replace(listing, name=name) if name else listing
    asked = Asked({}, listing.default_sort.lstrip("-"), listing.default_sort.startswith("-"), None)
    shown = tuple(column for column in listing.columns if (column.name in only if only else column.is_shown))
    return Shown(listing, asked, rows, shown, None)


def render(template: str, listing: Listing[Any], **variables: Any) -> ResponseReturnValue:
    """The page with the list; for htmx that asks for the table alone, the table."""
    shown = show(listing)
    if is_htmx() and request.headers.get("HX-Target") == listing.element_id:
        return fragment("components/_listing.html", shown=shown)
    return render_template(template, shown=shown, **variables)


def chosen_columns(listing: Listing[Row]) -> tuple[Column[Row], ...]:
    """The columns that this browser's person wants to see, as the URL says or as they chose before."""
    cookie = f"columns_{listing.name}"
    if chosen := request.args.getlist("columns"):
        names = set(chosen)
        if "view" not in request.args:
            _keep(cookie, [column.name for column in listing.columns if column.name in names])
    else:
        names = set(request.cookies.get(cookie, "").split("."))
    wanted = tuple(column for column in listing.columns if column.name in names or not column.is_optional)
    return wanted if names - {""} else tuple(column for column in listing.columns if column.is_shown)


def _keep(cookie: str, names: Sequence[str]) -> None:
    @after_this_request
    def remember(response: Response) -> Response:
        response.set_cookie(
            cookie,
            ".".join(names),
            max_age=_COLUMNS_KEPT_S,
            secure=get_settings().is_https,
            httponly=True,
            samesite="Lax",
        )
        return response


def pages_of(listing: Listing[Row], asked: Asked, size: int, most: int) -> Iterator[Sequence[Row]]:
    """All rows from the asked place on, page by page, up to about `most`."""
    seen = 0
    while seen < most:
        rows = listing.fetch(Asked(asked.filters, asked.sort, asked.is_descending, asked.after, size))
        if rows:
            yield rows
        if len(rows) < size:
            return
        seen += len(rows)
        asked = Asked(asked.filters, asked.sort, asked.is_descending, listing.position(rows[-1]))
