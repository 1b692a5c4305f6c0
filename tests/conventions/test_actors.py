"""Who writes rows says who is acting: a public function of a domain package takes an actor, or is listed with the reason.

What has no actor is a side door: what it changes stands in no audit log.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PORTAL = Path(__file__).parents[2] / "portal"
PACKAGES = ("approvals", "disputes", "identity", "merchants", "reference", "risk", "traders", "webhooks")
WRITES = {"add", "add_all", "delete", "flush"}
STATEMENTS = {"delete", "insert", "update"}
PARTS = "a part of a verb that writes the entry: "
WITHOUT_ACTOR = {
    "identity.people.invitations.accept_as_known": PARTS + "traders.joining",
    "identity.people.invitations.set_member": PARTS + "traders.joining",
    "identity.proofs.recovery_codes.renew_recovery_codes": PARTS + "identity.signing_in.account",
    "identity.service.create_user": PARTS + "traders.joining",
    "identity.service.disable_user": PARTS + "identity.people.logins.switch_off",
    "identity.service.enable_user": PARTS + "identity.people.logins.switch_on",
    "identity.service.set_password": PARTS + "identity.signing_in.account and password_reset",
    "identity.tokens.sessions.revoke_sessions_of": PARTS
    + "identity.people.logins and identity.signing_in.account",
    "identity.tokens.token_families.revoke_families_of": PARTS
    + "identity.people.logins and identity.signing_in.account",
    "identity.tokens.token_families.revoke_family": PARTS + "the page and the API of tokens",
    "reference.service.after_clock_set_back": "what the clock repairs after a jump",
    "risk.service.record_decision": "what the rules said of an order",
    "traders.service.refresh_readiness": "repeats what other rows say",
    "webhooks.challenge.ask_for_answer": PARTS + "webhooks.service",
    "webhooks.trial_event.send_test_event": "sends something, changes nothing that is set",
}


def writes(function: ast.FunctionDef) -> bool:
    """Whether it changes rows itself, by the session or by a statement."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if (
            isinstance(called, ast.Attribute)
            and called.attr in WRITES
            and ast.unparse(called.value) == "db.session"
        ):
            return True
        if isinstance(called, ast.Name) and called.id in STATEMENTS:
            return True
    return False


def without_actor() -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((PORTAL / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                    continue
                names = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
                if writes(node) and "actor" not in names:
                    yield ".".join((*path.relative_to(PORTAL).with_suffix("").parts, node.name))


@pytest.mark.proves("tried A8")
def test_whoever_writes_says_who_is_acting() -> None:
    assert sorted(set(without_actor()) - WITHOUT_ACTOR.keys()) == []


def test_every_excuse_is_needed() -> None:
    assert sorted(WITHOUT_ACTOR.keys() - set(without_actor())) == []
