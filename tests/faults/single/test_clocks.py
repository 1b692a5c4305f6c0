"""Clocks that are wrong, hours that come twice, and a house that stood still."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pyotp
import pytest
import time_machine
from standardwebhooks import Webhook

from portal.core.actors import SYSTEM
from portal.core.db import hot, run_in_transaction, transaction
from portal.core.modes import Mode
from portal.events.relay import relay_events
from portal.identity.proofs.totp import confirm_totp, propose_totp, use_totp
from portal.orders.figures.day import read_day
from portal.orders.models import Status
from portal.orders.order_list import Whose
from portal.orders.record import OrderRecord
from portal.orders.service.deadlines import act_on_due_orders, free_limits
from portal.orders.service.silences import beat
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.webhooks.attempt import sign_now
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.leases import claim_deliveries
from portal.webhooks.service import EndpointUrl, set_endpoint
from portal.workers import clock
from tests.faults.single.conftest import Site
from tests.web.desk import path_of

WRONG = {"a day ahead": timedelta(days=1), "an hour behind": timedelta(hours=-1)}
HOUR = timedelta(hours=1)
WORK = ("event", "webhook_delivery", "mail")


def now(site: Site) -> datetime:
    """By the database's clock."""
    moment: datetime = site.sql("SELECT clock_timestamp()")[0][0]
    return moment


@pytest.fixture(params=WRONG)
def wrong_clock(request: pytest.FixtureRequest) -> time_machine.travel:
    """This process's wall clock, on its way to be wrong; the database's is right."""
    return time_machine.travel(datetime.now(UTC) + WRONG[request.param], tick=True)


@pytest.mark.proves("F22")
def test_deadlines_follow_the_databases_clock(site: Site, wrong_clock: time_machine.travel) -> None:
    old = site.desk.payin(900_00)
    with wrong_clock:
        made = site.shop.create(amount="1000.00")
        assert made.status_code == 201, made.json
        pay_by = datetime.fromisoformat((made.json or {})["pay_by"])
        assert timedelta(minutes=14) < pay_by - now(site) <= timedelta(minutes=15)
        with site.app.app_context():
            assert act_on_due_orders() == 0
        assert site.desk.now(old).status == Status.AWAITING_PAYMENT
        # A page that was opened before the clock went wrong has to be opened again.
        site.desk.browser.read_token("/trader/queue")
        assert site.desk.browser.post(path_of(old, "confirmation")).status_code == 200
        assert len(site.orders()) == 2
    assert site.desk.now(old).status == Status.COMPLETED


@pytest.mark.proves("F22")
def test_codes_of_an_app_are_judged_by_the_databases_clock(
    site: Site, wrong_clock: time_machine.travel
) -> None:
    user_id = site.desk.user.id
    secret = run_in_transaction(lambda: propose_totp(user_id))
    right = pyotp.TOTP(secret)
    moment = now(site)
    with wrong_clock:
        wrong_now = datetime.now(UTC)
        with transaction():
            assert confirm_totp(user_id, right.at(moment))
        with transaction():
            assert not use_totp(user_id, right.at(wrong_now))


@pytest.mark.proves("F22")
def test_webhooks_carry_the_databases_time(site: Site, wrong_clock: time_machine.travel) -> None:
    with transaction():
        endpoint, secret = set_endpoint(site.shop.store_id, Mode.LIVE, EndpointUrl("http://127.0.0.1:9/hook"))
    assert secret is not None
    site.desk.payin()
    with wrong_clock:
        while relay_events(create_deliveries):
            pass
        with transaction():
            claims = [
                claim for claim in claim_deliveries(limit=50, per_endpoint=50, failing=False, busy={})
                if claim.endpoint_id == endpoint.id
            ]  # fmt: skip
        assert claims
        headers = sign_now(claims[0])
    # The library of the specification's authors refuses what is older or newer than five minutes.
    assert Webhook(secret).verify(claims[0].body, headers)


@pytest.mark.proves("F23")
def test_a_database_clock_that_jumped_ahead_ends_nothing_before_people_had_their_time(site: Site) -> None:
    """Rows written an hour before the present are what a jump of an hour ahead leaves."""
    order = site.desk.payin()
    beat(60)
    _shift(site, -HOUR)
    assert beat(60) is not None
    with site.app.app_context():
        assert act_on_due_orders() == 0
    assert site.desk.now(order).status == Status.AWAITING_PAYMENT
    left = (site.desk.now(order).due_at or now(site)) - now(site)
    assert timedelta(minutes=14) < left < timedelta(minutes=15, seconds=5)


