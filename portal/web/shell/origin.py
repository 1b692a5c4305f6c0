"""From where the present request comes: one answer for pages and programs (portal.api.origin)."""

from portal.api.origin import current_origin

__all__ = ["current_origin"]
