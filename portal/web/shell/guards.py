"""Who comes in: into a portal nobody without the permission of its home, to what grants power or moves money nobody
without a fresh proof of who they are, which they give on `/sudo`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.permissions import Permission, demand
from portal.web.shell.htmx import see_other
from portal.web.shell.next_page import page_of_request

View = TypeVar("View", bound=Callable[..., Any])


def let_in(permission: Permission) -> None:
    """Raises NotSignedIn (401), MissingPermission (403)."""
    demand(permission)


def needs_sudo(view: View) -> View:
    """Ask for a fresh proof before the view runs; stands below `@requires`.

    Without one the person is sent to `/sudo` and comes back to the page that the form was on.
    """

    return _guarded(view, lambda: current_user.session.has_sudo)


def needs_proof(view: View) -> View:
    """As `needs_sudo`, for what moves money: having just signed in, or added a factor, is no proof there."""
    return _guarded(view, lambda: current_user.session.has_proof)


def proof_first() -> Response | None:
    """Where somebody goes first who has no fresh proof, for a view that moves money only at times; None for who has one."""
    return None if current_user.session.has_proof else _to_the_proof()


def _to_the_proof() -> Response:
    return see_other(url_for("auth.show_sudo", next=page_of_request()))


def _guarded(view: View, is_proven: Callable[[], bool]) -> View:
    @wraps(view)
    def proven(*args: Any, **kwargs: Any) -> Any:
        if is_proven():
            return view(*args, **kwargs)
        return _to_the_proof()

    proven.needs_sudo = True  # type: ignore[attr-defined]
    return cast("View", proven)
