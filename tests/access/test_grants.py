"""Grants, denials, roles: who may change them, what takes two people, and what is written down."""

from __future__ import annotations

import uuid

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from portal.approvals.access import change_access
from portal.approvals.errors import OneselfRefused
from portal.approvals.models import ApprovalRequest
from portal.approvals.queries import get_request, look_at
from portal.approvals.service import decide_now, withdraw
from portal.audit.models import AuditEntry
from portal.core.db import db, hot, transaction
from portal.core.errors import Conflict, ValidationFailed
from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import AccessChange, get_access, preview_change
from portal.identity.models import Role, User
from portal.identity.roles import MEMBER_PRESETS, PRESETS, Grant, effective_permissions
from tests.access.people import acting, person

HARMLESS = AccessChange(grant={Permission.MERCHANT_VIEW: Reach.ALL})
MONEY = AccessChange(grant={Permission.PAYIN_CONFIRM: Reach.TEAM})


@pytest.fixture
def admins(app: Flask) -> list[User]:
    with transaction():
        return [person(Role.ADMIN, name=name) for name in ("Ada", "Ben")]


@pytest.fixture
def somebody(app: Flask) -> User:
    with transaction():
        return person(Role.SUPPORT, name="Sam")


def ask(somebody: User, asker: User, change: AccessChange = MONEY) -> ApprovalRequest:
    with transaction():
        request_id = change_access(somebody.id, change, "They cover for Lena", actor=acting(asker))
    assert request_id is not None
    return get_request(request_id)


def decide(request: ApprovalRequest, decider: User, *, is_approved: bool = True) -> None:
    why = None if is_approved else "Not now"
    decide_now(request.id, look_at(request).seen, is_approved=is_approved, actor=acting(decider), reason=why)


def held_by(user: User) -> dict[Permission, Reach]:
    return get_access(user.id).permissions


def test_the_widest_reach_counts_and_a_denial_always_wins() -> None:
    roles = [Role.TRADER, Role.LEAD]
    both = effective_permissions(roles, grants=[Grant(Permission.ORDER_VIEW, Reach.OWN)])
    assert both[Permission.ORDER_VIEW] is Reach.TEAM
    assert both[Permission.PAYIN_CONFIRM] is Reach.OWN
    wide, none = Grant(Permission.ORDER_VIEW, Reach.ALL), Grant(Permission.ORDER_VIEW, None)
    assert effective_permissions(roles, grants=[wide])[Permission.ORDER_VIEW] is Reach.ALL
    for order in ([wide, none], [none, wide]):
        assert Permission.ORDER_VIEW not in effective_permissions(roles, grants=order)


def test_presets_give_each_role_its_own_reach() -> None:
    assert set(PRESETS[Role.TRADER].values()) == {Reach.OWN}
    assert set(PRESETS[Role.LEAD].values()) == {Reach.OWN, Reach.TEAM}
    for preset in MEMBER_PRESETS.values():
        assert set(preset.values()) == {Reach.OWN}
    powers = {Permission.ACCESS_CHANGE, Permission.ACCESS_APPROVE}
    assert [role for role, preset in PRESETS.items() if powers & preset.keys()] == [Role.ADMIN]


def test_what_moves_no_money_one_person_grants_at_once(admins: list[User], somebody: User) -> None:
    with transaction():
        assert change_access(somebody.id, HARMLESS, "A week of training", actor=acting(admins[0])) is None
    assert held_by(somebody)[Permission.MERCHANT_VIEW] is Reach.ALL
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "access.changed")).one()
    assert entry.actor_id == admins[0].id
    assert entry.subject_id == str(somebody.id)
    assert entry.after == {"grants": {"merchant:view": "all"}}
    assert entry.reason == "A week of training"


def test_a_money_permission_takes_a_second_person(admins: list[User], somebody: User) -> None:
    request = ask(somebody, admins[0])
    assert Permission.PAYIN_CONFIRM not in held_by(somebody)
    decide(request, admins[1])
    assert held_by(somebody)[Permission.PAYIN_CONFIRM] is Reach.TEAM
    row = hot(
        "SELECT granted_by, approved_by FROM permission_grant WHERE user_id = %(u)s", {"u": somebody.id}
    )
    assert row == [{"granted_by": admins[0].id, "approved_by": admins[1].id}]
    actions = db.session.scalars(
        select(AuditEntry.action).where(AuditEntry.subject_id == str(somebody.id)).order_by(AuditEntry.id)
    ).all()
    assert actions == ["approval.requested", "approval.approved", "access.changed"]


def test_a_refused_request_changes_nothing(admins: list[User], somebody: User) -> None:
    request = ask(somebody, admins[0])
    decide(request, admins[1], is_approved=False)
    assert Permission.PAYIN_CONFIRM not in held_by(somebody)
    with pytest.raises(Conflict):
        decide(request, admins[1])


@pytest.mark.proves("attack 69")
def test_row_69_nobody_changes_their_own_access(admins: list[User]) -> None:
    for change in (HARMLESS, MONEY, AccessChange(add_roles=frozenset({Role.TRADER}))):
        with pytest.raises(OneselfRefused), transaction():
            change_access(admins[0].id, change, "I need it", actor=acting(admins[0]))


