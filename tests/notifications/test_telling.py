"""People are told once, as they chose, and nobody else hears of it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.db import db, transaction
from portal.core.errors import NotFound
from portal.identity.models import Role, User
from portal.mail.models import Mail, MailKind
from portal.notifications import service
from portal.notifications.kinds import TELLINGS, kinds_for
from portal.notifications.models import Notification, NotificationKind
from portal.notifications.queries import COUNTED_TO, count_unread, get_link, list_choices, list_notifications
from portal.notifications.service import Notice, choose, mark_read, notify, settle, tell
from tests.web.desk import new_user

ORDER = {"order": "ord_x", "amount": "1500.00 RUB"}
NEW_ORDER, DISPUTE = NotificationKind.NEW_ORDER, NotificationKind.DISPUTE_OPENED


def tell_of_dispute(*users: User, about: str = "one") -> int:
    with transaction():
        return notify([user.id for user in users], DISPUTE, ORDER, "/trader/queue", about=about)


def mails_to(user: User) -> list[Mail]:
    return list(db.session.scalars(db.select(Mail).where(Mail.recipient == user.email)))


@pytest.fixture
def anna(app: Flask) -> User:
    return new_user(Role.TRADER, locale="ru")


@pytest.fixture
def boris(app: Flask) -> User:
    return new_user(Role.SUPPORT)


@pytest.fixture
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    channels: list[str] = []
    monkeypatch.setattr(service, "nudge", lambda *named: channels.extend(named))
    return channels


def test_a_dispute_rings_and_mails_everybody_it_concerns(anna: User, boris: User, nudged: list[str]) -> None:
    assert tell_of_dispute(anna, boris) == 2
    assert count_unread(anna.id) == count_unread(boris.id) == 1
    [mail] = mails_to(anna)
    assert (mail.kind, mail.locale) == (MailKind.DISPUTE_OPENED.value, "ru")
    assert mail.params == ORDER | {"link": "/trader/queue"}
    assert sorted(nudged) == sorted([f"user:{anna.id}", f"user:{boris.id}"])


def test_what_was_told_is_not_told_again(anna: User) -> None:
    assert tell_of_dispute(anna) == 1
    assert tell_of_dispute(anna) == 0
    assert tell_of_dispute(anna, about="another") == 1
    assert len(mails_to(anna)) == count_unread(anna.id) == 2


def test_a_rolled_back_transaction_tells_nobody(anna: User, nudged: list[str]) -> None:
    with suppress(ZeroDivisionError), transaction():
        assert tell_of_dispute(anna) == 1
        raise ZeroDivisionError
    assert count_unread(anna.id) == 0
    assert mails_to(anna) == nudged == []


@pytest.mark.parametrize(("in_app", "by_mail"), [(True, True), (True, False), (False, True), (False, False)])
def test_each_is_told_as_they_chose(
    anna: User, boris: User, nudged: list[str], in_app: bool, by_mail: bool
) -> None:
    with transaction():
        choose(anna.id, DISPUTE, in_app=in_app, by_mail=by_mail)
    tell_of_dispute(anna, boris)
    tell_of_dispute(anna, boris)
    assert (count_unread(anna.id), len(mails_to(anna))) == (int(in_app), int(by_mail))
    assert (f"user:{anna.id}" in nudged) is in_app
    assert (count_unread(boris.id), len(mails_to(boris))) == (1, 1), "one person's choice is not another's"


def test_a_new_order_rings_and_does_not_mail_unless_asked_to(anna: User) -> None:
    with transaction():
        notify([anna.id], NEW_ORDER, ORDER, "/trader/queue", about="a")
    assert (count_unread(anna.id), mails_to(anna)) == (1, [])


def test_who_may_not_sign_in_any_more_is_not_told(anna: User) -> None:
    with transaction():
        anna.is_active = False
        db.session.flush()
    assert tell_of_dispute(anna) == 0
    assert mails_to(anna) == []


def test_reading_is_ones_own(anna: User, boris: User, nudged: list[str]) -> None:
    tell_of_dispute(anna, boris)
    tell_of_dispute(anna, about="two")
    nudged.clear()
    [newest, oldest] = list_notifications(anna.id)
    with transaction():
        assert mark_read(boris.id, newest.id) == 0, "a stranger's id changes nothing"
        assert count_unread(anna.id) == 2
        assert nudged == []
        assert mark_read(anna.id, newest.id) == 1
        assert mark_read(anna.id, newest.id) == 0
    assert nudged == [f"user:{anna.id}"]
    assert count_unread(anna.id) == 1
    with transaction():
        assert mark_read(anna.id) == 1
    assert (count_unread(anna.id), count_unread(boris.id)) == (0, 1)
    assert list_notifications(anna.id, after=newest.id)[0].id == oldest.id
    with pytest.raises(NotFound):
        get_link(boris.id, newest.id)


def test_what_calls_for_nothing_any_more_is_settled_for_everybody(
    anna: User, boris: User, nudged: list[str]
) -> None:
    tell_of_dispute(anna, boris)
    tell_of_dispute(anna, about="two")
    nudged.clear()
    with transaction():
        assert settle([DISPUTE], ["one"]) == 2
        assert settle([NEW_ORDER], ["two"]) == 0
    assert (count_unread(anna.id), count_unread(boris.id)) == (1, 0)
    assert len(nudged) == 2


def test_many_are_told_by_one_statement(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    plain = service.hot
    monkeypatch.setattr(service, "hot", lambda sql, params: asked.append(sql) or plain(sql, params))
    notices = [Notice(anna.id, NEW_ORDER, str(n), ORDER, "/trader/queue") for n in range(COUNTED_TO + 20)]
    with transaction():
        assert tell(notices) == COUNTED_TO + 20
        assert tell([]) == 0
    assert len(asked) == 1
    assert count_unread(anna.id) == COUNTED_TO + 1, "counting ends where the bell says: more"


@pytest.mark.parametrize("link", ["https://evil.example", "//evil.example"])
def test_a_notification_leads_into_this_house(anna: User, link: str) -> None:
    with pytest.raises(ValueError, match="path of this house"), transaction():
        notify([anna.id], DISPUTE, ORDER, link, about="x")


def test_a_forgotten_parameter_is_noticed(anna: User) -> None:
    with pytest.raises(ValueError, match="needs exactly"), transaction():
        notify([anna.id], DISPUTE, {"order": "x"}, "/", about="x")


def test_choices_are_of_what_concerns_ones_roles(anna: User, boris: User) -> None:
    assert [choice.kind for choice in list_choices(anna.id, (Role.TRADER,))] == [
        NEW_ORDER, DISPUTE, NotificationKind.NEW_DEVICE,
    ]  # fmt: skip
    assert NEW_ORDER not in kinds_for((Role.SUPPORT,))
    assert set(TELLINGS) == set(NotificationKind)
    with transaction():
        choose(anna.id, NEW_ORDER, in_app=False, by_mail=True)
        choose(anna.id, NEW_ORDER, in_app=False, by_mail=False)
    first = list_choices(anna.id, (Role.TRADER,))[0]
    assert (first.in_app, first.by_mail) == (False, False)


def test_old_notifications_are_forgotten(anna: User) -> None:
    tell_of_dispute(anna)
    tell_of_dispute(anna, about="two")
    db.session.execute(
        text("UPDATE notification SET created_at = now() - interval '91 days' WHERE about = 'two'")
    )
    with transaction():
        assert service.forget_old_notifications(limit=10) == 1
    assert db.session.scalars(db.select(Notification.about).where(Notification.user_id == anna.id)).all() == [
        "one"
    ]
