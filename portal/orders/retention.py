"""Forgetting who paid and who was paid, a while after the order has ended. Amounts, times and the ledger stay.

What stays of people: the store's own reference of its customer, the last digits of a recipient's number, and
what the store wrote into description and metadata.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from portal.core.db import hot, take_time, transaction
from portal.core.files import get_files
from portal.orders.models import ENDED, sql_list

_FIRST = uuid.UUID(int=0)
# Nobody can act on these any more but by a new dispute, whose order is `disputed` then and passed over.
_ENDED = (
    f"o.status IN {sql_list(ENDED)}"
    " AND coalesce(o.ended_at, o.updated_at) < now() - make_interval(days => %(days)s::int)"
)
_TELLS = (
    "(o.payer_encrypted IS NOT NULL OR o.customer_encrypted IS NOT NULL OR o.customer_ip IS NOT NULL"
    " OR o.recipient_number_encrypted IS NOT NULL OR o.recipient_holder IS NOT NULL)"
)
_PEOPLE = f"""
WITH old AS (
  SELECT o.id FROM orders o WHERE o.id > %(after)s AND {_ENDED} AND {_TELLS}
   ORDER BY o.id LIMIT %(limit)s FOR NO KEY UPDATE
), forgotten AS (
  UPDATE orders o SET payer_encrypted = NULL, customer_encrypted = NULL, customer_ip = NULL,
         recipient_number_encrypted = NULL, recipient_number_index = NULL, recipient_holder = NULL,
         version = version + 1
    FROM old WHERE o.id = old.id
)
SELECT id FROM old ORDER BY id
"""  # noqa: S608 - constants of this module
# The copies of an order that were told to the store name the holder of a payout's number too.
_HOLDER = "jsonb_typeof(e.data #> '{recipient,holder}') = 'string'"
_OF_FORGOTTEN = f"{_HOLDER} AND o.id = e.subject_id AND o.recipient_holder IS NULL"
_TOLD = f"""
WITH old AS (
  SELECT e.id FROM event e JOIN orders o ON {_OF_FORGOTTEN}
   WHERE e.id > %(after)s ORDER BY e.id LIMIT %(limit)s FOR NO KEY UPDATE OF e
), forgotten AS (
  UPDATE event e SET data = jsonb_set(e.data, '{{recipient,holder}}', 'null') FROM old WHERE e.id = old.id
)
SELECT id FROM old ORDER BY id
"""  # noqa: S608
_COUNT_TOLD = f"SELECT count(*) AS n FROM event e JOIN orders o ON {_OF_FORGOTTEN}"  # noqa: S608
_COUNT_PEOPLE = f"SELECT count(*) AS n FROM orders o WHERE {_ENDED} AND {_TELLS}"  # noqa: S608

_RECEIPTS = f"""
SELECT c.id, c.file_key, c.picture_key FROM receipt c JOIN orders o ON o.id = c.order_id
 WHERE c.id > %(after)s AND {_ENDED} ORDER BY c.id LIMIT %(limit)s FOR UPDATE OF c SKIP LOCKED
"""  # noqa: S608
_COUNT_RECEIPTS = f"SELECT count(*) AS n FROM receipt c JOIN orders o ON o.id = c.order_id WHERE {_ENDED}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Forgetting:
    """How much there is to forget, and the doing of it, some at a time."""

    total: int
    steps: Iterator[int]


def forget_people(days: int, *, batch: int = 200) -> Forgetting:
    """Payers, customers' names, emails and addresses, and recipients of orders that ended `days` ago.

    Each step is a transaction of its own that locks its orders. Not to be called inside transaction().
    """
    return Forgetting(_count(_COUNT_PEOPLE, days), _walk(_PEOPLE, days, batch))


def forget_told_recipients(days: int, *, batch: int = 500) -> Forgetting:
    """Recipients in the events of orders whose recipient is forgotten: to be run after forget_people()."""
    return Forgetting(_count(_COUNT_TOLD, days), _walk(_TOLD, days, batch))


def forget_receipts(days: int, *, batch: int = 50) -> Forgetting:
    """Receipts, with their files, of orders that ended `days` ago. Each step is a transaction of its own.

    The files go first: what is interrupted leaves a row whose files are gone, and is finished by the next run.
    """
    return Forgetting(_count(_COUNT_RECEIPTS, days), _forget_receipts(days, batch))


def _count(sql: str, days: int) -> int:
    with transaction():
        take_time()
        return int(hot(sql, {"days": days})[0]["n"])


def _walk(sql: str, days: int, batch: int) -> Iterator[int]:
    """Along the ids, some at a time; `sql` forgets and gives the ids of whom."""
    after = _FIRST
    while True:
        with transaction():
            take_time()
            ids = [row["id"] for row in hot(sql, {"days": days, "after": after, "limit": batch})]
        if not ids:
            return
        after = ids[-1]
        yield len(ids)


def _forget_receipts(days: int, batch: int) -> Iterator[int]:
    after, files = _FIRST, get_files()
    while True:
        with transaction():
            take_time()
            rows = hot(_RECEIPTS, {"days": days, "after": after, "limit": batch})
            for row in rows:
                for key in filter(None, (row["file_key"], row["picture_key"])):
                    files.delete(key)
            hot("DELETE FROM receipt WHERE id = ANY(%(ids)s::uuid[])", {"ids": [row["id"] for row in rows]})
        if not rows:
            return
        after = rows[-1]["id"]
        yield len(rows)