@pytest.mark.proves("F23")
def test_a_database_clock_that_was_set_back_keeps_order_and_nobody_waits_twice(site: Site) -> None:
    """Rows from the future are what it leaves; the timeline's order is its own counter's."""
    order, unpaid = site.desk.payin(claimed=True), site.desk.payin(1100_00)
    beat(60)
    _shift(site, HOUR)
    later = site.desk.payin(1200_00)
    with site.app.app_context():
        clock.BEAT.act()
    left = [(site.desk.now(o).due_at or now(site)) - now(site) for o in (unpaid, later)]
    assert all(timedelta(minutes=14) < some < timedelta(minutes=15, seconds=5) for some in left)
    assert _waits_an_hour(site) == []
    assert site.desk.browser.post(path_of(order, "confirmation")).status_code == 200
    assert site.desk.now(order).status == Status.COMPLETED
    assert _steps(site, order) == ["created", "matched", "claimed", "deadline_corrected", "confirmed"]
    assert _steps(site, unpaid) == ["created", "matched", "deadline_corrected"]
    assert _steps(site, later) == ["created", "matched"]
    beat(60)
    assert site.sql("SELECT beat_at <= clock_timestamp() FROM heartbeat WHERE role = 'clock'") == [(True,)]


@pytest.mark.proves("F23")
def test_rates_go_on_after_the_database_clock_was_set_back(site: Site) -> None:
    """A rate from the future would stay in force for an hour, and refuse newer ones as older."""
    with transaction():
        hot(
            "UPDATE rate_pair SET observed_at = clock_timestamp() - interval '10 minutes' WHERE current_micros IS NOT NULL"
        )
    beat(60)
    _shift(site, HOUR)
    with site.app.app_context():
        clock.BEAT.act()
    ages = site.sql(
        "SELECT extract(epoch FROM clock_timestamp() - observed_at)::int FROM rate_pair WHERE observed_at IS NOT NULL"
    )
    assert ages
    assert all(600 <= age < 630 for (age,) in ages)
    assert site.sql("SELECT 1 FROM rate_pair WHERE next_refresh_at > clock_timestamp()") == []


def _steps(site: Site, order: OrderRecord) -> list[str]:
    rows = site.sql("SELECT event FROM order_event WHERE order_id = %s ORDER BY id", order.id)
    return [row[0] for row in rows]


def _waits_an_hour(site: Site) -> list[Any]:
    """Pending work that is not due within a minute, or leased beyond it."""
    later = "clock_timestamp() + interval '1 minute'"
    return [
        (table, *row)
        for table in WORK
        for row in site.sql(
            f"SELECT id FROM {table} WHERE state = 'pending' AND (next_at > {later} OR lease_until > {later})"
        )
    ]


def _shift(site: Site, by: timedelta) -> None:
    """What is decided by of the store's orders, and the last beat, as if the clock had been moved since."""
    with site.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("UPDATE heartbeat SET beat_at = beat_at + %s WHERE role = 'clock'", [by])
        connection.execute(
            "UPDATE orders SET created_at = created_at + %(by)s, due_at = due_at + %(by)s, pay_by = pay_by + %(by)s,"
            " match_by = match_by + %(by)s, confirm_by = confirm_by + %(by)s,"
            " updated_at = updated_at + %(by)s, retry_at = retry_at + %(by)s"
            " WHERE store_id = %(store)s",
            {"by": by, "store": site.shop.store_id},
        )
        connection.execute(
            "UPDATE order_event v SET at = at + %s FROM orders o WHERE o.id = v.order_id AND o.store_id = %s",
            [by, site.shop.store_id],
        )
        for table in WORK:
            connection.execute(
                f"UPDATE {table} SET next_at = next_at + %(by)s, created_at = created_at + %(by)s,"
                " lease_until = lease_until + %(by)s WHERE state = 'pending'",
                {"by": by},
            )
        connection.execute(
            "UPDATE rate_pair SET observed_at = observed_at + %(by)s, next_refresh_at = next_refresh_at + %(by)s",
            {"by": by},
        )


