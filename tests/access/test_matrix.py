"""Every route of the URL map over HTTP: every kind of person, nobody, and things that belong to others.

A new route is walked by itself. One that takes an id of a new kind fails here until tests/access/world.py can
make such a thing for somebody.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.api.operations import operation_of
from portal.core.permissions import Permission, Reach, permission_of, why_public
from portal.web.shell.limits import forget as forget_requests
from portal.web.ui import error_pages
from tests.access.world import Visitor, World, methods_of, nobody_knows

# How a route may answer whom it admits; a form without its fields is refused by what is in it.
ADMITTED = {200, 201, 204, 302, 303, 304, 400, 404, 409, 422, 429}
# Nobody walks about in a part of the house that is not theirs, whatever else they may do.
HOMES = {
    "trader": Permission.TRADER_QUEUE_VIEW,
    "merchant": Permission.MERCHANT_HOME_VIEW,
    "lead": Permission.LEAD_HOME_VIEW,
    "support": Permission.SUPPORT_HOME_VIEW,
}


@pytest.fixture
def world(committed_db: Flask, monkeypatch: pytest.MonkeyPatch) -> World:
    """Thousands of refusals in their words alone: how their pages look is looked at elsewhere.

    Whole tables are compared again and again, so nobody else's rows are in them.
    """
    monkeypatch.setattr(
        error_pages, "render_template", lambda _name, **said: f"{said['title']}\n{said['detail']}"
    )
    return World(committed_db)


def guarded(app: Flask) -> Iterator[tuple[Rule, str, Permission]]:
    """Pages, fragments, streams and exports: whatever declares a permission."""
    for rule in app.url_map.iter_rules():
        permission = permission_of(app.view_functions[rule.endpoint])
        if permission is not None:
            for method in methods_of(rule):
                yield rule, method, permission


def is_admitted(visitor: Visitor, rule: Rule, permission: Permission) -> bool:
    """Whether the presets let this person in: into this part of the house, and to this route of it."""
    if rule.endpoint.startswith("admin."):  # about everybody, so for whoever may do it to everybody
        return visitor.holdings.get(permission) is Reach.ALL
    home = HOMES.get(rule.endpoint.partition(".")[0], permission)
    return {home, permission} <= visitor.holdings.keys()


def is_refused(answer: TestResponse, visitor: Visitor) -> bool:
    """403, naming a permission that they lack: the route's, or that of the whole part of the house."""
    text = answer.get_data(as_text=True)
    missing = (permission for permission in Permission if permission not in visitor.holdings)
    return answer.status_code == 403 and any(permission.value in text for permission in missing)


@pytest.mark.proves("ASVS 34", "attack 63")
def test_every_route_has_a_policy(world: World) -> None:
    bare = [
        rule.rule
        for rule in world.app.url_map.iter_rules()
        if rule.endpoint != "static"
        and permission_of(view := world.app.view_functions[rule.endpoint]) is None
        and not why_public(view)
        and operation_of(view) is None
    ]
    assert bare == []


@pytest.mark.proves("attack 63", "attack 66", "ASVS 34")
def test_rows_63_and_66_each_person_reaches_what_they_may_and_nothing_else(world: World) -> None:
    wrong: list[str] = []
    walked = 0
    for rule, method, permission in guarded(world.app):
        for visitor in world.visitors.values():
            may = is_admitted(visitor, rule, permission)
            owner = visitor.name if may else "trader"
            answer = visitor.open(method, world.path(rule, owner))
            walked += 1
            ok = answer.status_code in ADMITTED if may else is_refused(answer, visitor)
            if not ok:
                wrong.append(f"{visitor.name}: {method} {rule.rule} ({permission.value}): {answer.status}")
    assert wrong == [], "\n".join(wrong)
    assert walked > 300


