"""People with second factors, and the ways they prove them."""

from __future__ import annotations

import time
from typing import Any

import pyotp
from werkzeug.test import TestResponse

from portal.core.db import hot, transaction
from portal.identity.models import Role, User
from portal.identity.proofs.recovery_codes import renew_recovery_codes
from portal.identity.proofs.totp import confirm_totp, propose_totp
from tests.web.desk import PASSWORD, Browser, new_user

SESSION, HALF = "nostro_session", "nostro_half"


def code_of(secret: str, steps: int = 0) -> str:
    """The six digits of now, or of so many 30-second steps from now."""
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps)


def wrong_code_of(secret: str) -> str:
    """Six digits that are of no step near now."""
    near = {code_of(secret, steps) for steps in range(-3, 4)}
    return next(f"{number:06}" for number in range(100) if f"{number:06}" not in near)


def with_app(*roles: Role) -> tuple[User, str]:
    """Somebody with an authenticator app, and its secret; the codes of now and later are unused."""
    user = new_user(*roles or (Role.TRADER,))
    return user, give_app(user)


def give_app(user: User) -> str:
    with transaction():
        secret = propose_totp(user.id)
        assert confirm_totp(user.id, code_of(secret))
    forget_used_codes(user)
    return secret


def give_codes(user: User) -> list[str]:
    with transaction():
        return list(renew_recovery_codes(user.id))


def new_browser(like: Browser) -> Browser:
    """Another one, with which nobody has signed in."""
    return Browser(like.client.application.test_client())


def pass_password(browser: Browser, user: User, next_page: str = "") -> TestResponse:
    """The first step alone."""
    token = browser.read_token("/sign-in")
    data = {"csrf_token": token, "email": user.email, "password": PASSWORD, "next": next_page}
    answer = browser.open("POST", "/sign-in", data=data)
    assert answer.status_code == 303
    if "/second-factor" in (answer.location or ""):
        browser.read_token(answer.location)
    return answer


def pass_code(browser: Browser, code: str, **more: str) -> TestResponse:
    """The second step, after `pass_password`."""
    answer = browser.post("/sign-in/second-factor", {"code": code, **more}, htmx=False)
    if answer.status_code == 303:
        browser.read_token("/account/security")
    return answer


def sign_in_fully(browser: Browser, user: User, secret: str) -> None:
    pass_password(browser, user)
    assert pass_code(browser, code_of(secret)).status_code == 303
    forget_used_codes(user)


def forget_used_codes(user: User) -> None:
    """As if half a minute had passed: the code of now may be typed again."""
    with transaction():
        hot("UPDATE totp_factor SET last_step = 0 WHERE user_id = %(id)s", {"id": user.id})


def forget_proof(user: User) -> None:
    """As if minutes had passed since the last proof."""
    with transaction():
        hot(
            "UPDATE user_session SET sudo_until = now() WHERE user_id = %(id)s AND stage = 'open'",
            {"id": user.id},
        )


def cookie(browser: Browser, name: str = SESSION) -> str | None:
    found = browser.client.get_cookie(name)
    return found.value if found is not None else None


def actions_about(user: User) -> list[str]:
    """What the audit log says was done about this person, in order."""
    sql = """SELECT action FROM audit_entry WHERE subject_id = %(id)s OR actor_id = %(user)s ORDER BY id"""
    with transaction():
        return [row["action"] for row in hot(sql, {"id": str(user.id), "user": user.id})]


def mails_to(email: str) -> list[dict[str, Any]]:
    with transaction():
        return hot("SELECT * FROM mail WHERE recipient = %(to)s ORDER BY id", {"to": email})
