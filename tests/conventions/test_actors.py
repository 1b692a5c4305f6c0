"""Who writes rows says who is acting: a public function of the domain takes an actor, or is listed with the reason.

What has no actor is a side door: what it changes stands in no audit log. A function writes by the session, by a statement
of its own or of a constant that it names, by a function of the database that writes, or by a private function beside it.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

PORTAL = Path(__file__).parents[2] / "portal"
PACKAGES = (
    "approvals", "audit", "disputes", "error_reports", "events", "identity", "ledger", "mail", "matching", "merchants",
    "notifications", "orders", "queues", "reference", "risk", "traders", "webhooks",
)  # fmt: skip
WRITES = {"add", "add_all", "delete", "flush", "merge"}
STATEMENTS = {"delete", "insert", "update"}
CHANGES = re.compile(r"\b(INSERT\s+INTO|UPDATE\s+\w+(\s+(AS\s+)?\w+)?\s+SET|DELETE\s+FROM)\b", re.IGNORECASE)
FUNCTION = re.compile(r"create or replace function (\w+)\(.*?\bas \$\$(.*?)\$\$;", re.DOTALL)

# Why it has none -> who.
WITHOUT_ACTOR: dict[str, tuple[str, ...]] = {
    "a duty of the house: the clock, a worker or the relay does it when it is due": (
        "approvals.service.end_what_has_passed",
        "audit.chain_sealing.seal_chains",
        "audit.sealing.seal_waiting",
        "events.readiness.check_readiness",
        "events.relay.relay_events",
        "ledger.service.fold_rollup",
        "mail.outbox.claim_mail",
        "mail.outbox.record_failed",
        "mail.outbox.record_sent",
        "orders.service.deadlines.free_limits",
        "orders.service.silences.beat",
        "queues.service.finish_draining",
        "reference.service.after_clock_set_back",
        "traders.kyc.expire_verifications",
        "webhooks.fanout.create_deliveries",
        "webhooks.leases.claim_deliveries",
        "webhooks.leases.release_deliveries",
        "webhooks.outcomes.record_outcomes",
        "webhooks.probes.note_probe",
    ),
    "what is kept no longer than its period": (
        "error_reports.service.forget_old_reports",
        "mail.outbox.forget_old_mail",
        "notifications.service.forget_old_notifications",
        "orders.retention.forget_people",
        "orders.retention.forget_receipts",
        "orders.retention.forget_told_recipients",
    ),
    "a rate that a feed says, whoever asked it": (
        "reference.rate_feed.refresh_due_rates",
        "reference.rate_feed.refresh_now",
        "reference.service.take_observation",
    ),
    "notes what the program saw, and changes nothing that is set": (
        "error_reports.service.add_reports",
        "error_reports.service.record_proof",
        "identity.tokens.api_keys.find_key",
        "identity.tokens.api_keys.find_key_by_id",
        "identity.tokens.sessions.touch_session",
        "orders.exposure.limits.refusal_of",
        "orders.payment_session.note_disclosure",
        "risk.service.record_decision",
        "traders.service.refresh_readiness",
        "webhooks.challenge.note_answers",
    ),
    "tells somebody what a verb did, in its transaction": (
        "mail.service.queue_mail",
        "notifications.service.settle",
        "notifications.service.tell",
        "webhooks.trial_event.send_test_event",
    ),
    "somebody's own, and they are the argument": (
        "identity.proofs.passkeys.begin_assertion",
        "identity.proofs.passkeys.begin_enrolment",
        "identity.proofs.passkeys.check_assertion",
        "identity.proofs.recovery_codes.use_recovery_code",
        "identity.proofs.second_factor.finish_sign_in",
        "identity.proofs.second_factor.note_attempt",
        "identity.proofs.second_factor.settle_attempt",
        "identity.proofs.totp.propose_totp",
        "identity.proofs.totp.use_totp",
        "identity.saved_views.delete_view",
        "identity.saved_views.save_view",
        "identity.signing_in.password_reset.request_reset",
        "identity.signing_in.password_reset.reset_password",
        "identity.signing_in.sign_in.check_credentials",
        "identity.tokens.sessions.open_session",
        "identity.tokens.sessions.raise_session",
        "identity.tokens.sessions.revoke_session",
        "identity.tokens.sessions.start_session",
        "identity.tokens.token_families.rotate",
        "identity.tokens.token_families.start_family",
        "identity.tokens.token_families.start_personal_family",
        "notifications.service.choose",
        "notifications.service.mark_read",
    ),
    "a part of a verb that writes the entry": (
        "approvals.service.end_stale_requests",
        "audit.chain_links.write_link",
        "audit.chain_sealing.begin_mark",
        "identity.people.invitations.accept_as_known",
        "identity.people.invitations.accept_as_new",
        "identity.people.invitations.create_invitation",
        "identity.people.invitations.revoke_invitation",
        "identity.people.invitations.set_member",
        "identity.proofs.passkeys.finish_enrolment",
        "identity.proofs.passkeys.remove_passkey",
        "identity.proofs.recovery_codes.renew_recovery_codes",
        "identity.proofs.totp.confirm_totp",
        "identity.proofs.totp.remove_totp",
        "identity.service.create_user",
        "identity.service.disable_user",
        "identity.service.enable_user",
        "identity.service.set_password",
        "identity.tokens.sessions.revoke_own_session",
        "identity.tokens.sessions.revoke_sessions_of",
        "identity.tokens.token_families.revoke_families_of",
        "identity.tokens.token_families.revoke_family",
        "ledger.accounts.account_id",
        "matching.payouts.reserve_for_payout",
        "matching.service.match",
        "webhooks.backlog.replay",
        "webhooks.challenge.ask_for_answer",
        "webhooks.outcomes.abandon_deliveries",
        "webhooks.outcomes.give_up_pending",
    ),
    "fills an empty house before anybody is in it": ("reference.seeding.seed_reference",),
}
EXCUSED = {name for names in WITHOUT_ACTOR.values() for name in names}


def closure(found: set[str], more: Callable[[set[str]], set[str]]) -> set[str]:
    """What was found, what leads to it, and so on."""
    while (new := more(found) - found) != set():
        found = found | new
    return found


@cache
def functions_that_write() -> re.Pattern[str]:
    """A call of a function of the database that writes, itself or by another."""
    bodies = {
        found[1]: found[2]
        for path in PORTAL.rglob("sql/*.sql")
        for found in FUNCTION.finditer(path.read_text(encoding="utf-8"))
    }

    def callers(known: set[str]) -> set[str]:
        called = re.compile(rf"\b({'|'.join(sorted(known))})\s*\(")
        return {name for name, body in bodies.items() if called.search(body)}

    writing = closure({name for name, body in bodies.items() if CHANGES.search(body)}, callers)
    return re.compile(rf"\b({'|'.join(sorted(writing))})\s*\(")


def changes(sql: str) -> bool:
    return bool(CHANGES.search(sql) or functions_that_write().search(sql))


def writes(function: ast.FunctionDef, module: ModuleType) -> bool:
    """Whether it changes rows itself: by the session, or by a statement."""
    told = function.body[0].value if isinstance(function.body[0], ast.Expr) else None
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            called = node.func
            if (
                isinstance(called, ast.Attribute)
                and called.attr in WRITES
                and ast.unparse(called.value) == "db.session"
            ):
                return True
            if isinstance(called, ast.Name) and called.id in STATEMENTS:
                return True
        text = vars(module).get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(node, ast.Constant) and node is not told:
            text = node.value
        if isinstance(text, str) and changes(text):
            return True
    return False


def writers(module: ModuleType) -> Iterator[ast.FunctionDef]:
    """The module's functions that write, themselves or by a private one."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    names = {
        name: {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and node.id[0] == "_"}
        for name, function in functions.items()
    }
    direct = {name for name, function in functions.items() if writes(function, module)}
    for found in closure(direct, lambda known: {name for name, used in names.items() if used & known}):
        yield functions[found]


