"""Tokens of people: traders at /trader/auth/token, staff at /<part>/auth/login, merchants' members by role."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from portal.approvals.access import change_access
from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.ids import public_id
from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import AccessChange
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.models import MerchantMember, MerchantMemberStore
from portal.identity.service import create_user, disable_user
from portal.merchants.models import Store
from portal.merchants.service import NewStore, create_store
from portal.reference import configuration
from tests.access.people import acting
from tests.api.conftest import Shop, code_of
from tests.web.auth.people import code_of as app_code
from tests.web.auth.people import forget_used_codes, give_app, give_codes, wrong_code_of

PASSWORD = "correct horse battery staple"
PATHS = {
    Role.TRADER: "/trader/auth/token",
    Role.SUPPORT: "/support/auth/login",
    Role.LEAD: "/lead/auth/login",
    Role.ADMIN: "/admin/auth/login",
}


def somebody(*roles: Role) -> User:
    with transaction():
        return create_user(f"{uuid.uuid4().hex}@example.test", "Pat", PASSWORD, roles)


def log_in(shop: Shop, user: User, role: Role, **more: Any) -> Any:
    body = {"email": user.email, "password": PASSWORD} | more
    return shop.post(PATHS[role], body, key=None, idem=None)


def refresh(shop: Shop, role: Role, token: str) -> Any:
    body = {"grant_type": "refresh_token", "refresh_token": token}
    return shop.post(PATHS[role], body, key=None, idem=None)


def me(shop: Shop, role: Role, token: str) -> Any:
    return shop.get(f"/{role.value}/auth/me", key=token)


def granted(shop: Shop, user: User, role: Role, **more: Any) -> dict[str, str]:
    answer = log_in(shop, user, role, **more)
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


@pytest.mark.parametrize("role", PATHS)
def test_each_role_gets_a_token_of_its_own_part(shop: Shop, role: Role) -> None:
    user = somebody(role)
    token = granted(shop, user, role)["access_token"]
    told = me(shop, role, token).json
    assert told["id"] == public_id("usr", user.id)
    assert told["roles"] == [role.value]
    assert told["permissions"]["account:view"] == "own"
    others = [other for other in PATHS if other is not role]
    assert [me(shop, other, token).status_code for other in others] == [401, 401, 401]
    assert shop.get("/api/v1/balances", key=token).status_code == 401


@pytest.mark.parametrize("role", PATHS)
def test_nobody_gets_a_token_of_a_part_they_do_not_work_in(shop: Shop, role: Role) -> None:
    user = somebody(*(other for other in Role if other is not role))
    assert code_of(log_in(shop, user, role)) == "invalid_credentials"


@pytest.mark.proves("attack 52")
def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_family(shop: Shop) -> None:
    user = somebody(Role.SUPPORT)
    first = granted(shop, user, Role.SUPPORT)
    second = refresh(shop, Role.SUPPORT, first["refresh_token"]).json
    assert me(shop, Role.SUPPORT, second["access_token"]).status_code == 200
    assert refresh(shop, Role.SUPPORT, first["refresh_token"]).status_code == 401
    assert refresh(shop, Role.SUPPORT, second["refresh_token"]).status_code == 401
    assert me(shop, Role.SUPPORT, second["access_token"]).status_code == 401


def test_a_refresh_token_is_for_its_own_part(shop: Shop) -> None:
    user = somebody(Role.SUPPORT, Role.ADMIN)
    first = granted(shop, user, Role.SUPPORT)
    assert refresh(shop, Role.ADMIN, first["refresh_token"]).status_code == 401
    merchant = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert shop.post("/merchant/auth/token", merchant, key=None, idem=None).status_code == 401
    assert refresh(shop, Role.SUPPORT, first["refresh_token"]).status_code == 200


def test_a_program_signs_itself_out(shop: Shop) -> None:
    user = somebody(Role.LEAD)
    given = granted(shop, user, Role.LEAD)
    assert shop.call("DELETE", PATHS[Role.LEAD], key=given["access_token"]).status_code == 204
    assert me(shop, Role.LEAD, given["access_token"]).status_code == 401
    assert refresh(shop, Role.LEAD, given["refresh_token"]).status_code == 401


@pytest.mark.parametrize("role", [Role.ADMIN, Role.TRADER])
def test_who_has_a_second_factor_must_send_its_code(shop: Shop, role: Role) -> None:
    user = somebody(role)
    secret = give_app(user)
    assert code_of(log_in(shop, user, role)) == "otp_required"
    assert code_of(log_in(shop, user, role, otp=wrong_code_of(secret))) == "invalid_credentials"
    code = app_code(secret)
    assert log_in(shop, user, role, otp=code).status_code == 200
    assert code_of(log_in(shop, user, role, otp=code)) == "invalid_credentials"


def test_a_recovery_code_serves_once(shop: Shop) -> None:
    user = somebody(Role.ADMIN)
    give_app(user)
    code = give_codes(user)[0]
    assert log_in(shop, user, Role.ADMIN, otp=code).status_code == 200
    assert log_in(shop, user, Role.ADMIN, otp=code).status_code == 401


def test_a_wrong_password_does_not_tell_of_a_second_factor(shop: Shop) -> None:
    user = somebody(Role.ADMIN)
    give_app(user)
    body = {"email": user.email, "password": "wrong"}
    assert code_of(shop.post(PATHS[Role.ADMIN], body, key=None, idem=None)) == "invalid_credentials"


def test_staff_without_a_second_factor_get_none_after_the_grace(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = somebody(Role.SUPPORT)
    real = configuration.get
    monkeypatch.setattr(
        configuration, "get", lambda s: 0 if s is configuration.SECOND_FACTOR_GRACE_S else real(s)
    )
    assert code_of(log_in(shop, user, Role.SUPPORT)) == "second_factor_wanted"


@pytest.mark.proves("attack 47")
def test_row_47_guesses_of_a_code_are_slowed_down(shop: Shop) -> None:
    user = somebody(Role.ADMIN)
    secret = give_app(user)
    wrong = wrong_code_of(secret)
    answers = [log_in(shop, user, Role.ADMIN, otp=wrong) for _ in range(7)]
    assert code_of(answers[-1]) == "too_many_attempts"
    assert int(answers[-1].headers["Retry-After"]) > 0
    forget_used_codes(user)
    assert log_in(shop, user, Role.ADMIN, otp=app_code(secret)).status_code == 429


@pytest.mark.proves("attack 51")
def test_row_51_a_disabled_persons_token_opens_nothing(shop: Shop) -> None:
    user = somebody(Role.SUPPORT)
    given = granted(shop, user, Role.SUPPORT)
    with transaction():
        disable_user(db.session.get_one(User, user.id))
    assert me(shop, Role.SUPPORT, given["access_token"]).status_code == 401
    assert refresh(shop, Role.SUPPORT, given["refresh_token"]).status_code == 401


@pytest.mark.proves("attack 70")
def test_row_70_a_denial_holds_with_the_next_request(shop: Shop) -> None:
    user, admin = somebody(Role.SUPPORT), somebody(Role.ADMIN)
    token = granted(shop, user, Role.SUPPORT)["access_token"]
    assert "order:view" in me(shop, Role.SUPPORT, token).json["permissions"]
    with transaction():
        change = AccessChange(deny=frozenset({Permission.ORDER_VIEW}))
        change_access(user.id, change, "Under review", actor=acting(admin))
    assert "order:view" not in me(shop, Role.SUPPORT, token).json["permissions"]


def join(shop: Shop, role: MemberRole, *, stores: list[uuid.UUID] | None = None) -> User:
    """A member of the shop's merchant, in all stores or in some."""
    user = somebody(Role.MERCHANT)
    with transaction():
        merchant_id = db.session.get_one(Store, shop.store_id).merchant_id
        db.session.add(
            MerchantMember(
                merchant_id=merchant_id, user_id=user.id, role=role.value, has_all_stores=stores is None
            )
        )
        db.session.flush()
        for store_id in stores or []:
            db.session.add(MerchantMemberStore(merchant_id=merchant_id, user_id=user.id, store_id=store_id))
        db.session.flush()
    return user


