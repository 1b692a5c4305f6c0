"""Rates from JSON documents: claimed by one process, fetched outside of any transaction, then judged."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from portal.core.db import hot, transaction
from portal.core.egress import EgressRefused, FetchFailed, fetch
from portal.core.money import RATE_SCALE
from portal.reference import configuration as config
from portal.reference import service

log = logging.getLogger(__name__)

MAX_DOCUMENT_BYTES = 1 << 20
MAX_PAIRS_AT_ONCE = 20

# The next attempt is written before the fetch: a process that dies in between costs one interval. After
# failures the interval doubles up to fifteen minutes, unless the pair's own is longer.
_CLAIM = """
UPDATE rate_pair p
   SET next_refresh_at = clock_timestamp() + make_interval(secs =>
         GREATEST(p.refresh_every_s, LEAST(900, p.refresh_every_s * 2 ^ LEAST(p.consecutive_failures, 10))))
  FROM (SELECT base, quote FROM rate_pair
         WHERE source_kind = 'http_json' AND is_active AND next_refresh_at <= clock_timestamp()
         ORDER BY next_refresh_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) due
 WHERE p.base = due.base AND p.quote = due.quote
RETURNING p.base, p.quote, p.feed_url, p.json_pointer, clock_timestamp() AS claimed_at
"""
_CLAIM_ONE = """
UPDATE rate_pair SET next_refresh_at = clock_timestamp() + make_interval(secs => refresh_every_s)
 WHERE base = %(base)s AND quote = %(quote)s AND source_kind = 'http_json' AND is_active
RETURNING base, quote, feed_url, json_pointer, clock_timestamp() AS claimed_at
"""


class FeedError(Exception):
    """The document has no usable rate; the message says why and is shown to the operator."""


@dataclass(frozen=True, slots=True)
class DueFeed:
    base: str
    quote: str
    url: str
    json_pointer: str
    claimed_at: datetime


FetchDocument = Callable[[str], Any]


def fetch_document(url: str) -> Any:
    """The JSON behind a feed's address, numbers as Decimal. Raises FeedError."""
    try:
        answer = fetch(
            url,
            headers={"Accept": "application/json"},
            timeout_s=config.get(config.RATE_FETCH_TIMEOUT_S),
            max_bytes=MAX_DOCUMENT_BYTES,
        )
    except EgressRefused as refused:
        raise FeedError(f"the address may not be called: {refused}") from None
    except FetchFailed as failed:
        raise FeedError(f"no answer: {failed.code}") from None
    if answer.status != 200:
        raise FeedError(f"the feed answered {answer.status}")
    try:
        return json.loads(answer.body, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_constants)
    except (ValueError, RecursionError):
        raise FeedError("the answer is not JSON") from None


def _no_constants(name: str) -> Any:
    raise ValueError(name)


def rate_in(document: Any, json_pointer: str) -> int:
    """The rate at a JSON pointer (RFC 6901) in micros, rounded half to even. Raises FeedError."""
    found = document
    for part in json_pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise FeedError(f"nothing at {json_pointer} in the answer") from None
    if isinstance(found, bool) or not isinstance(found, Decimal | str):
        raise FeedError(f"no number at {json_pointer} in the answer")
    try:
        value = Decimal(found)
    except InvalidOperation:
        raise FeedError(f"no number at {json_pointer} in the answer") from None
    if not value.is_finite() or abs(value.adjusted()) > 18:
        raise FeedError(f"the number at {json_pointer} cannot be a rate")
    return int((value * RATE_SCALE).to_integral_value())


def refresh_due_rates(fetch_json: FetchDocument = fetch_document) -> int:
    """Refresh the pairs that are due; returns how many got a new rate.

    Safe to run twice and by several processes: each due pair is claimed by one of them. Holds no
    transaction while it waits for a feed.
    """
    with transaction():
        rows = hot(_CLAIM, {"limit": MAX_PAIRS_AT_ONCE})
    return sum(_refresh(_due(row), fetch_json) for row in rows)


def refresh_now(base: str, quote: str, fetch_json: FetchDocument = fetch_document) -> bool:
    """Refresh one pair with a feed, due or not; says whether it got a new rate. Raises UnknownRatePair."""
    with transaction():
        service.get_pair(base, quote)
        rows = hot(_CLAIM_ONE, {"base": base, "quote": quote})
    return any(_refresh(_due(row), fetch_json) for row in rows)


def _due(row: dict[str, Any]) -> DueFeed:
    return DueFeed(row["base"], row["quote"], row["feed_url"], row["json_pointer"], row["claimed_at"])


def _refresh(feed: DueFeed, fetch_json: FetchDocument) -> bool:
    try:
        raw_micros = rate_in(fetch_json(feed.url), feed.json_pointer)
    except FeedError as error:
        log.warning("rate feed failed", extra={"base": feed.base, "quote": feed.quote, "reason": str(error)})
        with transaction():
            service.record_failure(feed.base, feed.quote, str(error))
        return False
    seen = service.Observation(raw_micros, service.source_name(feed.url), feed.claimed_at)
    with transaction():
        accepted = service.take_observation(feed.base, feed.quote, seen)
    if not accepted:
        log.warning("rate refused", extra={"base": feed.base, "quote": feed.quote, "raw_micros": raw_micros})
    return accepted
