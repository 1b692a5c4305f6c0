"""What an address asks of a list: sort, filters, place, columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _

from portal.core.cursors import BadCursor, decode
from portal.web.ui.lists.declaration import MOST_SAID_BACK, Asked, Filter, Listing, NotOfThisList

AS_SAVED = "1"
# Parameters that every list has. `view` says that the columns are those of a saved view, not the person's choice.
_OWN = frozenset({"sort", "after", "columns", "view"})


def read_asked(listing: Listing[Any]) -> Asked:
    """What the URL asks of this list. Raises NotOfThisList (400): what is not known is never passed over."""
    with leading_back(listing):
        return _read(listing)


@contextmanager
def leading_back(listing: Listing[Any]) -> Iterator[None]:
    """What is refused within says which page leads out: the list as it is without an address."""
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
            raise NotOfThisList(_("This list knows no “%(name)s”.", name=name[:MOST_SAID_BACK]))
        is_twice = len(request.args.getlist(name)) > 1 or former.get(name) in request.args
        if name != "columns" and is_twice:
            raise NotOfThisList(
                _("“%(name)s” stands in the address more than once.", name=name[:MOST_SAID_BACK])
            )
    sort = request.args.get("sort", "") or listing.default_sort
    if sort.removeprefix("-") not in listing.sorts:
        raise NotOfThisList(_("This list can't be sorted by “%(name)s”.", name=sort[:MOST_SAID_BACK]))
    if request.args.get("view", AS_SAVED) != AS_SAVED:
        raise NotOfThisList(_("This list knows no “%(name)s”.", name="view"))
    for name in request.args.getlist("columns"):
        if name not in {column.name for column in listing.columns}:
            raise NotOfThisList(_("This list has no column “%(name)s”.", name=name[:MOST_SAID_BACK]))
    filters = {narrow.name: narrow.clean(_value_of(narrow)) for narrow in listing.filters}
    after = request.args.get("after", "")
    return Asked(filters, sort.removeprefix("-"), sort.startswith("-"), decode(after) if after else None)


def _value_of(narrow: Filter) -> str:
    former = request.args.get(narrow.former, "") if narrow.former else ""
    return request.args.get(narrow.name, former)


def bad_place() -> NotOfThisList:
    """The refusal of a cursor that this list did not give."""
    return NotOfThisList(_("There is no such place to go on from."))
