"""Who acts in the administrators' portal, as every verb and the audit log take it."""

from __future__ import annotations

from portal.web.shell.acting import acting_person as admin_actor

__all__ = ["admin_actor"]
