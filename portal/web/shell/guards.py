"""Who comes into a portal: nobody who is not signed in, nobody without the permission of its home."""

from __future__ import annotations

from portal.core.permissions import Permission, demand


def let_in(permission: Permission) -> None:
    """Raises NotSignedIn (401), MissingPermission (403)."""
    demand(permission)
