"""Who comes into a portal: nobody who is not signed in, nobody without the permission of its home."""

from __future__ import annotations

from flask_login import current_user

from portal.core.permissions import MissingPermission, NotSignedIn, Permission


def let_in(permission: Permission) -> None:
    """Raises NotSignedIn (401), MissingPermission (403)."""
    if not current_user.is_authenticated:
        raise NotSignedIn
    if not current_user.can(permission):
        raise MissingPermission(permission)
