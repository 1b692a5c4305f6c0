"""Pages load the part of the framework's style sheet that they use, and all of that part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tinycss2

from styles.__main__ import ROOT, SHIPPED, SOURCE, used
from styles.shrinking import classes_of, shrunk
from styles.words import Words, words_of

_CLASSES = re.compile(r"""class(?:Name)?\s*=\s*(["'])(.*?)\1""", re.DOTALL)
_WORKED_OUT = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def test_what_is_shipped_is_what_the_pages_use_today() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == used(), "make styles"


def test_no_class_that_a_template_names_is_missing() -> None:
    known, shipped = (classes_of(path.read_text(encoding="utf-8")) for path in (SOURCE, SHIPPED))
    named = {
        word
        for path in (ROOT / "templates").rglob("*.html")
        for _quote, classes in _CLASSES.findall(path.read_text(encoding="utf-8"))
        for word in _WORKED_OUT.sub(" ", classes).split()
    }
    assert len(named & known) > 50
    assert (named & known) - shipped == set()


def test_a_small_part_is_shipped() -> None:
    """Bytes, not a time: what a phone on a slow line waits for."""
    assert SHIPPED.stat().st_size < SOURCE.stat().st_size / 5


def words(text: str) -> Words:
    found = Words()
    found.add(text)
    return found


@pytest.mark.parametrize(
    ("source", "page", "expected"),
    [
        (".a{color:red}.b{color:red}", "a", ".a{color:red}"),
        (".a,.b{color:red}", "b", ".b{color:red}"),
        (".a .b{color:red}.a:not(.b){color:red}", "a", ".a:not(.b){color:red}"),
        (".a:is(.b,.c){color:red}", "a", ".a:is(.b,.c){color:red}"),
        ("h1{color:red}", "", "h1{color:red}"),
        (".btn-x{color:red}.bt{color:red}", '"btn-{{ kind }}"', ".btn-x{color:red}"),
        (".btn-x{color:red}", "`btn-${kind}`", ".btn-x{color:red}"),
        (".btn-x{color:red}", '"btn-" ~ kind', ".btn-x{color:red}"),
        (".btn-x{color:red}", "btn-", ""),
        ("@media print{.a{color:red}.b{color:red}}", "a", "@media print{.a{color:red}}"),
        ("@media print{.b{color:red}}", "a", ""),
        (".a{--x:1;--y:2;top:var(--x)}", "a", ".a{--x:1;top:var(--x)}"),
        (":root{--x:var(--z);--z:1}.a{top:var(--x)}", "a", ":root{--x:var(--z);--z:1}.a{top:var(--x)}"),
        (":root{--x:1}", "getPropertyValue('--x')", ":root{--x:1}"),
        (".a{top:1px!important}", "a", ".a{top:1px!important}"),
        ("@keyframes k{to{top:0}}.a{animation:k 1s}", "a", "@keyframes k{to{top:0}}.a{animation:k 1s}"),
        ("@keyframes k{to{top:0}}.a{top:0}", "a", ".a{top:0}"),
    ],
)  # fmt: skip
def test_a_rule_stays_while_a_page_can_meet_it(source: str, page: str, expected: str) -> None:
    assert shrunk(source, words(page)).partition("\n")[2].strip() == expected


def test_the_licence_stays() -> None:
    assert "Licensed under MIT" in SHIPPED.read_text(encoding="utf-8")


def test_what_is_written_is_read_as_it_was_meant() -> None:
    rules = tinycss2.parse_stylesheet(SHIPPED.read_text(encoding="utf-8"), skip_comments=True)
    assert [rule for rule in rules if rule.type == "error"] == []


def test_words_are_found_in_every_template(tmp_path: Path) -> None:
    for folder in ("templates/deep", "static/portal", "portal/web"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "templates/deep/x.html").write_text('<p class="one">')
    (tmp_path / "static/portal/x.js").write_text("list.add('two')")
    (tmp_path / "portal/web/x.py").write_text('"""No class: three."""\nA = "four"\nB = f"five-{A}"\n')
    found = words_of(tmp_path)
    assert {"one", "two", "four"} <= found.whole
    assert "three" not in found.whole
    assert found.may_be("five-six")