@pytest.mark.proves("F24")
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_the_figures_of_a_day_begin_at_its_midnight_where_the_hour_changes(site: Site, day: str) -> None:
    """23 and 25 hours: asked at 23:30 of the very day."""
    zone = ZoneInfo("Europe/Berlin")
    evening = datetime.fromisoformat(f"{day}T23:30:00").replace(tzinfo=zone)
    with time_machine.travel(evening.astimezone(UTC), tick=False), transaction():
        figures = read_day(Whose(stores=(site.shop.store_id,)), Mode.LIVE, zone)
    length = figures.now - figures.today_from.astimezone(UTC)
    assert length == timedelta(hours=22.5 if day.startswith("2026-03") else 24.5)
    starts = [start.astimezone(UTC) for start, _ in figures.per_hour("RUB")]
    assert all(after - before == HOUR for before, after in pairwise(starts))


@pytest.mark.proves("F24")
def test_limits_of_a_day_are_counted_in_the_operators_zone(site: Site) -> None:
    """At any moment it is another day on Kiritimati than in the zone 12 hours west of Greenwich."""
    requisite = site.desk.requisite.id
    with transaction():
        hot("UPDATE requisite SET day_count_limit = 2 WHERE id = %(id)s", {"id": requisite})
    days = []
    for zone in ("Etc/GMT+12", "Pacific/Kiritimati"):
        with transaction():
            setting_changes.set_value(config.DAY_TIMEZONE.key, zone, SYSTEM)
        today = site.sql("SELECT (now() AT TIME ZONE %s)::date", zone)[0][0]
        order = site.desk.payin(1000_00 + len(days))
        days.append(site.sql("SELECT counted_day FROM orders WHERE id = %s", order.id)[0][0])
        assert days[-1] == today
    assert days[0] != days[1]
    with transaction():
        setting_changes.reset(config.DAY_TIMEZONE.key, SYSTEM)


@pytest.mark.proves("F24")
def test_a_new_day_gives_the_limits_back_once(site: Site) -> None:
    requisite = site.desk.requisite.id
    zone = str(config.get(config.DAY_TIMEZONE))
    with transaction():
        hot("UPDATE requisite SET day_count_limit = 1 WHERE id = %(id)s", {"id": requisite})
    first = site.desk.payin(1000_00)
    waiting = site.desk.scene.payin(1100_00)
    assert waiting.status == Status.MATCHING
    assert free_limits(zone) == 0, "the day is not over"
    _midnight(site, requisite, first)
    assert [free_limits(zone), free_limits(zone)] == [1, 0]
    assert site.desk.payin(1200_00).status == Status.AWAITING_PAYMENT


def _midnight(site: Site, requisite: uuid.UUID, order: OrderRecord) -> None:
    """Yesterday's counters, as a day that passed leaves them."""
    site.sql("UPDATE requisite SET day = day - 1 WHERE id = %s", requisite)
    site.sql("UPDATE orders SET counted_day = counted_day - 1 WHERE id = %s", order.id)


@pytest.mark.proves("F32")
def test_after_six_hours_of_standstill_everybody_gets_their_time_back(site: Site) -> None:
    paying, claimed = site.desk.payin(1000_00), site.desk.payin(1100_00, claimed=True)
    left_before = [(site.desk.now(order).due_at or now(site)) - now(site) for order in (paying, claimed)]
    beat(60)
    _shift(site, timedelta(hours=-6))
    with site.app.app_context():
        gap = beat(60)
        assert gap is not None
        assert timedelta(hours=6) <= gap < timedelta(hours=6, minutes=1)
        assert act_on_due_orders() == 0
    for order, before in zip((paying, claimed), left_before, strict=True):
        found = site.desk.now(order)
        assert found.status == order.status
        assert abs((found.due_at or now(site)) - now(site) - before) < timedelta(seconds=30)
        steps = site.sql(
            "SELECT event, reason FROM order_event WHERE order_id = %s ORDER BY id DESC LIMIT 1", order.id
        )
        assert steps == [("deadline_extended", "outage")]
    assert beat(60) is None, "an outage is credited once"
    assert site.desk.browser.post(path_of(claimed, "confirmation")).status_code == 200
