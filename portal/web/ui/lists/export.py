"""A list as a CSV file: the same filters, sort and columns as on the page, streamed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask import Response, stream_with_context

from portal.core.db import release
from portal.web.ui.formats import plain_amount
from portal.web.ui.lists.address import bad_place, read_asked
from portal.web.ui.lists.declaration import Cell, Column, Listing
from portal.web.ui.lists.shown import chosen_columns, pages_of

_PAGE = 500
MOST_ROWS = 200_000
# What a spreadsheet takes for a formula, after any of what it skips first.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def export(listing: Listing[Any]) -> Response:
    """The file, written while it is read; ends after about MOST_ROWS rows. The route checks the permission.

    Raises NotOfThisList; a file begins where the list does.
    """
    asked, columns = read_asked(listing), chosen_columns(listing)
    if asked.after is not None:
        raise bad_place()

    def lines() -> Iterator[str]:
        yield "\ufeff" + _line(_heads(columns))
        for rows in pages_of(listing, asked, _PAGE, MOST_ROWS):
            # Between pages nothing is held: a slow reader must not keep a connection.
            release()
            yield "".join(_line(_cells(columns, row)) for row in rows)

    response = Response(stream_with_context(lines()), mimetype="text/csv")
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M")
    response.headers["Content-Disposition"] = f'attachment; filename="{listing.name}-{stamp}.csv"'
    response.headers["X-Accel-Buffering"] = "no"
    return response


def guarded(text: str) -> str:
    """Text that no spreadsheet runs: what starts like a formula gets an apostrophe in front."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_STARTS_A_FORMULA) else text


def _heads(columns: tuple[Column[Any], ...]) -> list[str]:
    heads = []
    for column in columns:
        heads.append(guarded(str(column.label)))
        if column.cell is Cell.MONEY and column.plain is None:
            heads.append(guarded(f"{column.label} ({_CURRENCY})"))
    return heads


_CURRENCY = "currency"


def _cells(columns: tuple[Column[Any], ...], row: Any) -> list[str]:
    cells: list[str] = []
    for column in columns:
        value = column.value(row)
        if column.plain is not None:
            cells.append(guarded(column.plain(row)))
        elif column.cell is Cell.MONEY:
            # Digits of our own making: a minus sign is one.
            cells += [plain_amount(*value), value[1]] if value else ["", ""]
        elif column.cell is Cell.MOMENT:
            cells.append(value.astimezone(UTC).isoformat(timespec="seconds") if value else "")
        elif column.cell is Cell.PILL:
            cells.append(guarded(str(value[1])) if value else "")
        else:
            cells.append(
                "" if value is None else str(value) if isinstance(value, int) else guarded(str(value))
            )
    return cells


def _line(cells: list[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow(cells)
    return stream.getvalue()
