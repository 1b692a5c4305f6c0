"""Who hears of new orders and disputes, through the real relay, and what it costs."""

from __future__ import annotations

import pytest
from flask import Flask
from psycopg import RawCursor
from sqlalchemy import text

from portal.core.db import db, transaction
from portal.core.ids import public_id
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.events.models import Event
from portal.events.relay import relay_events
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.models import MerchantMember
from portal.mail.models import Mail
from portal.merchants.queries import get_store
from portal.notifications.models import Notification, NotificationKind
from portal.notifications.queries import count_unread, list_notifications
from portal.orders.queries import get_order
from portal.orders.service.confirm import confirm_payin
from portal.workers import notices
from portal.workers.relay import handle_events
from tests.scene import as_trader
from tests.web.desk import Desk, new_user, open_desk


@pytest.fixture
def desk(app: Flask) -> Desk:
    desk = open_desk(app)
    relay()
    return desk


def relay() -> None:
    while relay_events(handle_events):
        pass


def member(desk: Desk, role: MemberRole) -> User:
    user = new_user(Role.MERCHANT)
    with transaction():
        merchant_id = get_store(desk.scene.store_id).merchant_id
        db.session.add(MerchantMember(merchant_id=merchant_id, user_id=user.id, role=role.value))
        db.session.flush()
    return user


def test_a_trader_hears_of_a_new_payin_and_nobody_else_does(desk: Desk) -> None:
    other = open_desk(desk.app)
    order = desk.payin(1500_00)
    assert list_notifications(desk.user.id) == [], "not in the order's own transaction"
    relay()
    [line] = list_notifications(desk.user.id)
    assert line.kind is NotificationKind.NEW_ORDER
    assert line.params == {"order": public_id("ord", order.id), "amount": "1500.00 RUB"}
    assert line.link == f"/trader/orders/{public_id('ord', order.id)}"
    assert count_unread(other.user.id) == 0


def test_an_accepted_payout_is_no_news_to_who_accepted_it(desk: Desk) -> None:
    desk.payout(2000_00, accepted=True)
    relay()
    assert count_unread(desk.user.id) == 0


def test_the_bell_forgets_an_order_that_is_done_with(desk: Desk) -> None:
    done, open_still = desk.payin(1500_00), desk.payin(700_00)
    relay()
    assert count_unread(desk.user.id) == 2
    with transaction():
        confirm_payin(get_order(done.id, lock=True), None, actor=as_trader(desk.trader))
    relay()
    assert count_unread(desk.user.id) == 1
    [unread] = [line for line in list_notifications(desk.user.id) if line.read_at is None]
    assert public_id("ord", open_still.id) in unread.link


def test_a_dispute_is_told_to_all_it_concerns_until_it_is_decided(desk: Desk) -> None:
    support, admin = new_user(Role.SUPPORT), new_user(Role.ADMIN)
    owner, accountant = member(desk, MemberRole.OWNER), member(desk, MemberRole.ACCOUNTANT)
    order = desk.payin(claimed=True)
    with transaction():
        open_dispute(
            get_order(order.id, lock=True),
            DisputeReason.NOT_RECEIVED,
            None,
            None,
            actor=as_trader(desk.trader),
        )
    relay()
    concerned = (desk.user.id, desk.scene.lead_id, support.id, owner.id)
    about = db.select(Notification.user_id).where(
        Notification.kind == NotificationKind.DISPUTE_OPENED.value, Notification.about == str(order.id)
    )
    assert set(db.session.scalars(about)) >= set(concerned)
    assert not {admin.id, accountant.id} & set(db.session.scalars(about))
    number = public_id("ord", order.id)
    portals = dict(zip(concerned, ("trader", "lead", "support", "merchant"), strict=True))
    for person, portal in portals.items():
        link = next(
            line.link for line in list_notifications(person) if line.kind is NotificationKind.DISPUTE_OPENED
        )
        assert link == f"/{portal}/orders/{number}"
    mailed = set(db.session.scalars(db.select(Mail.recipient)))
    assert {support.email, owner.email, desk.user.email} <= mailed
    with transaction():
        resolve_dispute(
            get_order(order.id, lock=True),
            DisputeOutcome.COMPLETED,
            None,
            "it came",
            actor=desk.scene.support,
        )
    relay()
    assert [count_unread(person) for person in concerned] == [0] * 4


def test_an_event_that_is_handled_twice_is_told_once(desk: Desk) -> None:
    desk.payin()
    relay()
    db.session.execute(text("UPDATE event SET state = 'pending', next_at = now(), done_at = NULL"))
    relay()
    assert len(list_notifications(desk.user.id)) == 1


def test_a_notification_that_fails_keeps_no_webhook_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        db.session.execute(text("SELECT 1 / 0"))
        return 0

    desk.payin()
    monkeypatch.setattr(notices, "tell", broken)
    relay()
    assert set(db.session.scalars(db.select(Event.state))) == {"done"}
    assert list_notifications(desk.user.id) == []


def test_a_hundred_new_orders_cost_no_more_statements_than_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[bytes] = []
    plain = RawCursor.execute

    def counting(self, query, *rest, **options):  # type: ignore[no-untyped-def]
        counted.append(query)
        return plain(self, query, *rest, **options)

    def cost_of(orders: int) -> int:
        for _ in range(orders):
            copy_event(desk)
        counted.clear()
        relay_events(handle_events)
        return len(counted)

    desk.payin()
    relay()
    monkeypatch.setattr(RawCursor, "execute", counting)
    first = cost_of(1)
    assert cost_of(90) == first
    assert count_unread(desk.user.id) == 92


def copy_event(desk: Desk) -> None:
    """The same news of another order."""
    columns = "mode, store_id, trader_id, subject_kind, version, requisite_id, data, type"
    sql = f"""INSERT INTO event (id, subject_id, {columns})
              SELECT gen_random_uuid(), gen_random_uuid(), {columns} FROM event
               WHERE type = 'order.matched' AND trader_id = :trader LIMIT 1"""
    db.session.execute(text(sql), {"trader": desk.trader.id})
    db.session.commit()


def test_a_trader_without_a_login_is_told_nothing(app: Flask) -> None:
    desk = open_desk(app)
    with transaction():
        desk.trader.user_id = None
        db.session.flush()
    desk.payin()
    relay()
    assert set(db.session.scalars(db.select(Event.state))) == {"done"}
    assert list_notifications(desk.user.id) == []
