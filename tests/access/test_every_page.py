"""What holds for every page of the URL map, as the first person sees it who may open it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from flask import Flask

from portal.core.permissions import permission_of, why_public
from tests.access.test_matrix import guarded, is_admitted
from tests.access.world import World

_POINTERS = re.compile(r'(?:\sfor|aria-labelledby|aria-describedby|aria-controls|data-opens)="([^"]+)"')
_ID = re.compile(r'\sid="([^"]+)"')


@pytest.fixture
def world(committing_app: Flask) -> Iterator[World]:
    with committing_app.app_context():
        yield World(committing_app)


def _pages(world: World) -> Iterator[tuple[str, str]]:
    """Each page's rule with its HTML; fragments, files and streams are none."""
    for rule, method, permission in guarded(world.app):
        visitor = next((one for one in world.visitors.values() if is_admitted(one, rule, permission)), None)
        if method == "GET" and visitor is not None:
            answer = visitor.open("GET", world.path(rule, visitor.name))
            if answer.status_code == 200 and answer.mimetype == "text/html":
                yield rule.rule, answer.get_data(as_text=True)
    for rule in world.app.url_map.iter_rules():
        view = world.app.view_functions[rule.endpoint]
        if "GET" in (rule.methods or ()) and not rule.arguments and permission_of(view) is None:
            answer = world.nobody.open("GET", rule.rule) if why_public(view) else None
            if answer is not None and answer.status_code == 200 and answer.mimetype == "text/html":
                yield rule.rule, answer.get_data(as_text=True)


def _faults(html: str) -> Iterator[str]:
    if (headings := len(re.findall(r"<h1[\s>]", html))) != 1:
        yield f"{headings} h1"
    if not re.search(r"<title>[^<]+</title>", html):
        yield "no title"
    ids = Counter(_ID.findall(html))
    if twice := [name for name, count in ids.items() if count > 1]:
        yield f"ids used twice: {twice}"
    if nowhere := {name for names in _POINTERS.findall(html) for name in names.split()} - set(ids):
        yield f"points at what is not there: {sorted(nowhere)}"


@pytest.mark.proves("tried A11")
@pytest.mark.timeout(300)
def test_every_page_has_one_h1_a_title_unique_ids_and_labels_that_point_at_something(world: World) -> None:
    wrong, walked = [], set[str]()
    for rule, html in _pages(world):
        if "<html" in html:
            walked.add(rule)
            wrong += [f"{rule}: {fault}" for fault in _faults(html)]
    assert wrong == [], "\n".join(wrong)
    assert {rule.split("/")[1] for rule in walked} >= {
        "account", "admin", "lead", "merchant", "sign-in", "support", "trader",
    }  # fmt: skip
    assert len(walked) > 50
