"""Writes of rates and reference data. All verbs need transaction()."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select

from portal.audit.service import record_audit
from portal.core.actors import SYSTEM, Actor
from portal.core.db import after_commit, db, hot
from portal.core.egress import EgressPolicy, EgressRefused, parse_target
from portal.core.errors import ValidationFailed
from portal.core.jobs import enqueue_job
from portal.core.money import BPS, format_rate
from portal.reference.errors import RateDeviates, UnknownRatePair
from portal.reference.models import RateHistory, RatePair, RateSourceKind
from portal.reference.queries import snapshot, with_spread

# A rate is refused outside of these: what lies there is a slip of the finger or a broken feed.
MIN_RATE_MICROS = 100
MAX_RATE_MICROS = 10**13

_DUE_NOW = (
    "UPDATE rate_pair SET next_refresh_at = clock_timestamp() WHERE next_refresh_at > clock_timestamp()"
)


@dataclass(frozen=True, slots=True)
class Observation:
    """A raw rate that somebody saw: fiat units for one settlement unit x 10^6, before the spread."""

    raw_micros: int
    source: str
    observed_at: datetime | None = None  # None: now, by the database's clock


def get_pair(base: str, quote: str, *, lock: bool = False) -> RatePair:
    """The pair. Raises UnknownRatePair."""
    pair = db.session.get(RatePair, (base, quote), with_for_update=lock or None, populate_existing=lock)
    if pair is None:
        raise UnknownRatePair(f"There is no pair {quote}/{base}.")
    return pair


def after_clock_set_back(by: timedelta) -> None:
    """Rates are as old as they were, and are fetched when they were to be, when the database's clock was set back.

    Else a rate would stay in force, and newer ones be refused as older, for as long. Under its new time a rate is
    another row of the history, as orders have it from now on. Needs transaction(). Locks the pairs.
    """
    ahead = (
        select(RatePair)
        .where(RatePair.observed_at > func.clock_timestamp())
        .order_by(RatePair.base, RatePair.quote)
    )
    for pair in db.session.scalars(ahead.with_for_update(), execution_options={"populate_existing": True}):
        # The table's rule: a rate has a time and a source.
        assert pair.observed_at is not None
        assert pair.current_micros is not None
        assert pair.current_source is not None
        pair.observed_at -= by
        _remember(pair, Observation(pair.current_micros, pair.current_source, pair.observed_at), SYSTEM, None)
    db.session.flush()
    hot(_DUE_NOW)


def set_rate(
    base: str, quote: str, raw_micros: int, actor: Actor, *, source: str = "manual", force: bool = False
) -> RatePair:
    """Set the raw rate by hand; it is in force at the commit. Locks the pair.

    Raises RateDeviates when it is further from the last one than the pair allows and not forced,
    ValidationFailed when it cannot be a rate at all, UnknownRatePair.
    """
    pair = get_pair(base, quote, lock=True)
    if not is_plausible(raw_micros):
        raise ValidationFailed.of("rate", "out_of_range", "This cannot be a rate.")
    if not force and deviates(pair, raw_micros):
        assert pair.current_micros is not None
        raise RateDeviates(
            f"{format_rate(raw_micros)} is more than {pair.max_deviation_bps / 100:g} % away"
            f" from the last rate, {format_rate(pair.current_micros)}. Set it with force if it is right."
        )
    former = pair.current_micros
    _accept(pair, Observation(raw_micros, source), actor)
    _audit(pair, "set", {"raw_micros": former}, {"raw_micros": raw_micros, "forced": force}, actor)
    return pair


def take_observation(base: str, quote: str, seen: Observation) -> bool:
    """Take a feed's rate, or record why not; says whether it is in force now. Locks the pair.

    Refused: an impossible one, one beyond the deviation limit, and one older than what is in force. The old
    rate stays as it is and goes stale by itself.
    """
    pair = get_pair(base, quote, lock=True)
    refusal = _refusal(pair, seen)
    if refusal is None:
        _accept(pair, seen, SYSTEM)
        pair.consecutive_failures, pair.last_error = 0, None
        return True
    if seen.raw_micros > 0:
        _remember(pair, seen, SYSTEM, refusal)
    pair.consecutive_failures += 1
    pair.last_error = refusal
    return False


def record_failure(base: str, quote: str, reason: str) -> None:
    """A feed gave nothing usable: counted, shown, and tried again later and later. Locks the pair."""
    pair = get_pair(base, quote, lock=True)
    pair.consecutive_failures += 1
    pair.last_error = reason[:300]


def is_plausible(raw_micros: int) -> bool:
    return MIN_RATE_MICROS <= raw_micros <= MAX_RATE_MICROS


def deviates(pair: RatePair, raw_micros: int) -> bool:
    """Further than `max_deviation_bps` from the last accepted rate, in either direction."""
    last = pair.current_micros
    return last is not None and abs(raw_micros - last) * BPS > last * pair.max_deviation_bps


def _refusal(pair: RatePair, seen: Observation) -> str | None:
    if not is_plausible(seen.raw_micros):
        return f"{format_rate(seen.raw_micros)} cannot be a rate"
    if seen.observed_at and pair.observed_at and seen.observed_at < pair.observed_at:
        return "older than the rate in force"
    if deviates(pair, seen.raw_micros):
        assert pair.current_micros is not None
        return (
            f"{format_rate(seen.raw_micros)} is more than {pair.max_deviation_bps / 100:g} % away"
            f" from {format_rate(pair.current_micros)}"
        )
    return None


def _accept(pair: RatePair, seen: Observation, actor: Actor) -> None:
    # One moment for both: an order's rate is found in the history by it.
    seen = replace(seen, observed_at=seen.observed_at or _now())
    pair.current_micros, pair.current_source, pair.observed_at = (
        seen.raw_micros,
        seen.source,
        seen.observed_at,
    )
    _remember(pair, seen, actor, None)
    db.session.flush()
    snapshot.changed()


def _remember(pair: RatePair, seen: Observation, actor: Actor, refusal: str | None) -> None:
    db.session.add(
        RateHistory(
            base=pair.base,
            quote=pair.quote,
            raw_micros=seen.raw_micros,
            payin_micros=with_spread(seen.raw_micros, pair.spread_bps, "payin"),
            payout_micros=with_spread(seen.raw_micros, pair.spread_bps, "payout"),
            source=seen.source,
            observed_at=seen.observed_at or _now(),
            accepted=refusal is None,
            refusal=refusal,
            actor_kind=actor.kind.value,
            actor_id=actor.id,
        )
    )


def _now() -> datetime:
    now: datetime = db.session.execute(select(func.clock_timestamp())).scalar_one()
    return now


@dataclass(frozen=True, slots=True)
class PairTerms:
    """What to change about a pair; None leaves it as it is. Basis points and seconds."""

    spread_bps: int | None = None
    max_deviation_bps: int | None = None
    stale_after_s: int | None = None
    refresh_every_s: int | None = None


_TERM_BOUNDS = {
    "spread_bps": (0, 5000),
    "max_deviation_bps": (1, 10000),
    "stale_after_s": (10, 2592000),
    "refresh_every_s": (10, 86400),
}


def change_terms(base: str, quote: str, terms: PairTerms, actor: Actor = SYSTEM) -> RatePair:
    """Change spread, deviation limit, age limit, or rhythm. Raises ValidationFailed. Locks the pair."""
    pair = get_pair(base, quote, lock=True)
    before = {name: getattr(pair, name) for name in _TERM_BOUNDS}
    for name, (lowest, highest) in _TERM_BOUNDS.items():
        value = getattr(terms, name)
        if value is None:
            continue
        if not lowest <= value <= highest:
            raise ValidationFailed.of(name, "out_of_range", f"{name} is between {lowest} and {highest}.")
        setattr(pair, name, value)
    db.session.flush()
    _audit(pair, "terms_changed", before, {name: getattr(pair, name) for name in _TERM_BOUNDS}, actor)
    snapshot.changed()
    return pair


def use_feed(base: str, quote: str, url: str, json_pointer: str, actor: Actor = SYSTEM) -> RatePair:
    """Take the pair's rate from a number in a JSON document (RFC 6901 pointer), beginning now.

    Raises ValidationFailed when the address may not be called. Locks the pair.
    """
    pair = get_pair(base, quote, lock=True)
    if not json_pointer.startswith("/"):
        raise ValidationFailed.of(
            "json_pointer", "malformed", "A JSON pointer begins with /, such as /rates/RUB."
        )
    try:
        parse_target(url, EgressPolicy.from_settings())
    except EgressRefused as refused:
        raise ValidationFailed.of("url", "refused", f"This address may not be called: {refused}.") from None
    before = {"source": pair.source_kind, "host": source_name(pair.feed_url) if pair.feed_url else None}
    pair.source_kind, pair.feed_url, pair.json_pointer = RateSourceKind.HTTP_JSON.value, url, json_pointer
    pair.next_refresh_at, pair.consecutive_failures, pair.last_error = _now(), 0, None
    db.session.flush()
    # The rest of the address may hold a key.
    _audit(pair, "source_changed", before, {"source": pair.source_kind, "host": source_name(url)}, actor)
    snapshot.changed()
    after_commit(lambda: enqueue_job("refresh_rates"))
    return pair


def use_manual(base: str, quote: str, actor: Actor = SYSTEM) -> RatePair:
    """Stop taking the pair's rate from a feed; the last one stays until it is stale. Locks the pair."""
    pair = get_pair(base, quote, lock=True)
    before = {"source": pair.source_kind}
    pair.source_kind, pair.feed_url, pair.json_pointer = RateSourceKind.MANUAL.value, None, None
    pair.consecutive_failures, pair.last_error = 0, None
    db.session.flush()
    _audit(pair, "source_changed", before, {"source": pair.source_kind}, actor)
    snapshot.changed()
    return pair


def _audit(
    pair: RatePair, what: str, before: Mapping[str, object], after: Mapping[str, object], actor: Actor
) -> None:
    subject = ("rate_pair", f"{pair.quote}/{pair.base}")
    record_audit(f"rate.{what}", actor=actor, subject=subject, before=before, after=after)


def source_name(url: str) -> str:
    """How a feed is named to merchants: its host, never its path or query (they may hold a key)."""
    return urlsplit(url).hostname or "feed"
