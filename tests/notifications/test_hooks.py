"""What tells people by itself: a disabled endpoint, a new device, a change of access that needs two."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from portal.approvals.access import change_access
from portal.core.actors import SYSTEM, Actor, ActorKind
from portal.core.db import db, transaction
from portal.core.egress import Answer
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.events.models import Event
from portal.events.relay import relay_events
from portal.identity.access.changes import AccessChange
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.models import MerchantMember, MerchantMemberStore
from portal.identity.tokens.devices import device_words
from portal.mail.models import Mail, MailboxMessage, MailKind
from portal.mail.sending import send_next_mail
from portal.mail.transport import MailboxTransport
from portal.merchants.queries import get_store
from portal.merchants.service import NewStore, create_store
from portal.notifications.models import NotificationKind
from portal.notifications.queries import list_notifications
from portal.webhooks.attempt import judge
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.leases import claim_deliveries
from portal.webhooks.outcomes import record_outcomes
from portal.webhooks.queries import get_endpoint
from portal.webhooks.service import EndpointUrl, enable_endpoint, set_endpoint
from tests.scene import Scene, build_scene
from tests.web.desk import Browser, new_user

URL = "https://shop.example.com/hook"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture
def scene(app: Flask) -> Scene:
    with transaction():
        return build_scene()


def member(store_id: uuid.UUID, role: MemberRole, *, works_in: uuid.UUID | None = None) -> User:
    """Somebody of the store's merchant; in `works_in` alone if it is given."""
    user = new_user(Role.MERCHANT)
    with transaction():
        key = {"merchant_id": get_store(store_id).merchant_id, "user_id": user.id}
        db.session.add(MerchantMember(role=role.value, has_all_stores=works_in is None, **key))
        db.session.flush()
        if works_in is not None:
            db.session.add(MerchantMemberStore(store_id=works_in, **key))
            db.session.flush()
    return user


def answer_410(store_id: uuid.UUID) -> None:
    """Something happens, and the shop says that its endpoint is gone."""
    with transaction():
        happened = {"type": "order.completed", "mode": "test", "data": {}, "version": 1}
        db.session.add(
            Event(id=new_id(), store_id=store_id, subject_kind="order", subject_id=new_id(), **happened)
        )
        db.session.flush()
    relay_events(create_deliveries)
    with transaction():
        [claim] = claim_deliveries(limit=1, per_endpoint=1, failing=False, busy={})
        record_outcomes([judge(claim, Answer(410, {}, b"", is_cut=False), 5)])


def test_who_can_repair_an_endpoint_hears_that_it_is_disabled(scene: Scene) -> None:
    with transaction():
        second = create_store(get_store(scene.store_id).merchant_id, NewStore(name="Second"), actor=SYSTEM).id
        set_endpoint(scene.store_id, Mode.TEST, EndpointUrl(URL))
    concerned = [
        member(scene.store_id, MemberRole.OWNER),
        member(scene.store_id, MemberRole.DEVELOPER),
        member(scene.store_id, MemberRole.DEVELOPER, works_in=scene.store_id),
    ]
    others = [
        member(scene.store_id, MemberRole.VIEWER),
        member(scene.store_id, MemberRole.DEVELOPER, works_in=second),
        new_user(Role.MERCHANT),
    ]
    answer_410(scene.store_id)
    for user in concerned:
        [line] = list_notifications(user.id)
        assert line.kind is NotificationKind.ENDPOINT_DISABLED
        assert line.params == {"store": get_store(scene.store_id).name, "url": URL}
    assert [list_notifications(user.id) for user in others] == [[], [], []]
    with transaction():
        enable_endpoint(get_endpoint(scene.store_id, Mode.TEST))
    answer_410(scene.store_id)
    assert len(list_notifications(concerned[0].id)) == 2, "each time anew"


def sign_in(app: Flask, user: User, agent: str) -> None:
    browser = Browser(app.test_client())
    browser.client.environ_base["HTTP_USER_AGENT"] = agent
    assert browser.sign_in(user.email).status_code == 303


@pytest.fixture
def in_time(committing_app: Flask) -> Iterator[Flask]:
    """An app whose transactions end, so that the pauses between sign-ins pass."""
    with committing_app.app_context():
        yield committing_app
        db.session.rollback()


@pytest.mark.proves("ASVS 27")
def test_a_new_device_is_told_to_its_owner_and_a_known_one_is_not(in_time: Flask) -> None:
    user = new_user(Role.TRADER)
    sign_in(in_time, user, AGENT)
    assert list_notifications(user.id) == [], "the first device is nobody's surprise"
    sign_in(in_time, user, AGENT)
    assert list_notifications(user.id) == []
    sign_in(in_time, user, AGENT.replace("Firefox", "Chrome").replace("X11; Linux", "Windows NT 10.0"))
    [line] = list_notifications(user.id)
    assert (line.kind, line.link) == (NotificationKind.NEW_DEVICE, "/account/security")
    assert line.params["device"] == "Chrome, Windows"
    assert line.params["ip"] == "127.0.0.1"
    [mail] = db.session.scalars(db.select(Mail).where(Mail.recipient == user.email))
    assert mail.kind == MailKind.NEW_DEVICE.value


def test_a_change_that_needs_two_is_told_to_those_who_may_decide_it(app: Flask) -> None:
    asking, deciding, other = new_user(Role.ADMIN), new_user(Role.ADMIN), new_user(Role.SUPPORT)
    change = AccessChange(add_roles=frozenset({Role.ADMIN}))
    with transaction():
        request_id = change_access(other.id, change, "needs it", actor=Actor(ActorKind.ADMIN, asking.id))
    assert request_id is not None
    [line] = list_notifications(deciding.id)
    assert line.kind is NotificationKind.APPROVAL_WANTED
    assert line.link == f"/admin/approvals/{request_id}"
    assert list_notifications(asking.id) == list_notifications(other.id) == []
    db.session.execute(text("DELETE FROM mail WHERE recipient <> :to"), {"to": deciding.email})
    assert send_next_mail(MailboxTransport())
    assert "asks to change what Tara may do" in db.session.scalars(db.select(MailboxMessage)).one().text


def test_a_change_that_needs_one_bothers_nobody(app: Flask) -> None:
    asking, deciding, other = new_user(Role.ADMIN), new_user(Role.ADMIN), new_user(Role.SUPPORT)
    change = AccessChange(remove_roles=frozenset({Role.SUPPORT}), add_roles=frozenset())
    with transaction():
        done = change_access(other.id, change, "left", actor=Actor(ActorKind.ADMIN, asking.id))
    assert done is None
    assert list_notifications(deciding.id) == []


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (AGENT, "Firefox, Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Safari/604.1",
            "Safari, iOS",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
            "Chrome, Android",
        ),
        ("python-requests/2.32", "python-requests/2.32"),
        (None, "-"),
    ],
)
def test_a_device_is_called_by_names_that_people_know(agent: str | None, words: str) -> None:
    assert device_words(agent) == words
