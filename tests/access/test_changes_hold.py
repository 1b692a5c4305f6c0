"""What is changed of somebody's access holds with their next request, over HTTP (rows 51, 69 and 70)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from portal.approvals.access import change_access
from portal.core.db import db, transaction
from portal.core.errors import Forbidden
from portal.core.permissions import Permission
from portal.identity.access.changes import AccessChange
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.invitations import create_invitation
from portal.identity.roles import takes_two_people
from portal.identity.service import disable_user
from portal.web.shell.security import session_cookie
from tests.access.people import acting, person
from tests.web.desk import Browser, Desk, new_user, open_desk


@pytest.fixture
def app(committing_app: Flask) -> Iterator[Flask]:
    with committing_app.app_context():
        yield committing_app


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


@pytest.fixture
def admin(app: Flask) -> User:
    with transaction():
        return person(Role.ADMIN, name="Ada")


def change(user: User, admin: User, **what: object) -> None:
    with transaction():
        assert change_access(user.id, AccessChange(**what), "A test", actor=acting(admin)) is None  # type: ignore[arg-type]


@pytest.mark.proves("attack 70", "ASVS 34")
def test_row_70_a_denial_closes_the_page_with_the_next_request(desk: Desk, admin: User) -> None:
    assert desk.browser.get("/trader/queue").status_code == 200
    change(desk.user, admin, deny=frozenset({Permission.TRADER_QUEUE_VIEW}))
    for path in ("/trader/queue", "/trader/queue/cards", "/streams/trader"):
        answer = desk.browser.get(path)
        assert answer.status_code == 403
        assert "trader_queue:view" in answer.get_data(as_text=True)
    change(desk.user, admin, clear=frozenset({Permission.TRADER_QUEUE_VIEW}))
    assert desk.browser.get("/trader/queue").status_code == 200


@pytest.mark.proves("attack 70")
def test_row_70_a_form_that_was_open_is_refused_and_changes_nothing(desk: Desk, admin: User) -> None:
    order = desk.payin(claimed=True)
    change(desk.user, admin, deny=frozenset({Permission.PAYIN_CONFIRM}))
    from portal.core.ids import public_id

    answer = desk.browser.post(
        f"/trader/payins/{public_id('ord', order.id)}/confirmation", {"amount": "1500"}
    )
    assert answer.status_code == 403
    assert "payin:confirm" in answer.get_data(as_text=True)
    assert desk.now(order).status == order.status


@pytest.mark.proves("attack 51")
def test_row_51_a_role_that_is_taken_away_ends_every_session(app: Flask, admin: User) -> None:
    user = new_user(Role.SUPPORT, Role.LEAD)
    browser = Browser(app.test_client())
    assert browser.sign_in(user.email).status_code == 303
    change(user, admin, remove_roles=frozenset({Role.LEAD}))
    answer = browser.get("/account")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in")


@pytest.mark.proves("attack 51")
def test_row_51_a_copied_cookie_is_dead_once_its_owner_is_switched_off(desk: Desk, app: Flask) -> None:
    stolen = desk.browser.client.get_cookie(session_cookie())
    assert stolen is not None
    thief = Browser(app.test_client())
    thief.client.set_cookie(session_cookie(), stolen.value)
    assert thief.get("/trader/queue").status_code == 200
    with transaction():
        disable_user(db.session.get_one(User, desk.user.id))
    assert thief.get("/trader/queue").status_code == 303
    assert thief.get("/trader/queue/cards", headers={"HX-Request": "true"}).status_code == 401
    assert thief.get("/streams/trader", headers={"Accept": "text/event-stream"}).status_code == 401


@pytest.mark.proves("attack 69")
def test_row_69_one_administrator_alone_lets_no_other_in(app: Flask, admin: User) -> None:
    assert [role for role in Role if takes_two_people(role)] == [Role.ADMIN]
    with pytest.raises(Forbidden, match="another administrator"), transaction():
        create_invitation("friend@example.test", [Role.ADMIN], invited_by=acting(admin))
    with transaction():
        helper = person(Role.SUPPORT, name="Sam")
        promotion = AccessChange(add_roles=frozenset({Role.ADMIN}))
        assert change_access(helper.id, promotion, "They help", actor=acting(admin)) is not None
    assert not db.session.get_one(User, helper.id, populate_existing=True).has_role(Role.ADMIN)


def test_a_member_of_two_merchants_has_each_role_in_its_own_stores_alone(app: Flask) -> None:
    from portal.identity.people.models import MerchantMember
    from portal.merchants.models import Store
    from portal.merchants.queries import list_stores_of_member

    one, other = open_desk(app), open_desk(app)
    with transaction():
        user = person(Role.MERCHANT, name="Mia")
        for desk, role in ((one, MemberRole.OWNER), (other, MemberRole.VIEWER)):
            merchant_id = db.session.get_one(Store, desk.scene.store_id).merchant_id
            db.session.add(MerchantMember(merchant_id=merchant_id, user_id=user.id, role=role.value))
        db.session.flush()
    with transaction():
        seen = {store.id for store in list_stores_of_member(user.id, Permission.ORDER_VIEW)}
        paid = {store.id for store in list_stores_of_member(user.id, Permission.BALANCE_VIEW)}
    assert seen == {one.scene.store_id, other.scene.store_id}
    assert paid == {one.scene.store_id}
