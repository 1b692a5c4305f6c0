"""A package reads another's tables through its queries and writes them through its verbs.

A statement that joins or writes across packages on purpose stands here with its reason; a new one needs a better
reason than that it was quicker to write.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PORTAL = Path(__file__).parents[2] / "portal"
# The demo seeds as people would, by verbs; ops reads every table, which is its work.
NOT_ASKED = {"demo", "ops"}

MATCHING = "a search joins requisites with what their traders can put up; the rule itself is one function"
PROOF = "a proof trusts no package's own words and reads the rows themselves"
OUTBOX = "an event is fanned out from its row: to whom is asked in the same statement"
PEOPLE = "a list of people with what they have is cut along one index"
ROUND_TRIP = "one round trip on a hot path"
ONE_STATEMENT = "locks both rows in one order, or changes both or none"

READS: Mapping[str, tuple[str, str]] = {
    "audit/chains.py": ("event ledger_entry ledger_posting order_event orders", PROOF),
    "cli/doctor.py": ("chain_link", "asks whether chains were begun before any package may be asked"),
    "cli/schema.py": (
        "orders",
        "asks by a connection of its own, in a schema that may be older than the code",
    ),
    "events/readiness.py": (
        "heartbeat",
        "is the clock alive: asked within a deadline, on a connection of its own",
    ),
    "identity/people/invitations.py": (
        "store",
        "that an invitation names stores of its own merchant alone is asked as it is written",
    ),
    "matching/availability.py": ("ledger_account requisite", MATCHING),
    "matching/payouts.py": ("requisite", MATCHING),
    "matching/queries.py": ("ledger_account requisite", MATCHING),
    "matching/readiness.py": ("ledger_account requisite team trader", MATCHING),
    "matching/sql/pick_requisite.sql": ("ledger_account requisite", MATCHING),
    "matching/sql/requisite_verdict.sql": (
        "orders past_assignment",
        "whether its amount is open already, and who had the order before: part of the rule",
    ),
    "merchants/blocking.py": (
        "api_key merchant_member",
        "whom a block concerns, in the statement that blocks",
    ),
    "merchants/queries.py": ("merchant_member merchant_member_store permission_grant", ROUND_TRIP),
    "merchants/staff_list.py": ("api_key", PEOPLE),
    "notifications/service.py": (
        "users",
        "whom it concerns, their language and choices in the statement that tells them",
    ),
    "orders/exposure/limits.py": ("ledger_account store", ROUND_TRIP),
    "orders/integrity/checks.py": ("event ledger_account ledger_entry ledger_posting requisite", PROOF),
    "orders/integrity/rates.py": ("audit_entry rate_history", PROOF),
    "orders/integrity/settlements.py": ("currency ledger_account ledger_entry ledger_posting", PROOF),
    "orders/payment_session.py": ("requisite", ROUND_TRIP),
    "orders/queries.py": ("requisite store_traffic", ROUND_TRIP),
    "orders/retention.py": ("event", ONE_STATEMENT),
    "orders/shortfalls.py": (
        "trader",
        "counts over orders for each trader that is asked about, with the name to tell",
    ),
    "orders/service/apply.py": ("requisite", ONE_STATEMENT),
    "orders/service/deadlines.py": ("heartbeat requisite", "what was silent meanwhile decides what is due"),
    "orders/sql/place_order.sql": ("idempotency_key", ROUND_TRIP),
    "orders/service/silences.py": ("heartbeat", "gives deadlines back the time in which nobody was there"),
    "queues/figures.py": (
        "audit_entry audit_unsealed ledger_entry ledger_posting ledger_unfolded queue_stop",
        "how much upkeep is due, as one figure; the stops are what this package is for",
    ),
    "queues/service.py": (
        "queue_stop",
        "the stops are what this package is for; core asks them before each job",
    ),
    "risk/facts.py": ("orders store", "rules are counts over orders, asked before the order is placed"),
    "risk/queries.py": ("orders", "rules are counts over orders"),
    "risk/trial.py": ("orders", "rules are counts over orders"),
    "traders/staff_list.py": ("user_role users", PEOPLE),
    "traders/teams.py": ("user_role users", PEOPLE),
    "webhooks/backlog.py": ("event", OUTBOX),
    "webhooks/challenge.py": ("event", OUTBOX),
    "webhooks/fanout.py": ("event", OUTBOX),
    "webhooks/leases.py": ("event", OUTBOX),
    "webhooks/queries.py": ("event", OUTBOX),
    "webhooks/service.py": ("event", OUTBOX),
    "webhooks/trial_event.py": ("event", OUTBOX),
}
WRITES: Mapping[str, tuple[str, str]] = {
    "events/readiness.py": (
        "heartbeat",
        "a probe writes a row that means nothing, to know that the database takes one",
    ),
    "matching/sql/requisite_verdict.sql": (
        "requisite",
        "what an order takes of a requisite stands beside what it asks",
    ),
    "orders/retention.py": ("event", ONE_STATEMENT),
    "orders/service/apply.py": ("event requisite", ONE_STATEMENT),
    "orders/service/deadlines.py": ("requisite", ONE_STATEMENT),
    "orders/sql/place_order.sql": ("event idempotency_key", ROUND_TRIP),
    "orders/service/silences.py": ("heartbeat", "gives deadlines back the time in which nobody was there"),
    "queues/service.py": (
        "queue_stop",
        "the stops are what this package is for; core asks them before each job",
    ),
}
_READ = re.compile(r"\b(?:FROM|JOIN)\s+(?:ONLY\s+)?(\w+)", re.IGNORECASE)
_WRITE = re.compile(r"\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(\w+)", re.IGNORECASE)


def _package(path: Path) -> str:
    return path.relative_to(PORTAL).parts[0]


def _trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PORTAL.rglob("*.py"))}


def _owners(trees: Mapping[Path, ast.Module]) -> dict[str, str]:
    """Table -> package whose models declare it."""
    return {
        str(ast.literal_eval(node.value)): _package(path)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__tablename__"
    }


def _functions() -> Iterator[tuple[Path, str]]:
    """The functions of the database by file, without what their comments say and what triggers are set on."""
    for path in sorted(PORTAL.glob("*/sql/*.sql")):
        text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
        yield path, re.sub(r"\bupdate (?:of [\w, \n]+? )?on\b|\bcreate[^;$]*?execute function", "", text)


def _models_asked(tree: ast.Module, tables: Mapping[str, str]) -> Iterator[str]:
    """Tables whose models a select(), get() or add() names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {
            "select",
            "get",
            "add",
            "delete",
        }:
            for name in ast.walk(node):
                if isinstance(name, ast.Name) and name.id in tables:
                    yield tables[name.id]