@cache
def without_actor() -> frozenset[str]:
    found = set()
    for path in (path for package in PACKAGES for path in (PORTAL / package).rglob("*.py")):
        parts = path.relative_to(PORTAL).with_suffix("").parts
        for function in writers(importlib.import_module(".".join(("portal", *parts)))):
            names = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
            if not function.name.startswith("_") and "actor" not in names:
                found.add(".".join((*parts, function.name)))
    return frozenset(found)


@pytest.mark.proves("tried A8")
def test_whoever_writes_says_who_is_acting() -> None:
    assert sorted(without_actor() - EXCUSED) == []


def test_every_excuse_is_needed() -> None:
    assert sorted(EXCUSED - without_actor()) == []


def test_every_package_of_the_domain_is_looked_at() -> None:
    no_domain = {
        "api",
        "cli",
        "core",
        "demo",
        "embedded",
        "ops",
        "simulator",
        "translations",
        "web",
        "workers",
    }
    packages = {path.parent.name for path in PORTAL.glob("*/__init__.py")}
    assert packages - no_domain == set(PACKAGES)


def test_what_writes_is_seen_as_such() -> None:
    """By the ORM, by a statement, by a function of the database, by a private function."""
    import portal.ledger.service
    import portal.orders.service.apply
    import portal.queues.service
    import portal.traders.service

    for module, name in (
        (portal.ledger.service, "post_entry"),
        (portal.orders.service.apply, "apply"),
        (portal.queues.service, "pause_queue"),
        (portal.traders.service, "block_trader"),
    ):
        assert name in {function.name for function in writers(module)}
