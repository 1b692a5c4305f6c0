"""`/account/tokens`: programs that use one's name, and keys of one's stores, over HTTP."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.api.operations import operation_of
from portal.core.db import db, hot, transaction
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.identity.models import Audience, MemberRole, Role, Scope, User
from portal.identity.people.models import MerchantMember
from portal.identity.tokens.api_keys import find_key, issue_api_key
from portal.identity.tokens.token_families import find_family, start_personal_family
from portal.merchants.models import Store
from tests.web.desk import Browser, Desk, new_user, open_desk

PAGE = "/account/tokens"


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    return committing_app


@dataclass
class Member:
    user: User
    browser: Browser
    store_id: uuid.UUID

    def issue(self, **values: object) -> TestResponse:
        self.browser.read_token(PAGE)
        form = {
            "store": public_id("st", self.store_id),
            "mode": "test",
            "name": "Till",
            "scopes": "orders:read",
        }
        return self.browser.post(f"{PAGE}/keys", form | values, htmx=False)


def join(desk: Desk, role: MemberRole) -> Member:
    user = new_user(Role.MERCHANT)
    with transaction():
        store = db.session.get_one(Store, desk.scene.store_id)
        db.session.add(MerchantMember(merchant_id=store.merchant_id, user_id=user.id, role=role.value))
        db.session.flush()
    browser = desk.new_browser()
    assert browser.sign_in(user.email).status_code == 303
    return Member(user, browser, desk.scene.store_id)


def test_every_scope_that_the_api_asks_for_is_offered_in_words_and_no_other(app: Flask) -> None:
    asked = {one.scope for view in app.view_functions.values() if (one := operation_of(view)) and one.scope}
    with app.app_context():
        page = join(open_desk(app), MemberRole.OWNER).browser.get(PAGE).get_data(as_text=True)
    offered = re.findall(
        r'name="scopes" value="([^"]+)"[^>]*><span class="form-check-label">(.+?) <code>', page
    )
    assert {scope for scope, _words in offered} == {scope.value for scope in asked}
    assert all(" " in words for _scope, words in offered)


def keys_of(store_id: uuid.UUID) -> list[dict[str, object]]:
    with transaction():
        sql = (
            "SELECT id, scopes, mode, revoked_at, expires_at FROM api_key WHERE store_id = %(s)s ORDER BY id"
        )
        return hot(sql, {"s": store_id})


@pytest.fixture
def owner(in_context: Flask) -> Member:
    return join(open_desk(in_context), MemberRole.OWNER)


def test_a_key_is_shown_once_and_works(owner: Member) -> None:
    answer = owner.issue(allowed_networks="203.0.113.0/24, 198.51.100.7", days="30")
    assert answer.status_code == 201
    secret = re.search(r"nst_test_[0-9A-Za-z]{43}", answer.get_data(as_text=True))
    assert secret is not None
    with transaction():
        key = find_key(secret[0], 0)
    assert key is not None
    assert (key.store_id, key.scopes) == (owner.store_id, {Scope.ORDERS_READ})
    assert [str(network) for network in key.networks] == ["203.0.113.0/24", "198.51.100.7/32"]
    page = owner.browser.get(PAGE).get_data(as_text=True)
    assert "Till" in page
    assert secret[0] not in page
    assert secret[0][-4:] in page
    entry = hot(
        "SELECT * FROM audit_entry WHERE actor_id = %(u)s AND action = 'api_key.issued'", {"u": owner.user.id}
    )
    assert len(entry) == 1
    assert secret[0] not in str(entry)


def test_nobody_gets_by_a_key_what_they_were_not_given(in_context: Flask) -> None:
    developer = join(open_desk(in_context), MemberRole.DEVELOPER)
    page = developer.browser.get(PAGE).get_data(as_text=True)
    assert "payouts:write" not in page
    answer = developer.issue(scopes="payouts:write")
    assert answer.status_code in {403, 422}
    assert keys_of(developer.store_id) == []


def test_rotating_a_key_that_may_more_than_oneself_is_refused(in_context: Flask) -> None:
    developer = join(open_desk(in_context), MemberRole.DEVELOPER)
    with transaction():
        key, _ = issue_api_key(developer.store_id, Mode.LIVE, "Owner's", [Scope.PAYOUTS_WRITE])
    developer.browser.read_token(PAGE)
    assert developer.browser.post(f"{PAGE}/keys/{key.id}/rotation", htmx=False).status_code == 403
    assert len(keys_of(developer.store_id)) == 1


def test_rotation_overlaps_and_revocation_is_at_once(owner: Member) -> None:
    owner.issue()
    first = keys_of(owner.store_id)[0]
    owner.browser.read_token(PAGE)
    assert owner.browser.post(f"{PAGE}/keys/{first['id']}/rotation", htmx=False).status_code == 201
    former, new = keys_of(owner.store_id)
    assert former["expires_at"] is not None
    assert former["revoked_at"] is None
    assert owner.browser.post(f"{PAGE}/keys/{new['id']}/revocation", htmx=False).status_code == 303
    assert keys_of(owner.store_id)[1]["revoked_at"] is not None


@pytest.mark.proves("attack 62")
def test_row_62_a_strangers_store_in_the_form_is_not_there(owner: Member, in_context: Flask) -> None:
    foreign = open_desk(in_context).scene.store_id
    answer = owner.issue(store=public_id("st", foreign))
    assert answer.status_code in {404, 422}
    assert keys_of(foreign) == []


@pytest.mark.parametrize("role", [MemberRole.ACCOUNTANT, MemberRole.VIEWER])
def test_who_may_not_see_keys_sees_none(in_context: Flask, role: MemberRole) -> None:
    member = join(open_desk(in_context), role)
    with transaction():
        issue_api_key(member.store_id, Mode.LIVE, "Secretive", [Scope.ORDERS_READ])
    page = member.browser.get(PAGE)
    assert page.status_code == 200
    assert "Secretive" not in page.get_data(as_text=True)
    assert "Issue a key" not in page.get_data(as_text=True)


def test_issuing_needs_a_fresh_proof(owner: Member) -> None:
    owner.browser.read_token(PAGE)
    with transaction():
        hot("UPDATE user_session SET sudo_until = now() WHERE user_id = %(u)s", {"u": owner.user.id})
    answer = owner.issue()
    assert answer.status_code == 303
    assert "/sudo" in answer.headers["Location"]
    assert keys_of(owner.store_id) == []


def test_a_program_is_signed_out_from_the_page(owner: Member) -> None:
    with transaction():
        family, _ = start_personal_family(owner.user.id, Audience.MERCHANT, 3600)
    owner.browser.read_token(PAGE)
    assert owner.browser.post(f"{PAGE}/programs/{family.id}/revocation", htmx=False).status_code == 303
    with transaction():
        assert find_family(family.id, 0) is None
