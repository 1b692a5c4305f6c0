"""What this is: the version of the code, and which build of it runs."""

from __future__ import annotations

import platform

from portal.settings import Settings

VERSION = "0.1.0"


def build_facts(settings: Settings) -> dict[str, str]:
    """Version, release and Python's version."""
    return {"version": VERSION, "release": settings.release, "python": platform.python_version()}
