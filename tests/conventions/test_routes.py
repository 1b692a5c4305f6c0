"""What holds for every route, so that a new one cannot forget it."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.routing import Rule

from portal.api.operations import operation_of
from portal.api.problems import PATHS as API_PATHS
from portal.core.permissions import Permission, permission_of, why_public
from portal.identity.roles import MEMBER_PRESETS, PRESETS
from portal.mail import links

PORTAL = Path(__file__).parents[2] / "portal"
GUARDED = {"admin", "lead", "merchant", "support", "trader"}
HOMES_OF = {
    "": "auth", "account": "account", "dev": "dev", "healthz": "shell", "invitation": "auth", "password-reset": "auth",
    "pay": "pay", "readyz": "shell", "sign-in": "auth", "sign-out": "auth", "streams": "streams", "sudo": "auth",
}  # fmt: skip
CHANGES = {"POST", "PUT", "PATCH", "DELETE"}


def pages(app: Flask) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static" and not rule.rule.startswith(API_PATHS):
            yield rule


def test_every_route_declares_a_permission_or_why_it_is_public(app: Flask) -> None:
    bare = []
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if rule.endpoint == "static" or operation_of(view) is not None:
            continue
        if permission_of(view) is None and not why_public(view):
            bare.append(rule.rule)
    assert bare == []


@pytest.mark.proves("tried A11")
def test_a_portals_routes_are_never_public(app: Flask) -> None:
    for rule in pages(app):
        if rule.endpoint.partition(".")[0] in GUARDED:
            assert permission_of(app.view_functions[rule.endpoint]) is not None, rule.rule


@pytest.mark.parametrize("name", sorted(GUARDED))
def test_every_portal_has_a_guard(app: Flask, name: str) -> None:
    hooks = (
        app.blueprints[name].before_request_funcs
        if hasattr(app.blueprints[name], "before_request_funcs")
        else {}
    )
    registered = app.before_request_funcs.get(name, []) or hooks.get(None, [])
    assert [hook.__name__ for hook in registered] == ["guard"]


@pytest.mark.proves("tried A11")
def test_a_route_stands_in_the_folder_of_whom_it_is_for(app: Flask) -> None:
    """`/trader/...` in web/trader, or in web/shared where several portals have it; what is everybody's in its own."""
    strayed = []
    for rule in pages(app):
        first = rule.rule.split("/")[1]
        module = inspect.unwrap(app.view_functions[rule.endpoint]).__module__
        homes = {first, "shared"} if first in GUARDED else {HOMES_OF.get(first)}
        if (
            module == "portal.web.ui.actions"
        ):  # it makes the route of an action that a portal's own page declares
            continue
        if module.split(".")[:2] == ["portal", "web"] and module.split(".")[2] not in homes:
            strayed.append(f"{rule.rule}: {module}")
    assert strayed == [], "\n".join(strayed)


def test_every_permission_has_a_sentence_and_somebody_has_it(app: Flask) -> None:
    presets = [*PRESETS.values(), *MEMBER_PRESETS.values()]
    for permission in Permission:
        assert permission.sentence.endswith(".")
        assert any(permission in preset for preset in presets), permission


def test_paths_are_kebab_case_and_their_parts_typed(app: Flask) -> None:
    for rule in pages(app):
        plain = re.sub(r"<[^>]+>", "x", rule.rule)
        assert re.fullmatch(r"/?([a-z0-9.-]+/?)*", plain), rule.rule
        # The payment page looks up what it is given, whatever it looks like: all its misses are one 404.
        if not rule.rule.startswith("/pay/"):
            assert all(":" in part for part in re.findall(r"<([^>]+)>", rule.rule)), rule.rule


@pytest.mark.proves("ASVS 15")
def test_a_page_that_changes_something_is_not_a_get(app: Flask) -> None:
    for rule in pages(app):
        methods = rule.methods or set()
        assert not (methods & CHANGES and "GET" in methods), rule.rule


def test_views_are_short(app: Flask) -> None:
    for rule in pages(app):
        view = inspect.unwrap(app.view_functions[rule.endpoint])
        tree = ast.parse(textwrap.dedent(inspect.getsource(view)))
        function = tree.body[0]
        assert isinstance(function, ast.FunctionDef)
        assert (function.end_lineno or 0) - function.lineno < 28, rule.rule


def test_every_page_has_the_headers(app: Flask) -> None:
    client = app.test_client()
    for path in ("/sign-in", "/nowhere", "/trader/queue"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Request-Id"]
        assert "Cookie" in headers["Vary"]


def test_a_page_that_does_not_exist_is_a_page(app: Flask) -> None:
    answer = app.test_client().get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["X-Request-Id"] in answer.text
    fragment = app.test_client().get("/nowhere", headers={"HX-Request": "true"})
    assert fragment.headers["HX-Retarget"] == "#notice"
    assert "<html" not in fragment.text


def test_marked_assets_are_kept_and_others_are_asked_for(app: Flask) -> None:
    page = app.test_client().get("/sign-in").text
    marked = re.search(r"/static/portal/portal\.css\?v=[0-9a-f]{12}", page)
    assert marked is not None
    assert "immutable" in app.test_client().get(marked[0]).headers["Cache-Control"]
    assert app.test_client().get("/static/portal/portal.css").headers["Cache-Control"] == "no-cache"


def links_of_the_domain() -> Iterator[str]:
    """Every page that people are sent to by mail and notifications, an order's in each portal that shows it."""
    given = {"token": ["some-token"], "portal": ["lead", "merchant", "support", "trader"]}
    for name, value in vars(links).items():
        if name.isupper():
            yield value
        elif inspect.isfunction(value) and value.__module__ == links.__name__:
            first, *rest = inspect.signature(value).parameters
            for argument in given.get(first, [uuid.uuid4()]):
                yield value(argument, *(uuid.uuid4() for _ in rest))


def test_whatever_the_domain_sends_people_to_is_a_page(app: Flask) -> None:
    addresses = app.url_map.bind("nostro.example")
    for link in links_of_the_domain():
        assert addresses.test(link, "GET"), link


def test_the_domain_writes_no_address_of_a_page_but_in_one_place() -> None:
    first = "|".join([*sorted(GUARDED), "account", "invitation", "password-reset", "sign-in"])
    written = re.compile(rf"""["']/(?:{first})["'/?]""")
    # The simulator and the demo stand in for a browser: they ask by address.
    asking = {"api", "web", "demo", "simulator"}
    found = {
        str(path.relative_to(PORTAL))
        for path in PORTAL.rglob("*.py")
        if path.relative_to(PORTAL).parts[0] not in asking and written.search(path.read_text())
    }
    assert found == {"mail/links.py"}
