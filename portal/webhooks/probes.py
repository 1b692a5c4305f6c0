"""Calls that somebody asks us to make to an address of their choice: bounded, whoever the address belongs to."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from portal.core.db import hot
from portal.core.errors import TooManyRequests
from portal.reference import configuration as config

# Both are locked in this order, so that two who ask at once are counted one after the other.
_COUNT = """
SELECT count(*) FILTER (WHERE store_id = %(store)s AND at > now() - interval '1 minute') AS in_minute,
       count(*) FILTER (WHERE store_id = %(store)s) AS of_store,
       count(*) FILTER (WHERE store_id = %(store)s AND host = %(host)s) AS of_both,
       count(*) FILTER (WHERE host = %(host)s) AS of_host,
       ceil(extract(epoch FROM min(at) FILTER (WHERE store_id = %(store)s) + interval '1 day' - now()))::int AS store_over_s,
       ceil(extract(epoch FROM min(at) FILTER (WHERE store_id = %(store)s AND host = %(host)s) + interval '1 day' - now()))::int
           AS both_over_s,
       ceil(extract(epoch FROM min(at) FILTER (WHERE host = %(host)s) + interval '1 day' - now()))::int AS host_over_s
  FROM webhook_probe WHERE (store_id = %(store)s OR host = %(host)s) AND at > now() - interval '1 day'
"""
_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(%(store)s::text, 17)), pg_advisory_xact_lock(hashtextextended(%(host)s, 18))
"""
_NOTE = "INSERT INTO webhook_probe (store_id, host) VALUES (%(store)s, %(host)s)"
_FORGET = "DELETE FROM webhook_probe WHERE host = %(host)s AND at < now() - interval '1 day'"


# So many stores have to ask a host as often as each may, before nobody else can have an endpoint there.
STORES_TO_A_HOST = 10


class TooManyProbes(TooManyRequests):
    code, title = "too_many_tests", "Too many test calls"


def note_probe(store_id: uuid.UUID, url: str) -> None:
    """Count a test event or a challenge for this address. Raises TooManyProbes (429). Needs transaction().

    A store may ask for a few in a minute and in a day, and for fewer to one host; all stores together may reach one
    host so often in a day that no store alone keeps the others from it.
    Locks the store's and the host's counts until the end of the transaction.
    """
    values = {"store": store_id, "host": (urlsplit(url).hostname or "").lower().rstrip(".")}
    hot(_LOCK, values)
    row = hot(_COUNT, values)[0]
    if row["in_minute"] >= config.get(config.WEBHOOK_TESTS_PER_MINUTE):
        raise TooManyProbes("Too many test calls in this minute.", retry_after_s=60)
    of_store, to_host = config.get(config.WEBHOOK_TESTS_PER_DAY), config.get(config.WEBHOOK_TESTS_PER_HOST)
    to_all = STORES_TO_A_HOST * to_host
    for used, most, whose, over_s in (
        (row["of_store"], of_store, "for one store", row["store_over_s"]),
        (row["of_both"], to_host, "to one host for one store", row["both_over_s"]),
        (row["of_host"], to_all, "to one host for all stores together", row["host_over_s"]),
    ):
        if used >= most:
            raise TooManyProbes(
                f"Only {most} test calls a day are made {whose}.", retry_after_s=max(over_s, 1)
            )
    hot(_FORGET, values)
    hot(_NOTE, values)
