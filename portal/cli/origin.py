"""Who runs a command, for the audit log."""

from __future__ import annotations

import os
import socket

from portal.core.actors import Actor, ActorKind, Origin

OPS = Actor(ActorKind.OPS)


def ops_origin() -> Origin:
    """The machine and its user: there is no address and no session."""
    return Origin(user_agent=f"flask, uid {os.getuid()} on {socket.gethostname()}")
