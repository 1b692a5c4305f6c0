"""The cookies of a session and of a half one, and the limits that sign-in runs under."""

from __future__ import annotations

from flask import request, session
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.identity.proofs.second_factor import FactorLimits
from portal.identity.queries import find_session
from portal.identity.signing_in.sign_in import SignInLimits
from portal.identity.tokens.sessions import (
    HalfSession,
    NewSession,
    SessionTimes,
    find_half_session,
    revoke_session,
)
from portal.notifications.devices import tell_of_new_device
from portal.reference import configuration as config
from portal.settings import get_settings
from portal.web.shell.flashes import forget_flashes
from portal.web.shell.htmx import see_other
from portal.web.shell.security import half_session_cookie, session_cookie

_LONGEST_TOKEN = 100


def sign_in_limits() -> SignInLimits:
    return SignInLimits(
        config.get(config.SIGN_IN_ATTEMPTS_PER_EMAIL),
        config.get(config.SIGN_IN_ATTEMPTS_PER_IP),
        config.get(config.SIGN_IN_WINDOW_S),
    )


def factor_limits() -> FactorLimits:
    return FactorLimits(config.get(config.FACTOR_ATTEMPTS))


def session_times() -> SessionTimes:
    return SessionTimes(
        absolute_s=config.get(config.SESSION_ABSOLUTE_S),
        half_s=config.get(config.HALF_SESSION_S),
        sudo_s=config.get(config.SUDO_S),
    )


def wait_for_second_step(half: NewSession, url: str) -> Response:
    """Send the browser to the second step with the half-session's cookie, which opens nothing else."""
    response = see_other(url)
    set_cookie(response, half_session_cookie(), half.token, half.lifetime_s)
    return response


def enter(new: NewSession, url: str) -> Response:
    """Set the cookie of a new session; what the browser held before is worth nothing from here on."""
    old = find_session(request.cookies.get(session_cookie(), ""), config.get(config.SESSION_IDLE_S))
    if old is not None and old.session_id != new.id:
        with transaction():
            revoke_session(old.session_id)
    if new.is_new_device:
        with transaction():
            tell_of_new_device(new.id)
    session.clear()
    response = see_other(url)
    set_cookie(response, session_cookie(), new.token, new.lifetime_s)
    drop_cookie(response, half_session_cookie())
    forget_flashes(response)
    return response


def keep(response: Response, raised: NewSession) -> Response:
    """Give the browser the token that its raised session has now."""
    set_cookie(response, session_cookie(), raised.token, raised.lifetime_s)
    return response


def current_half_session() -> HalfSession | None:
    """Who is between the password and the second step with this browser."""
    token = request.cookies.get(half_session_cookie(), "")
    return find_half_session(token) if 0 < len(token) <= _LONGEST_TOKEN else None


def set_cookie(response: Response, name: str, token: str, lifetime_s: int) -> None:
    response.set_cookie(
        name, token, max_age=lifetime_s, path="/", secure=get_settings().is_https, httponly=True, samesite="Lax"
    )  # fmt: skip


def drop_cookie(response: Response, name: str) -> None:
    response.delete_cookie(
        name, path="/", secure=get_settings().is_https, httponly=True, samesite="Lax"
    )  # fmt: skip
