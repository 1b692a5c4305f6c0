"""No currency is named in the code: which there are is reference data, and so is what is meant where none is named."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KNOWN = {
    currency["code"]
    for currency in json.loads((ROOT / "portal/reference/seed_data/currencies.json").read_text("utf-8"))
}
# A file, or a folder, in which a currency may be named, and why.
NAMED = {
    "portal/api/examples.py": "what the API's document shows",
    "portal/api/v1/orders.py": "the example of a new order",
    "portal/api/validation.py": "the example of a field",
    "portal/demo/": "the demo's world",
    "portal/merchants/models.py": "the column's default in the database, which create_store never uses",
    "portal/reference/example_numbers.py": "what numbers look like in a country",
    "portal/reference/requisite_numbers.py": "how numbers are checked in a country",
    "portal/risk/seeding.py": "what a large amount is can be said in a currency alone",
    "portal/simulator/": "the simulated customers",
    "portal/web/dev/": "the page of components",
    "portal/web/pay/view.py": "what a bank is called in a country",
    "portal/web/pay/qr.py": "the standard of the code knows one currency",
    "templates/dev/": "the page of components",
}
CODE = re.compile(rf"""(?<=["'])({"|".join(sorted(KNOWN))})(?=["'])""")


def named_in(path: Path) -> set[str]:
    """The currencies that a module has as a text of its own, or that anything else has between quotes."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return set(CODE.findall(source))
    texts = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    return KNOWN & {text for text in texts if isinstance(text, str)} | {
        code for text in texts if isinstance(text, str) for code in CODE.findall(text)
    }


def all_that_name_one() -> dict[str, set[str]]:
    files = [
        path
        for folder in ("portal", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".html", ".txt"}
    ]
    found = {str(path.relative_to(ROOT)): named_in(path) for path in sorted(files)}
    return {name: codes for name, codes in found.items() if codes}


@pytest.mark.proves("tried A15")
def test_no_code_falls_back_on_a_currency_of_its_own() -> None:
    unexcused = {
        name: codes for name, codes in all_that_name_one().items() if not name.startswith(tuple(NAMED))
    }
    assert unexcused == {}


def test_every_excuse_is_needed() -> None:
    names = list(all_that_name_one())
    assert [place for place in NAMED if not any(name.startswith(place) for name in names)] == []
