"""What a session was opened with, in words that its owner recognises."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from portal.core.db import hot
from portal.core.errors import NotFound

# The order matters: each of these also names those after it.
_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("YaBrowser", "Yandex Browser"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)

_OPENED = """
SELECT user_id, host(ip) AS ip, user_agent, created_at FROM user_session WHERE id = %(id)s
"""


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """Whose session it is, and from where it was opened. Times are UTC."""

    user_id: uuid.UUID
    ip: str | None
    user_agent: str | None
    created_at: datetime


def get_opened_session(session_id: uuid.UUID) -> OpenedSession:
    """Raises NotFound."""
    rows = hot(_OPENED, {"id": session_id})
    if not rows:
        raise NotFound("There is no such session.")
    return OpenedSession(**rows[0])


def device_words(user_agent: str | None) -> str:
    """Program and system, such as "Firefox, Android"; the beginning of what it calls itself when both are unknown."""
    agent = user_agent or ""
    program = next((name for mark, name in _PROGRAMS if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    return ", ".join(name for name in (program, system) if name) or agent[:60] or "-"
