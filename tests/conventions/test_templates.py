"""What holds for every template: strict CSP, no macro imported for nothing, one h1 and unique ids a page."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from flask import Flask

from portal.identity.models import Role
from tests.web.desk import Browser, new_user, open_desk

ROOT = Path(__file__).parents[2] / "templates"
TEMPLATES = sorted(ROOT.rglob("*.html"))
IMPORT = re.compile(r"{%-?\s*from\s+\"[^\"]+\"\s+import\s+([^%]+?)\s*-?%}")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.proves("ASVS 12")
@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_nothing_is_inline(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert "hx-on" not in text
    assert "|safe" not in text.replace(" ", "")


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_every_imported_macro_is_used(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rest = IMPORT.sub("", text)
    # A layout imports for the pages that extend it.
    if "layouts" in path.parts:
        children = [
            other for other in TEMPLATES if f'extends "{name_of(path)}"' in other.read_text(encoding="utf-8")
        ]
        rest += "".join(other.read_text(encoding="utf-8") for other in children)
        rest += (ROOT / "trader/queue/queue.html").read_text(encoding="utf-8")
    for names in IMPORT.findall(text):
        for imported in names.removesuffix("with context").split(","):
            used_as = imported.split(" as ")[-1].strip()
            assert re.search(rf"\b{re.escape(used_as)}\(", rest), f"{used_as} is imported and not used"


def test_every_macro_is_called_somewhere() -> None:
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in TEMPLATES}
    everything = "".join(texts.values())
    unused = []
    for file, text in texts.items():
        for macro in re.findall(r"{%-?\s*macro\s+(\w+)\(", text):
            names = {macro, *re.findall(rf"\b{macro} as (\w+)", everything)}
            calls = sum(len(re.findall(rf"(?<!macro )\b{name}\(", everything)) for name in names)
            if not calls:
                unused.append(f"{file}: {macro}")
    assert unused == []


PARTIALS = [path for path in TEMPLATES if path.name.startswith("_")]


@pytest.mark.parametrize("path", PARTIALS, ids=name_of)
def test_partials_and_macros_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (80 if "{% macro" in text else 45)


WIDEST = 120


# What people edit beside them: the text of letters, and our styles.
STYLES = (path for path in (ROOT.parent / "static").rglob("*.css") if "vendor" not in path.parts)
WRITTEN = sorted({*TEMPLATES, *ROOT.rglob("*.txt"), *STYLES})
UNBROKEN = {"emails": "a paragraph of a letter is one line of its text: whoever reads it breaks it"}


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT.parent)))
def test_no_line_is_wider_than_a_reader_sees_at_once(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.suffix == ".txt" and path.parent.name in UNBROKEN:
        return
    assert [number for number, line in enumerate(lines, 1) if len(line) > WIDEST] == []


@pytest.fixture
def rendered(app: Flask) -> dict[str, str]:
    """Every portal page as somebody sees it, with something in it."""
    with app.app_context():
        desk = open_desk(app)
        desk.receipt(desk.payin(1500_00, claimed=True))
        desk.payin(700_00)
        desk.expired(900_00)
        desk.payout(2000_00)
        desk.payout(3000_00, accepted=True)
        merchant = Browser(app.test_client())
        merchant.sign_in(new_user(Role.MERCHANT).email)
        nobody = Browser(app.test_client())
        return {
            "queue": desk.browser.get("/trader/queue").text,
            "account of a trader": desk.browser.get("/account").text,
            "account of a merchant": merchant.get("/account").text,
            "sign-in": nobody.get("/sign-in").text,
            "error": nobody.get("/nowhere").text,
        }


def test_every_page_has_one_h1_a_title_and_unique_ids(rendered: dict[str, str]) -> None:
    for page, html in rendered.items():
        assert len(re.findall(r"<h1[\s>]", html)) == 1, page
        assert re.search(r"<title>[^<]+</title>", html), page
        ids = Counter(re.findall(r'\sid="([^"]+)"', html))
        assert [name for name, count in ids.items() if count > 1] == [], page


def test_every_label_and_description_points_at_something(rendered: dict[str, str]) -> None:
    for page, html in rendered.items():
        ids = set(re.findall(r'\sid="([^"]+)"', html))
        for names in re.findall(r'(?:\sfor|aria-labelledby|aria-describedby|data-opens)="([^"]+)"', html):
            assert set(names.split()) <= ids, (page, names)
