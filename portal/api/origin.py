"""From where the present request comes, for the audit log."""

from __future__ import annotations

from flask import request
from flask_login import current_user

from portal.api.problems import PATHS as API_PATHS
from portal.api.request_id import request_id
from portal.core.actors import Origin


def current_origin() -> Origin:
    """Address (behind the trusted proxies alone), program, request id, and session if somebody is signed in."""
    # Programs prove themselves by the header alone, whatever cookies come along.
    is_program = request.path.startswith(API_PATHS)
    session = None if is_program else getattr(current_user, "session", None)
    return Origin(
        ip=request.remote_addr,
        user_agent=request.user_agent.string or None,
        request_id=request_id(),
        session_id=session.session_id if session is not None else None,
    )