def _tables_of_models(trees: Mapping[Path, ast.Module]) -> dict[str, str]:
    """Model -> its table."""
    return {
        node.name: str(ast.literal_eval(part.value))
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for part in node.body
        if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "__tablename__"
    }


def texts_of(tree: ast.Module) -> Iterator[str]:
    """Every string but docstrings."""
    described = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, described) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def _named(pattern: re.Pattern[str], text: str) -> set[str]:
    return set(pattern.findall(text if pattern is _WRITE else re.sub(r"(?i)DELETE\s+FROM", "", text)))


def foreign(pattern: re.Pattern[str], trees: Mapping[Path, ast.Module]) -> dict[str, str]:
    """Module or file of functions -> tables of other packages that its statements name after the pattern's words."""
    owners, models, found = _owners(trees), _tables_of_models(trees), defaultdict[Path, set[str]](set)
    for path, tree in trees.items():
        if _package(path) not in NOT_ASKED:
            found[path] |= set(_models_asked(tree, models)) if pattern is _READ else set()
            found[path] |= {table for text in texts_of(tree) for table in _named(pattern, text)}
    for path, text in _functions():
        found[path] |= _named(pattern, text)
    others = {
        path: " ".join(
            sorted(table for table in tables if owners.get(table, _package(path)) != _package(path))
        )
        for path, tables in found.items()
    }
    return {str(path.relative_to(PORTAL)): tables for path, tables in others.items() if tables}


@pytest.mark.proves("tried A11")
def test_who_reads_the_tables_of_others_is_listed_with_a_reason() -> None:
    assert foreign(_READ, _trees()) == {name: tables for name, (tables, _) in READS.items()}


@pytest.mark.proves("tried A11")
def test_who_writes_the_tables_of_others_is_listed_with_a_reason() -> None:
    assert foreign(_WRITE, _trees()) == {name: tables for name, (tables, _) in WRITES.items()}


def test_only_the_ledger_writes_its_rows() -> None:
    """Its functions do it for the statements of orders; no other text names them."""
    trees = _trees()
    ledger = {table for table, owner in _owners(trees).items() if owner == "ledger"}
    assert not {table for tables in foreign(_WRITE, trees).values() for table in tables.split()} & ledger


def test_pages_and_programs_have_no_statements_of_their_own() -> None:
    for path, tree in _trees().items():
        if _package(path) in {"web", "api"}:
            named = [
                text for text in texts_of(tree) if re.search(r"\bSELECT\b.+\bFROM\b|\bUPDATE \w+ SET\b", text)
            ]
            assert named == [], path


def test_a_statement_elsewhere_is_found() -> None:
    tree = ast.parse(
        '"""FROM orders"""\nA = "SELECT 1 FROM orders JOIN payin x"\nB = "UPDATE orders SET a = 1"'
    )
    trees = _trees() | {PORTAL / "mail" / "new.py": tree}
    assert foreign(_READ, trees)["mail/new.py"] == foreign(_WRITE, trees)["mail/new.py"] == "orders"