@pytest.mark.proves("attack 69")
def test_row_69_who_asked_and_whom_it_is_about_do_not_decide(admins: list[User], app: Flask) -> None:
    with transaction():
        candidate = person(Role.ADMIN, name="Cleo")
    request = ask(candidate, admins[0])
    for decider in (admins[0], candidate):
        with pytest.raises(OneselfRefused):
            decide(request, decider)
    assert get_request(request.id).state == "waiting"


@pytest.mark.proves("attack 69")
def test_row_69_the_last_administrator_stays(app: Flask) -> None:
    with transaction():
        hot("DELETE FROM user_role WHERE role = 'admin'")
        last, helper = person(Role.ADMIN, name="Ada"), person(Role.SUPPORT, name="Sam")
    with pytest.raises(Conflict, match="last administrator"), transaction():
        change_access(
            last.id, AccessChange(remove_roles=frozenset({Role.ADMIN})), "They left", actor=acting(helper)
        )
    assert last.id in {row["user_id"] for row in hot("SELECT user_id FROM user_role WHERE role = 'admin'")}


def test_an_approval_is_bound_to_what_was_seen(admins: list[User], somebody: User) -> None:
    request = ask(somebody, admins[0])
    with pytest.raises(Conflict, match="not what you saw"):
        decide_now(request.id, b"\0" * 32, is_approved=True, actor=acting(admins[1]))
    assert Permission.PAYIN_CONFIRM not in held_by(somebody)


@pytest.mark.proves("ASVS 7", "attack 69")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approval_request SET payload = '{}' WHERE id = :id",
        "UPDATE approval_request SET proposed_by = :other WHERE id = :id",
        "DELETE FROM approval_request WHERE id = :id",
        "UPDATE approval_request SET state = 'approved', ended_at = now(), decided_by = proposed_by",
        (
            "INSERT INTO permission_grant (user_id, permission, reach, is_denied, reason, granted_by)"
            " VALUES (:other, 'payin:confirm', 'all', false, 'mine', :other)"
        ),
    ],
)
def test_the_database_keeps_two_people_apart_against_hand_written_sql(
    admins: list[User], somebody: User, statement: str
) -> None:
    request = ask(somebody, admins[0])
    with pytest.raises(DBAPIError), db.session.begin_nested():
        db.session.execute(db.text(statement), {"id": request.id, "other": admins[1].id})


def test_one_change_of_a_person_waits_at_a_time(admins: list[User], somebody: User) -> None:
    first = ask(somebody, admins[0])
    with pytest.raises(Conflict, match="waits for approval"):
        ask(somebody, admins[1])
    with transaction():
        withdraw(first.id, actor=acting(admins[0]))
    assert ask(somebody, admins[1]).id != first.id


def test_a_request_ends_after_its_time(admins: list[User], somebody: User) -> None:
    request = ask(somebody, admins[0])
    with transaction():
        hot("ALTER TABLE approval_request DISABLE TRIGGER approval_request_as_proposed")
        hot("UPDATE approval_request SET expires_at = now() - interval '1 second'")
        hot("ALTER TABLE approval_request ENABLE TRIGGER approval_request_as_proposed")
    with pytest.raises(Conflict, match="expired"):
        decide(request, admins[1])
    assert ask(somebody, admins[0]).id != request.id


def test_the_preview_tells_what_is_gained_and_lost(somebody: User) -> None:
    change = AccessChange(
        remove_roles=frozenset({Role.SUPPORT}),
        add_roles=frozenset({Role.LEAD}),
        deny=frozenset({Permission.TEAM_VIEW}),
    )
    preview = preview_change(get_access(somebody.id), change)
    gained = {Permission.LEAD_HOME_VIEW, Permission.BALANCE_VIEW, Permission.REQUISITE_VIEW}
    assert preview.gained == dict.fromkeys(gained, Reach.TEAM)
    assert preview.lost[Permission.ORDER_VIEW] is Reach.ALL
    assert preview.after[Permission.ORDER_VIEW] is Reach.TEAM
    assert Permission.TEAM_VIEW in preview.lost
    assert not preview.needs_two_people
    assert preview_change(get_access(somebody.id), MONEY).needs_two_people


def test_a_change_needs_a_reason_and_says_one_thing(admins: list[User], somebody: User) -> None:
    both = AccessChange(
        grant={Permission.MERCHANT_VIEW: Reach.ALL}, deny=frozenset({Permission.MERCHANT_VIEW})
    )
    for change, reason in ((HARMLESS, "  "), (both, "why"), (AccessChange(), "why")):
        with pytest.raises(ValidationFailed), transaction():
            change_access(somebody.id, change, reason, actor=acting(admins[0]))


def test_a_stranger_to_the_house_has_no_access(app: Flask) -> None:
    from portal.core.errors import NotFound

    with pytest.raises(NotFound):
        get_access(uuid.uuid4())