@pytest.mark.proves("ASVS 34", "attack 63")
def test_nobody_reaches_anything_without_signing_in(world: World) -> None:
    wrong: list[str] = []
    for rule, method, _ in guarded(world.app):
        path = world.path(rule, "trader")
        page = world.nobody.open(method, path)
        fragment = world.nobody.open(method, path, **{"HX-Request": "true"})
        stream = world.nobody.open(method, path, Accept="text/event-stream")
        if page.status_code != 303 or not page.headers["Location"].startswith("/sign-in"):
            wrong.append(f"page {method} {rule.rule}: {page.status}")
        if fragment.status_code != 401 or not fragment.headers["HX-Redirect"].startswith("/sign-in"):
            wrong.append(f"fragment {method} {rule.rule}: {fragment.status}")
        if stream.status_code != 401:
            wrong.append(f"stream {method} {rule.rule}: {stream.status}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.proves("attack 61", "ASVS 34", "attack 62")
def test_row_61_what_belongs_to_others_is_not_there(world: World) -> None:
    wrong: list[str] = []
    walked = 0
    for rule, method, permission in guarded(world.app):
        if not rule.arguments or rule.rule.startswith("/invitation/"):
            continue
        for visitor in world.visitors.values():
            if not is_admitted(visitor, rule, permission) or visitor.holdings[permission] is Reach.ALL:
                continue
            stranger = world.stranger_to(visitor)
            foreign = world.path(rule, stranger)
            # The walk signs in itself, which is no change that a route made.
            before = world.state(but="user_session")
            for path in (foreign, nobody_knows(foreign)):
                answer = visitor.open(method, path)
                walked += 1
                if answer.status_code != 404:
                    wrong.append(f"{visitor.name}: {method} {rule.rule}: {answer.status}")
            if world.state(but="user_session") != before:
                wrong.append(f"{visitor.name}: {method} {rule.rule}: something has changed")
    assert wrong == [], "\n".join(wrong)
    assert walked > 50


@pytest.mark.proves("attack 63")
def test_row_63_another_spelling_or_method_gets_nobody_in(world: World) -> None:
    wrong: list[str] = []
    outsider = world.visitors["member: viewer"]
    for rule, method, permission in guarded(world.app):
        if method != "GET" or is_admitted(outsider, rule, permission):
            continue
        path = world.path(rule, "trader")
        forget_requests()  # no more than a few dozen a minute are asked of one person
        others = [
            f"{path}/", f"/{path}", path.upper(), path.replace("/", "/%2e/", 1), f"{path};a=1", f"{path}%00",
            f"/static/..{path}", path.replace("/", "//"),
        ]  # fmt: skip
        for other in others:
            answer = outsider.open("GET", other)
            if answer.status_code not in {301, 308, 400, 403, 404}:
                wrong.append(f"GET {other}: {answer.status}")
        for verb in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "get"):
            answer = outsider.open(verb, path, **{"X-HTTP-Method-Override": "GET"})
            if answer.status_code not in {400, 403, 405}:
                wrong.append(f"{verb} {path}: {answer.status}")
        for header in ("X-Original-URL", "X-Rewrite-URL", "X-User-Id", "X-Forwarded-Prefix"):
            answer = outsider.open("GET", path, **{header: "/account"})
            if not is_refused(answer, outsider):
                wrong.append(f"{header} {path}: {answer.status}")
    assert wrong == [], "\n".join(wrong)


def test_public_routes_answer_nobody_without_a_session(world: World) -> None:
    wrong: list[str] = []
    for rule in world.app.url_map.iter_rules():
        if not why_public(world.app.view_functions[rule.endpoint]) or "GET" not in (rule.methods or set()):
            continue
        if rule.endpoint.startswith("health."):
            continue  # tells how the house is, not who asks
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(
                next(p for p in _placeholders(rule) if name in p), "11111111-1111-4111-8111-111111111111"
            )
        answer = world.nobody.open("GET", path)
        if answer.status_code not in {200, 302, 303, 404}:
            wrong.append(f"{rule.rule}: {answer.status}")
    assert wrong == [], "\n".join(wrong)


def _placeholders(rule: Rule) -> list[str]:
    import re

    return re.findall(r"<[^>]+>", rule.rule)
