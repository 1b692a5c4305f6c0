"""flask rates: exchange rates, by hand or from a feed."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from portal.cli.origin import OPS
from portal.cli.terminal import echo
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.core.money import AmountError, format_rate, parse_amount
from portal.reference import rate_feed, service
from portal.reference.models import RatePair
from portal.reference.queries import default_settlement_currency, list_rate_pairs, with_spread

rates = AppGroup("rates", help="Exchange rates: fiat units for one unit of the settlement currency.")
commands = [rates]

_base = click.option("--base", help="Settlement currency; the house's own where none is named.")


@rates.command("list")
def list_all() -> None:
    """Every pair: raw rate, what payins and payouts get, source, age."""
    row = "{:<10} {:>15} {:>15} {:>15}  {:<18} {}"
    echo(row.format("pair", "raw", "payin", "payout", "source", "state"))
    for pair in list_rate_pairs():
        raw = pair.current_micros
        figures = ("-", "-", "-")
        if raw is not None:
            figures = (
                format_rate(raw),
                format_rate(with_spread(raw, pair.spread_bps, "payin")),
                format_rate(with_spread(raw, pair.spread_bps, "payout")),
            )
        echo(row.format(f"{pair.base}/{pair.quote}", *figures, _source(pair), _state(pair)))


def _source(pair: RatePair) -> str:
    if pair.source_kind == "manual":
        return "manual"
    return service.source_name(pair.feed_url or "")


def _state(pair: RatePair) -> str:
    error = f"; last error: {pair.last_error}" if pair.last_error else ""
    if pair.observed_at is None:
        return f"no rate yet{error}"
    age_s = int((datetime.now(UTC) - pair.observed_at).total_seconds())
    word = "fresh" if age_s <= pair.stale_after_s else "STALE, orders are refused"
    return f"{word}, {age_s} s old of {pair.stale_after_s} s{error}"


@rates.command("set")
@click.argument("quote")
@click.argument("rate")
@_base
@click.option("--force", is_flag=True, help="Also when it is far from the last rate.")
def set_rate(quote: str, rate: str, base: str | None, force: bool) -> None:
    """Set the rate of QUOTE (such as RUB) to RATE (such as 95.00)."""
    try:
        raw_micros = parse_amount(rate, 6)
        with transaction():
            base = base or default_settlement_currency()
            service.set_rate(base, quote.upper(), raw_micros, OPS, force=force)
    except AmountError as error:
        raise click.ClickException(str(error)) from None
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo(f"1 {base} = {format_rate(raw_micros)} {quote.upper()}")


@rates.command("refresh")
@click.argument("quote", required=False)
@_base
def refresh(quote: str | None, base: str | None) -> None:
    """Fetch the rates that are due, or that of QUOTE now."""
    try:
        if quote is None:
            echo(f"{rate_feed.refresh_due_rates()} refreshed")
            return
        refreshed = rate_feed.refresh_now(base or default_settlement_currency(), quote.upper())
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    if not refreshed:
        raise click.ClickException("Not refreshed; flask rates list says why.")
    echo("refreshed")


@rates.command("feed")
@click.argument("quote")
@click.argument("url", required=False)
@click.argument("json_pointer", required=False)
@_base
@click.option("--manual", is_flag=True, help="Stop using a feed.")
def feed(quote: str, url: str | None, json_pointer: str | None, base: str | None, manual: bool) -> None:
    """Take the rate of QUOTE from URL at JSON_POINTER (such as /rates/RUB), or by hand again."""
    if manual == (url is not None) or (url is None) != (json_pointer is None):
        raise click.UsageError("Give a URL and a JSON pointer, or --manual.")
    try:
        with transaction():
            base = base or default_settlement_currency()
            if url is None or json_pointer is None:
                service.use_manual(base, quote.upper(), OPS)
            else:
                service.use_feed(base, quote.upper(), url, json_pointer, OPS)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo("by hand" if manual else "from the feed; fetch it now with: flask rates refresh " + quote.upper())


@rates.command("terms")
@click.argument("quote")
@_base
@click.option("--spread-bps", type=int, help="The platform's spread, in hundredths of a percent.")
@click.option("--max-deviation-bps", type=int, help="How far a new rate may be from the last one.")
@click.option("--stale-after-s", type=int, help="Age at which a rate is not used any more.")
@click.option("--refresh-every-s", type=int, help="How often a feed is asked.")
def terms(quote: str, base: str | None, **change: int | None) -> None:
    """Change spread, deviation limit, age limit or rhythm of QUOTE."""
    try:
        with transaction():
            base = base or default_settlement_currency()
            pair = service.change_terms(base, quote.upper(), service.PairTerms(**change), OPS)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo(
        f"{pair.base}/{pair.quote}: spread {pair.spread_bps} bps, deviation {pair.max_deviation_bps} bps,"
        f" stale after {pair.stale_after_s} s, asked every {pair.refresh_every_s} s"
    )
