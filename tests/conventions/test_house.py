"""How the house is built: imports one way, one commit, no drawers, files and functions that can be read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.orders.reasons import HouseReason
from portal.orders.transitions import Note, Step
from tests.conventions.test_limits_of_requisites import LIMITS

ROOT = Path(__file__).parents[2]
PORTAL = ROOT / "portal"
MODULES = sorted(PORTAL.rglob("*.py"))
DOMAIN = [
    path
    for path in MODULES
    if path.relative_to(PORTAL).parts[0]
    in {
        "approvals", "audit", "core", "disputes", "error_reports", "events", "identity", "ledger", "mail", "matching", "merchants",
        "notifications", "ops", "orders", "queues", "reference", "risk", "traders", "webhooks",
    }
]  # fmt: skip
DRAWERS = {"utils", "helpers", "common", "misc", "manager", "tools"}
LOOSE_MODULES = {"core": 20, "identity": 12, "web": 2}
# What knows the request although it stands in core: it declares or describes routes, and decides nothing.
KNOW_THE_REQUEST = {
    "permissions.py",
    "request_log.py",
    "error_tracking.py",
    "metrics.py",
    "logging.py",
    "trace.py",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_go_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_package_has_its_place_in_the_order() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    placed = {name.strip() for layer in contract["layers"] for name in layer.split(":")}
    assert placed == {f"portal.{path.parent.name}" for path in PORTAL.glob("*/__init__.py")}


def test_folders_do_not_crowd() -> None:
    """What has no room of its own; a folder is not asked what it is called, but somebody looking for a file is."""
    loose = {name: len(list((PORTAL / name).glob("[!_]*.py"))) for name in LOOSE_MODULES}
    assert {name: count for name, count in loose.items() if count > LOOSE_MODULES[name]} == {}


def test_nothing_is_called_a_drawer() -> None:
    named = {part.removesuffix(".py") for path in MODULES for part in path.relative_to(PORTAL).parts}
    assert named & DRAWERS == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_have_a_readable_size(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 500
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 70, node.name


def test_only_the_transaction_commits() -> None:
    found = {
        name_of(path) for path in MODULES if re.search(r"\.commit\(\)", path.read_text(encoding="utf-8"))
    }
    assert found == {"portal/core/db/transactions.py"}


@pytest.mark.parametrize("path", DOMAIN, ids=name_of)
def test_the_domain_knows_no_request(path: Path) -> None:
    if path.name in KNOW_THE_REQUEST and path.parts[-2] in {"core", "observability"}:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in {"flask", "flask_login"}:
            taken = {alias.name for alias in node.names}
            assert taken & {"request", "session", "g", "current_user"} == set()


def _is_route(node: ast.AST) -> bool:
    verbs = {"get", "post", "route", "patch", "delete", "put"}
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr in verbs
        for mark in node.decorator_list
    )


def _routes() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and _is_route(node):
                yield name_of(path), node


def test_a_route_is_short() -> None:
    long = {
        f"{file}:{node.name}": lines
        for file, node in _routes()
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > 26
    }
    assert long == {}


def test_a_status_is_written_as_its_enum() -> None:
    """In Python; in SQL it is text, and held to the enum by a CHECK."""
    loose = re.compile(r"(?:\.status|\[[\"']status[\"']\])\s*(==|!=)\s*[\"']")
    # The simulator is a shop: it knows what the API says, and none of our enums.
    ours = [path for path in MODULES if "simulator" not in path.parts]
    assert [name_of(path) for path in ours if loose.search(path.read_text(encoding="utf-8"))] == []


# A field of the database's type `new_order`, not the note of the same name.
NOT_NOTES = {("portal/orders/service/place.py", "requisite_shown")}


def test_notes_and_reasons_of_the_house_are_written_as_their_enums() -> None:
    """In a timeline they are text that nothing holds to the enum; what a step is called as well says nothing by itself."""
    named = {*Note, *HouseReason} - set(Step)
    written = re.compile(rf"[\"'](?:{'|'.join(sorted(named))})[\"']")
    homes = {"portal/orders/transitions.py", "portal/orders/reasons.py"}
    sources = [*MODULES, *PORTAL.rglob("*.sql"), *(ROOT / "templates").rglob("*.html")]
    found = {
        (name_of(path), text.strip("'\""))
        for path in sources
        if name_of(path) not in homes
        for text in written.findall(path.read_text(encoding="utf-8"))
    }
    assert found == NOT_NOTES


def test_clients_of_redis_are_made_in_one_place() -> None:
    """Where each has its time limits. The embedded server asks the one that it has started, through its own socket."""
    made = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _makes_a_client_of_redis(node)
    }
    assert made == {"portal/core/redis.py", "portal/embedded/redis.py"}


def _makes_a_client_of_redis(call: ast.Call) -> bool:
    """`redis.Redis(...)`, its pools and subclasses by any road, and `from_url` of whatever."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in {"Redis", "StrictRedis", "RedisCluster", "Sentinel", "from_url", "from_pool"}


def test_the_streams_process_loads_neither_the_web_nor_the_database() -> None:
    """It holds a connection for each open page and is meant to be small."""
    told = (
        "import sys, portal.workers.streams; print(*sorted({'flask', 'sqlalchemy', 'rq'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_queues_have_a_worker_that_knows_every_job() -> None:
    """A queue made elsewhere, or a job that nobody wrote, would wait for ever."""
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in MODULES}
    assert [file for file, text in texts.items() if re.search(r"(?<!Simple)\bQueue\(", text)] == [
        "portal/core/jobs.py"
    ]
    asked = {job for text in texts.values() for job in re.findall(r"\benqueue_job\(\"(\w+)\"\)", text)}
    known = {
        node.name
        for node in ast.parse(texts["portal/workers/jobs.py"]).body
        if isinstance(node, ast.FunctionDef)
    }
    assert asked
    assert asked <= known
    assert "queue_on(connection, queue) for queue in queues" in texts["portal/workers/queue.py"]


def test_what_a_requisite_has_room_for_is_compared_in_one_place() -> None:
    """Who picks, offers, accepts, counts and explains asks the verdict; the index of candidates repeats what of it a row
    knows by itself (tests/matching compare both).
    """
    limits = rf"(?:{'|'.join(LIMITS)})"
    compared = re.compile(rf"(?<!1 )[<>]=?\s*(?:\w+\.)?{limits}\b")
    sources = [*MODULES, *PORTAL.rglob("*.sql")]
    found = {name_of(path) for path in sources if compared.search(path.read_text(encoding="utf-8"))}
    assert found == {"portal/matching/sql/requisite_verdict.sql", "portal/traders/models.py"}
