"""What people are: in the house, and to the merchant they work for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.identity.models import MemberRole, Role

ROLE: Mapping[Role, LazyString] = {
    Role.ADMIN: _l("Administrator"),
    Role.SUPPORT: _l("Support"),
    Role.LEAD: _l("Team lead"),
    Role.TRADER: _l("Trader"),
    Role.MERCHANT: _l("Merchant"),
}
MEMBER_ROLE: Mapping[MemberRole, LazyString] = {
    MemberRole.OWNER: _l("Owner"),
    MemberRole.DEVELOPER: _l("Developer"),
    MemberRole.ACCOUNTANT: _l("Accountant"),
    MemberRole.VIEWER: _l("Viewer"),
}


def role_names(roles: Iterable[Role]) -> str:
    return ", ".join(str(ROLE[role]) for role in roles)


def member_role_name(role: MemberRole) -> str:
    return str(MEMBER_ROLE[role])
