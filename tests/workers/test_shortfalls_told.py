"""Administrators hear which trader has used up the payins below their amount that a day gives, once a day."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from flask import Flask

from portal.core.actors import CUSTOMER, SYSTEM, Actor, ActorKind
from portal.core.db import db, hot, transaction
from portal.core.modes import Mode
from portal.events.relay import RelayedEvent, relay_events
from portal.identity.models import Role, User
from portal.mail.models import Mail, MailKind
from portal.notifications.models import NotificationKind
from portal.notifications.queries import NotificationLine, list_notifications
from portal.orders.queries import get_order
from portal.orders.service import agree_to_amount, confirm_payin
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.workers.notices import AMOUNT_CHANGED, tell_of_events
from portal.workers.relay import handle_events
from tests.scene import as_trader
from tests.web.desk import Desk, new_user, open_desk

pytestmark = pytest.mark.proves("tried S3")


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


@pytest.fixture
def admin(desk: Desk) -> User:
    return new_user(Role.ADMIN)


def relay() -> None:
    while relay_events(handle_events):
        pass


def confirmed(desk: Desk, short: int, actor: Actor | None = None) -> None:
    order = desk.payin(claimed=True)
    with transaction():
        confirm_payin(
            get_order(order.id, lock=True), order.amount_minor - short, actor=actor or as_trader(desk.trader)
        )
    relay()


def told(admin: User) -> list[NotificationLine]:
    return [line for line in list_notifications(admin.id) if line.kind is NotificationKind.SHORTFALLS_USED_UP]


def test_administrators_hear_of_the_trader_with_the_last_one_of_the_day_and_nobody_else_does(
    desk: Desk, admin: User
) -> None:
    support = new_user(Role.SUPPORT)
    for _ in range(4):
        confirmed(desk, 1)
    confirmed(desk, -1)
    confirmed(desk, 1, Actor(ActorKind.SUPPORT, support.id))
    assert told(admin) == []
    confirmed(desk, 1)
    [line] = told(admin)
    assert line.params == {"trader": desk.trader.name, "most": "5"}
    assert line.link == f"/admin/traders/{desk.trader.id}"
    for person in (support, desk.user):
        kinds = {line.kind for line in list_notifications(person.id)}
        assert NotificationKind.SHORTFALLS_USED_UP not in kinds
    mailed = db.select(Mail.recipient).where(Mail.kind == MailKind.SHORTFALLS_USED_UP.value)
    assert set(db.session.scalars(mailed)) == {admin.email}


def test_they_hear_of_a_trader_once_a_day(desk: Desk, admin: User) -> None:
    for _ in range(5):
        confirmed(desk, 1)
    db.session.execute(db.text("UPDATE event SET state = 'pending', next_at = now(), done_at = NULL"))
    relay()
    another_agreed(desk)
    assert len(told(admin)) == 1
    with transaction():
        # As if it had been told on another day.
        hot(
            "UPDATE notification SET about = replace(about, (now() AT TIME ZONE 'UTC')::date::text, '2001-01-01')"
            " WHERE kind = 'shortfalls_used_up'"
        )
    another_agreed(desk)
    assert len(told(admin)) == 2


def another_agreed(desk: Desk) -> None:
    """The trader reports one more, and its customer agrees."""
    order = desk.payin(claimed=True)
    with transaction():
        confirm_payin(get_order(order.id, lock=True), order.amount_minor - 1, actor=as_trader(desk.trader))
    with transaction():
        agree_to_amount(get_order(order.id, lock=True), order.amount_minor - 1, actor=CUSTOMER)
    relay()


def test_nobody_has_used_up_what_nobody_is_given(desk: Desk, admin: User) -> None:
    with transaction():
        setting_changes.set_value(config.TOLERANCE_TRADER_DAY.key, 0, SYSTEM)
    another_agreed(desk)
    assert told(admin) == []


def test_of_test_orders_nobody_hears(desk: Desk, admin: User) -> None:
    with transaction():
        setting_changes.set_value(config.TOLERANCE_TRADER_DAY.key, 1, SYSTEM)
    order = desk.payin(claimed=True)
    with transaction():
        confirm_payin(get_order(order.id, lock=True), order.amount_minor - 1, actor=as_trader(desk.trader))
    news = RelayedEvent(
        uuid.uuid4(),
        AMOUNT_CHANGED,
        Mode.TEST.value,
        desk.scene.store_id,
        desk.trader.id,
        "order",
        order.id,
        0,
    )
    with transaction():
        tell_of_events([news])
    assert told(admin) == []
    with transaction():
        tell_of_events([replace(news, mode=Mode.LIVE.value)])
    assert len(told(admin)) == 1
