"""A package reads another's tables through its queries and writes them through its verbs.

A statement that joins or writes across packages on purpose stands here with its reason; a new one needs a better
reason than that it was quicker to write.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
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
    "orders/integrity/checks.py": (
        "event heartbeat ledger_account ledger_entry ledger_posting requisite",
        PROOF,
    ),
    "orders/integrity/rates.py": ("audit_entry rate_history", PROOF),
    "orders/integrity/settlements.py": ("currency ledger_account ledger_entry ledger_posting", PROOF),
    "orders/integrity/told.py": (
        "chain_link change_image event webhook_attempt webhook_delivery webhook_endpoint",
        PROOF,
    ),
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
_ASKS = {"select", "get", "add", "delete"}
_WRITE = re.compile(r"\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(\w+)", re.IGNORECASE)


def _package(path: Path) -> str:
    return path.relative_to(PORTAL).parts[0]


@dataclass(frozen=True)
class Facts:
    """What one module declares and says: models with their tables, models that it asks, strings but docstrings."""

    models: Mapping[str, str]
    asked: frozenset[str]
    texts: tuple[str, ...]


def facts_of(tree: ast.Module) -> Facts:
    models, asked, texts, docs = dict[str, str](), set[str](), list[str](), set[int]()
    # A module is walked from above: what a docstring is, is known before its constant comes.
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if node.body and isinstance(node.body[0], ast.Expr):
                docs.add(id(node.body[0].value))
            if isinstance(node, ast.ClassDef):
                models.update((node.name, table) for part in node.body if (table := _table_named(part)))
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in docs:
                texts.append(node.value)
        elif isinstance(node, ast.Call) and _last_name(node.func) in _ASKS:
            asked |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return Facts(models, frozenset(asked), tuple(texts))


def _table_named(node: ast.stmt) -> str | None:
    is_name = isinstance(node, ast.Assign) and _last_name(node.targets[0]) == "__tablename__"
    return str(ast.literal_eval(node.value)) if is_name else None


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


@cache
def _house() -> Mapping[Path, Facts]:
    return {
        path: facts_of(ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(PORTAL.rglob("*.py"))
    }


def _owners(house: Mapping[Path, Facts]) -> dict[str, str]:
    """Table -> package whose models declare it."""
    return {table: _package(path) for path, facts in house.items() for table in facts.models.values()}


def _functions() -> Iterator[tuple[Path, str]]:
    """The functions of the database by file, without what their comments say and what triggers are set on."""
    for path in sorted(PORTAL.glob("*/sql/*.sql")):
        text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
        yield path, re.sub(r"\bupdate (?:of [\w, \n]+? )?on\b|\bcreate[^;$]*?execute function", "", text)


def _named(pattern: re.Pattern[str], text: str) -> set[str]:
    return set(pattern.findall(text if pattern is _WRITE else re.sub(r"(?i)DELETE\s+FROM", "", text)))


def foreign(pattern: re.Pattern[str], house: Mapping[Path, Facts]) -> dict[str, str]:
    """Module or file of functions -> tables of other packages that its statements name after the pattern's words."""
    owners, found = _owners(house), defaultdict[Path, set[str]](set)
    models = {name: table for facts in house.values() for name, table in facts.models.items()}
    for path, facts in house.items():
        if _package(path) not in NOT_ASKED:
            found[path] |= (
                {models[name] for name in facts.asked & models.keys()} if pattern is _READ else set()
            )
            found[path] |= {table for text in facts.texts for table in _named(pattern, text)}
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
    assert foreign(_READ, _house()) == {name: tables for name, (tables, _) in READS.items()}


@pytest.mark.proves("tried A11")
def test_who_writes_the_tables_of_others_is_listed_with_a_reason() -> None:
    assert foreign(_WRITE, _house()) == {name: tables for name, (tables, _) in WRITES.items()}


def test_only_the_ledger_writes_its_rows() -> None:
    """Its functions do it for the statements of orders; no other text names them."""
    house = _house()
    ledger = {table for table, owner in _owners(house).items() if owner == "ledger"}
    assert ledger
    assert not {table for tables in foreign(_WRITE, house).values() for table in tables.split()} & ledger


def test_pages_and_programs_have_no_statements_of_their_own() -> None:
    for path, facts in _house().items():
        if _package(path) in {"web", "api"}:
            named = [
                text for text in facts.texts if re.search(r"\bSELECT\b.+\bFROM\b|\bUPDATE \w+ SET\b", text)
            ]
            assert named == [], path


def test_a_statement_elsewhere_is_found() -> None:
    tree = ast.parse(
        '"""FROM orders"""\nA = "SELECT 1 FROM orders JOIN payin x"\nB = "UPDATE orders SET a = 1"\nC = db.session.get(Requisite, 1)'
    )
    house = {**_house(), PORTAL / "mail" / "new.py": facts_of(tree)}
    assert foreign(_READ, house)["mail/new.py"] == "orders requisite"
    assert foreign(_WRITE, house)["mail/new.py"] == "orders"
