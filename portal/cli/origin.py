"""Who runs a command: the operator, for every verb and for the audit log."""

from __future__ import annotations

import os
import socket

from portal.core.actors import Actor, ActorKind, Origin

# There is no address and no session, but a machine and its user.
OPS = Actor(ActorKind.OPS, origin=Origin(user_agent=f"flask, uid {os.getuid()} on {socket.gethostname()}"))
