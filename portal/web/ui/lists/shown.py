"""One page of a list, ready to be drawn by its macro."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic
from urllib.parse import urlencode

from flask import Response, after_this_request, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core.cursors import encode
from portal.settings import get_settings
from portal.web.shell.htmx import fragment, is_htmx
from portal.web.ui.lists.address import AS_SAVED, leading_back, read_asked
from portal.web.ui.lists.declaration import Asked, Column, Listing, Row

_COLUMNS_KEPT_S = 365 * 86400


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
        return urlencode(self._query(None) | {"columns": columns, "view": AS_SAVED}, doseq=True)

    @property
    def kept(self) -> dict[str, Any]:
        """What the address has of a saved view, and must not lose when the list is narrowed or sorted."""
        if "view" not in request.args:
            return {}
        return {"columns": [column.name for column in self.columns], "view": AS_SAVED}

    def _query(self, sort: str | None) -> dict[str, Any]:
        query: dict[str, Any] = {name: value for name, value in self.asked.filters.items() if value}
        wanted = self.sort_value if sort is None else sort
        return query | ({"sort": wanted} if wanted else {}) | self.kept


def show(listing: Listing[Row]) -> Shown[Row]:
    """Fetch the asked page."""
    asked = read_asked(listing)
    size = listing.page_size
    with leading_back(listing):
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
