"""Whoever a hint of the queue sends a trader to can do what it says, and nobody is named who can not."""

from __future__ import annotations

import pytest
from flask import Flask, render_template
from flask_babel import force_locale

from portal.core.permissions import Permission
from portal.identity.models import Role
from portal.identity.roles import PRESETS
from portal.matching.readiness import Reason, ReasonCode

NAMES = {
    "en": {Role.ADMIN: "administrator", Role.LEAD: "team lead", Role.SUPPORT: "support"},
    "ru": {Role.ADMIN: "администратор", Role.LEAD: "тимлид", Role.SUPPORT: "поддержк"},
}
# What somebody must be allowed to do so that the reason is gone; what only the trader can change needs nobody.
WANTS = {
    ReasonCode.NOT_VERIFIED: Permission.TRADER_VERIFY,
    ReasonCode.BLOCKED: Permission.TRADER_BLOCK,
    ReasonCode.NO_REQUISITE: Permission.REQUISITE_DECIDE,
    ReasonCode.REQUISITE_NOT_APPROVED: Permission.REQUISITE_DECIDE,
}
# Nobody has a page yet to switch a team on again.
WITHOUT_A_PAGE = {ReasonCode.LEAD_SWITCHED_OFF}


def named_in(words: str, language: str) -> set[Role]:
    return {role for role, name in NAMES[language].items() if name in words.lower()}


def able(permission: Permission) -> set[Role]:
    return {role for role in NAMES["en"] if permission in PRESETS[role]}


@pytest.mark.proves("tried N10")
@pytest.mark.parametrize("language", NAMES)
@pytest.mark.parametrize("code", [code for code in ReasonCode if code not in WITHOUT_A_PAGE])
def test_a_reason_for_having_no_orders_sends_to_those_who_can_end_it(
    app: Flask, code: ReasonCode, language: str
) -> None:
    with app.test_request_context(), force_locale(language):
        words = render_template("trader/queue/_reason.html", reason=Reason(code, 1_000_000, "USDT", ""))
    assert words.strip()
    wanted = WANTS.get(code)
    assert named_in(words, language) == (able(wanted) if wanted else set())


@pytest.mark.proves("tried N10")
def test_a_dispute_is_decided_by_whom_the_queue_says() -> None:
    assert able(Permission.DISPUTE_DECIDE) == {Role.ADMIN}