def member_token(shop: Shop, user: User, **more: Any) -> Any:
    body = {"grant_type": "password", "email": user.email, "password": PASSWORD, "mode": "test"} | more
    return shop.post("/merchant/auth/token", body, key=None, idem=None)


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (
            MemberRole.OWNER,
            "balances:read orders:read orders:write payouts:write webhooks:write withdrawals:write",
        ),
        (MemberRole.DEVELOPER, "orders:read orders:write webhooks:write"),
        (MemberRole.ACCOUNTANT, "balances:read orders:read withdrawals:write"),
        (MemberRole.VIEWER, "orders:read"),
    ],
)
def test_a_members_token_may_do_what_their_role_may(shop: Shop, role: MemberRole, scopes: str) -> None:
    given = member_token(shop, join(shop, role)).json
    assert given["scope"] == scopes
    may_see = "balances:read" in scopes
    answer = shop.get("/api/v1/balances", key=given["access_token"])
    assert answer.status_code == (200 if may_see else 403)
    created = shop.post(
        "/api/v1/orders",
        {"direction": "payin", "amount": "1500.00", "currency": "RUB", "method": "card"},
        key=given["access_token"],
    )
    assert created.status_code == (201 if "orders:write" in scopes else 403)


def test_a_member_of_chosen_stores_gets_no_token_for_another(shop: Shop) -> None:
    with transaction():
        merchant_id = db.session.get_one(Store, shop.store_id).merchant_id
        second = create_store(merchant_id, NewStore("Second"), actor=SYSTEM)
    user = join(shop, MemberRole.OWNER, stores=[second.id])
    assert member_token(shop, user).json["store_id"] == public_id("st", second.id)
    answer = member_token(shop, user, store_id=public_id("st", shop.store_id))
    assert answer.status_code == 422


