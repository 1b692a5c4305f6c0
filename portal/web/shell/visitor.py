"""Who the request is from: Flask-Login's `current_user`, found by the session's cookie."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

from flask import Request, current_app, g
from flask_login import UserMixin

from portal.core.db import transaction
from portal.core.permissions import MissingPermission, Permission, Reach
from portal.identity.models import MemberRole, Role
from portal.identity.queries import SignedIn, find_session
from portal.identity.roles import Grant, Holdings, effective_permissions
from portal.identity.tokens.sessions import touch_session
from portal.reference import configuration as config
from portal.web.shell.navigation import home_of
from portal.web.shell.security import session_cookie

View = TypeVar("View", bound=Callable[..., Any])


@lru_cache(maxsize=1024)
def _permissions(
    roles: tuple[Role, ...], member_roles: tuple[MemberRole, ...], grants: tuple[Grant, ...]
) -> Holdings:
    """Worked out once for all who hold the same: what somebody holds is read anew in each request."""
    return MappingProxyType(effective_permissions(roles, member_roles, grants))


class Visitor(UserMixin):  # type: ignore[misc]
    """A signed-in person, with what they may do as of this request."""

    def __init__(self, session: SignedIn) -> None:
        self.session = session
        self.locale = session.locale
        self.timezone = session.timezone
        self.permissions = _permissions(session.roles, session.member_roles, session.grants)

    @property
    def id(self) -> uuid.UUID:
        return self.session.user_id

    def can(self, permission: Permission) -> bool:
        return permission in self.permissions

    def reach(self, permission: Permission) -> Reach:
        """Whose things the permission is good for. Raises MissingPermission (403)."""
        if permission not in self.permissions:
            raise MissingPermission(permission)
        return self.permissions[permission]

    @property
    def factor_due_at(self) -> datetime | None:
        """Until when this person may work without a second factor; None if they need none or have one."""
        wanted_since = self.session.factor_wanted_since
        if wanted_since is None or self.session.has_second_factor:
            return None
        return wanted_since + timedelta(seconds=config.get(config.SECOND_FACTOR_GRACE_S))

    @property
    def must_enrol(self) -> bool:
        """Whether nothing is open to them but adding a second factor."""
        due_at = self.factor_due_at
        return due_at is not None and due_at <= datetime.now(UTC)

    @property
    def home(self) -> str:
        """The endpoint where this person's work begins."""
        return home_of(self)


def background(view: View) -> View:
    """Declare that pages ask this route by themselves: it does not keep an idle session alive."""
    view.is_background = True  # type: ignore[attr-defined]
    return view


def load_visitor(request: Request) -> Visitor | None:
    """Flask-Login's request loader: at most once in a request. Where it fails, the page of that failure is
    nobody's, and asks for nobody again.
    """
    if g.get("is_visitor_unknown"):
        return None
    g.is_visitor_unknown = True
    visitor = _visitor_of(request)
    g.is_visitor_unknown = False
    return visitor


def _visitor_of(request: Request) -> Visitor | None:
    token = request.cookies.get(session_cookie())
    if not token or len(token) > 100:
        return None
    found = find_session(token, config.get(config.SESSION_IDLE_S))
    if found is None:
        return None
    view = current_app.view_functions.get(request.endpoint or "")
    if found.is_worth_touching and not getattr(view, "is_background", False):
        with transaction():
            touch_session(found.session_id)
    g.visitor = Visitor(found)
    return g.visitor
