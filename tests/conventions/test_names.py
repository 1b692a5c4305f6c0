"""Words that mislead a newcomer are not used for files, folders and templates: the field's word is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PORTAL = ROOT / "portal"
# The word that is not used -> what the thing is called here.
INSTEAD = {
    "dossier": "order_detail", "doing": "order_actions", "heard_memory": "cache", "hints": "jobs", "look": "theme",
    "reach": "staff_scope or egress_policy", "redis_patience": "circuit_breaker", "verification": "kyc or integrity",
    "application_state": "the name of what is kept", "data": "what it is", "info": "what it says", "stuff": "what it is",
}  # fmt: skip


def modules() -> Iterator[Path]:
    yield from sorted(PORTAL.rglob("*.py"))


def test_no_file_or_folder_has_a_name_that_misleads() -> None:
    named = {
        part.removesuffix(".py").removesuffix(".html").lstrip("_"): str(path.relative_to(ROOT))
        for path in (*modules(), *sorted((ROOT / "templates").rglob("*.html")))
        for part in path.relative_to(ROOT).parts
    }
    assert {path: INSTEAD[name] for name, path in named.items() if name in INSTEAD} == {}


def test_no_module_of_the_product_is_called_a_test() -> None:
    assert [str(path) for path in modules() if path.name.startswith("test_")] == []
