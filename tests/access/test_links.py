"""Nobody is shown a way that is closed to them: every link of every page leads somewhere for whoever sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask, url_for

from portal.core.permissions import Permission, Reach
from portal.web.shell.navigation import home_of
from tests.access.world import Visitor, World

# One thing of a kind stands for all of them.
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?:ord|req|st|evt)_\w+|(?<=/)\d+(?=/|$)")
_HREF = re.compile(r'<a\b[^>]*?\bhref="(/[^"#]*)')
MOST_PAGES = 60


@pytest.fixture
def world(committing_app: Flask) -> Iterator[World]:
    with committing_app.app_context():
        yield World(committing_app)


def home(app: Flask, visitor: Visitor) -> str:
    class Seen:
        def can(self, permission: Permission) -> bool:
            return permission in visitor.holdings

    with app.test_request_context():
        return url_for(home_of(Seen()))


def shape(path: str) -> str:
    """Pages that differ in whose or which thing they are about are walked once."""
    return _ID.sub("*", path.partition("?")[0])


def walk(world: World, visitor: Visitor) -> dict[str, int]:
    """Each page that can be reached by links from their home, with what it answered."""
    waiting, seen, answers = [home(world.app, visitor)], set[str](), dict[str, int]()
    while waiting and len(answers) < MOST_PAGES:
        path = waiting.pop(0).replace("&amp;", "&")
        if shape(path) in seen:
            continue
        seen.add(shape(path))
        answer = visitor.open("GET", path)
        answers[path] = answer.status_code
        if answer.mimetype == "text/html":
            waiting += _HREF.findall(answer.get_data(as_text=True))
    return answers


@pytest.mark.proves("tried N10")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("who", ["support", "admin", "lead", "trader", "member: owner", "member: viewer"])
def test_no_link_leads_to_a_refusal(world: World, who: str) -> None:
    answers = walk(world, world.visitors[who])
    assert len(answers) > 4
    assert {path: status for path, status in answers.items() if status not in {200, 302, 303}} == {}


@pytest.mark.proves("tried N10")
def test_support_opens_what_its_preset_lets_it_view(world: World) -> None:
    support = world.visitors["support"]
    seen = {shape(path) for path, status in walk(world, support).items() if status == 200}
    pages = {
        Permission.PERSON_VIEW: {"/admin/people", "/admin/people/*", "/admin/leads"},
        Permission.TRADER_VIEW: {"/admin/traders", "/admin/traders/*"},
        Permission.MERCHANT_VIEW: {"/admin/merchants"},
        Permission.TEAM_VIEW: {"/admin/teams", "/admin/teams/*"},
        Permission.ORDER_VIEW: {"/support/orders"},
    }
    assert all(support.holdings[permission] is Reach.ALL for permission in pages)
    assert set().union(*pages.values()) - seen == set()
