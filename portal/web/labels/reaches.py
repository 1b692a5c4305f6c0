"""Whose things a permission is good for."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.core.permissions import Reach

REACH: Mapping[str, LazyString] = {
    Reach.OWN: _l("their own"),
    Reach.TEAM: _l("their team's"),
    Reach.ALL: _l("everybody's"),
}
# As one of the choices for a permission, beside "as the roles say" and "deny".
GIVEN: Mapping[Reach, LazyString] = {
    Reach.OWN: _l("give: their own"),
    Reach.TEAM: _l("give: their team's"),
    Reach.ALL: _l("give: everybody's"),
}


def reach_words(reach: str | None) -> str:
    return str(REACH.get(str(reach), _("denied")))
