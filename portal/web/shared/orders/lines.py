"""The list of orders, as every portal draws it; whose orders they are is the portal's to say."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from flask_babel import lazy_gettext as _l

from portal.core.cursors import id_in, position_of
from portal.core.ids import parse_public_id, public_id
from portal.core.modes import Mode
from portal.orders.order_list import OrderFilter, OrderLine, Whose, list_orders
from portal.web.labels.directions import direction_choices, direction_words
from portal.web.labels.order_status import shown_status, status_choices, status_pill
from portal.web.ui.formats import method_name
from portal.web.ui.lists.days import day_filters, period_of
from portal.web.ui.lists.declaration import Asked, Cell, Column, Filter, Kind, Listing

# What a home page shows of its latest orders.
AT_A_GLANCE = ("created", "number", "direction", "status", "amount", "settlement", "store")
STAFF_AT_A_GLANCE = ("created", "number", "direction", "status", "amount", "store", "trader")


# A field to choose from says nothing to anybody when it is longer.
_MOST_CHOICES = 100
_NOBODYS = uuid.UUID(int=0)


def order_number(line: OrderLine) -> str:
    return public_id("ord", line.id)


def columns(
    link: Callable[[OrderLine], str | None] | None,
    stores: Mapping[uuid.UUID, str] | None = None,
    traders: Callable[[uuid.UUID], str] | None = None,
) -> tuple[Column[OrderLine], ...]:
    """The columns of an order; the store's and the trader's where names for them are given."""
    parts: list[Column[OrderLine]] = [
        Column("created", _l("Created"), lambda line: line.created_at, Cell.MOMENT, sort="created"),
        Column("number", _l("Order"), _short, Cell.CODE, link=link, plain=order_number, is_optional=False),
        Column("direction", _l("Direction"), lambda line: direction_words(line.direction)),
        Column("status", _l("Status"), shown_status, Cell.STATUS, plain=lambda line: status_pill(shown_status(line))[1], is_optional=False),
        Column("amount", _l("Amount"), lambda line: (line.amount_minor, line.currency), Cell.MONEY),
        Column(
            "received", _l("Received"),
            lambda line: (line.amount_received_minor, line.currency) if line.amount_received_minor else None,
            Cell.MONEY, is_shown=False,
        ),
        Column(
            "settlement", _l("Settlement"),
            lambda line: (line.settlement_minor, line.settlement_currency), Cell.MONEY,
        ),
        Column(
            "fee", _l("Fee"), lambda line: (line.fee_minor, line.settlement_currency), Cell.MONEY, is_shown=False
        ),
        Column("method", _l("Method"), lambda line: method_name(line.method)),
        Column("external", _l("Your number") if traders is None else _l("Shop's number"), lambda line: line.external_id),
    ]  # fmt: skip
    if stores is not None:
        parts.append(Column("store", _l("Store"), lambda line: stores.get(line.store_id)))
    if traders is not None:
        parts.append(
            Column("trader", _l("Trader"), lambda line: traders(line.trader_id) if line.trader_id else None)
        )
    parts.append(Column("ended", _l("Ended"), lambda line: line.ended_at, Cell.MOMENT, is_shown=False))
    return tuple(parts)


def _short(line: OrderLine) -> str:
    """Enough to tell one from another; the whole is on its own page and in the file."""
    number = order_number(line)
    return f"{number[:8]}…{number[-6:]}"


def filters(stores: Mapping[uuid.UUID, str] | None = None) -> tuple[Filter, ...]:
    asked = [
        Filter("q", _l("Number"), hint=_l("ord_… or the shop's own")),
        Filter("status", _l("Status"), Kind.CHOICE, status_choices),
        Filter("direction", _l("Direction"), Kind.CHOICE, direction_choices),
    ]
    if stores is not None and len(stores) > _MOST_CHOICES:
        asked.append(Filter("store", _l("Store"), hint=_l("st_… or the whole name")))
    elif stores is not None and len(stores) > 1:
        choices = tuple((public_id("st", store_id), name) for store_id, name in stores.items())
        asked.append(Filter("store", _l("Store"), Kind.CHOICE, lambda: choices))
    return (*asked, *day_filters())


def order_listing(
    whose: Callable[[], Whose],
    *,
    endpoint: str,
    export_endpoint: str,
    link: Callable[[OrderLine], str | None] | None,
    stores: Mapping[uuid.UUID, str] | None = None,
    traders: Callable[[uuid.UUID], str] | None = None,
    empty_next: str,
) -> Listing[OrderLine]:
    """The list itself. `whose` is asked anew for each page."""

    def fetch(asked: Asked) -> list[OrderLine]:
        narrow, mine = narrow_of(asked, stores or {}), whose()
        if mine == Whose() and stores and (narrow.external_id or narrow.store_id):
            # A shop's own number is found by the shop: by all of them where none is named.
            mine = Whose(stores=(narrow.store_id,) if narrow.store_id else tuple(stores))
        after, oldest_first = id_in(asked.after), not asked.is_descending
        return list_orders(mine, Mode.LIVE, narrow, asked.limit, after=after, oldest_first=oldest_first)

    return Listing(
        name="orders",
        columns=columns(link, stores, traders),
        fetch=fetch,
        position=lambda line: position_of(line.id),
        endpoint=endpoint,
        export_endpoint=export_endpoint,
        default_sort="-created",
        title=_l("Orders"),
        empty_title=_l("No orders yet"),
        empty_next=empty_next,
        icon="list-details",
        filters=filters(stores),
    )


def _store_of(asked: Asked, stores: Mapping[uuid.UUID, str]) -> uuid.UUID | None:
    """The store that is asked for by its id or its whole name, where no other has it; nobody's for anything else."""
    text = asked.get("store")
    if text is None or (store_id := parse_public_id("st", text)) is not None:
        return store_id if text else None
    named = [store_id for store_id, name in stores.items() if name.casefold() == text.casefold()]
    return named[0] if len(named) == 1 else _NOBODYS


def narrow_of(asked: Asked, stores: Mapping[uuid.UUID, str]) -> OrderFilter:
    """What the filters of the URL mean for orders."""
    number = asked.get("q")
    order_id = parse_public_id("ord", number) if number else None
    created_from, created_to = period_of(asked)
    return OrderFilter(
        order_id=order_id,
        external_id=number if order_id is None else None,
        status=asked.get("status"),
        direction=asked.get("direction"),
        store_id=_store_of(asked, stores),
        created_from=created_from,
        created_to=created_to,
    )