@pytest.mark.proves("attack 70")
def test_row_70_a_members_new_role_holds_with_the_next_request(shop: Shop) -> None:
    user = join(shop, MemberRole.OWNER)
    token = member_token(shop, user).json["access_token"]
    assert shop.get("/api/v1/balances", key=token).status_code == 200
    with transaction():
        hot("UPDATE merchant_member SET role = 'viewer' WHERE user_id = %(u)s", {"u": user.id})
    assert code_of(shop.get("/api/v1/balances", key=token)) == "missing_scope"
    with transaction():
        hot("DELETE FROM merchant_member WHERE user_id = %(u)s", {"u": user.id})
    assert shop.get("/api/v1/orders", key=token).status_code == 401


def test_a_denial_takes_a_scope_and_a_grant_of_two_people_gives_one(shop: Shop) -> None:
    user = join(shop, MemberRole.OWNER)
    admin = somebody(Role.ADMIN)
    with transaction():
        change = AccessChange(deny=frozenset({Permission.BALANCE_VIEW}))
        assert change_access(user.id, change, "They asked", actor=acting(admin)) is None
        grant = AccessChange(grant={Permission.PAYOUT_CREATE: Reach.OWN})
        developer = join(shop, MemberRole.DEVELOPER)
        assert change_access(developer.id, grant, "Tests payouts", actor=acting(admin)) is not None
    assert "balances:read" not in member_token(shop, user).json["scope"]
    assert "payouts:write" not in member_token(shop, developer).json["scope"]


def test_no_token_is_in_the_log_or_the_audit(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    user = somebody(Role.ADMIN)
    given = granted(shop, user, Role.ADMIN)
    me(shop, Role.ADMIN, given["access_token"])
    with transaction():
        rows = hot("SELECT * FROM audit_entry WHERE actor_id = %(u)s", {"u": user.id})
    written = json.dumps(rows, default=str) + caplog.text
    assert rows
    for secret in (given["access_token"], given["refresh_token"], PASSWORD):
        assert secret not in written
