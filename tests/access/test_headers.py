"""What every answer says to the browser: pages, fragments, errors, files and programs' answers, route by route."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.api.problems import PATHS as API_PATHS
from portal.core.ids import public_id
from portal.core.permissions import permission_of
from portal.settings import get_settings
from tests.access.world import World, methods_of
from tests.servers import PUBLIC_SETTINGS

# Errors of every kind, files, and what is for programs.
OTHERS = (
    ("GET", "/nowhere"), ("DELETE", "/sign-in"), ("POST", "/sign-in"), ("GET", "/sign-in"), ("GET", "/admin"),
    ("GET", "/static/portal/portal.css"), ("GET", "/static/nowhere.css"), ("GET", "/static/../wsgi.py"),
    ("GET", "/pay/no-such-token"), ("GET", "/docs"), ("GET", "/healthz"), ("GET", "/readyz"),
    ("GET", "/api/v1/orders"), ("GET", "/api/v1/nowhere"), ("POST", "/api/v1/orders"), ("GET", "/api/v1/openapi.json"),
    ("POST", "/merchant/auth/token"), ("GET", "/admin/auth/login"), ("GET", "/sign-in?next=%ff"),
)  # fmt: skip


@pytest.fixture
def world(committing_app: Flask) -> Iterator[World]:
    with committing_app.app_context():
        yield World(committing_app)


def answers(world: World) -> Iterator[tuple[str, TestResponse]]:
    """Each guarded route as somebody who may and as nobody, with ids that exist, and whatever else answers."""
    for rule in world.app.url_map.iter_rules():
        permission = permission_of(world.app.view_functions[rule.endpoint])
        if permission is None:
            continue
        visitor = next((v for v in world.visitors.values() if permission in v.holdings), world.nobody)
        for method in methods_of(rule):
            path = world.path(rule, visitor.name if visitor is not world.nobody else "trader")
            for who in (visitor, world.nobody):
                yield f"{who.name}: {method} {rule.rule}", who.open(method, path)
    for method, path in OTHERS:
        for name, headers in {"page": {}, "fragment": {"HX-Request": "true"}}.items():
            yield f"{name} {method} {path}", world.nobody.open(method, path, **headers)


def directives(answer: TestResponse) -> dict[str, str]:
    policy = answer.headers.get("Content-Security-Policy", "")
    parts = (part.strip().partition(" ") for part in policy.split(";") if part.strip())
    return {name: value for name, _, value in parts}


def wrong_with(answer: TestResponse, *, is_api: bool, is_file: bool) -> list[str]:
    """The names of the headers that are missing or weaker than they should be."""
    policy, headers = directives(answer), answer.headers
    checks = {
        "default-src": policy.get("default-src") == "'none'",
        "frame-ancestors": policy.get("frame-ancestors") == "'none'",
        "unsafe": "unsafe" not in headers.get("Content-Security-Policy", ""),
        "nosniff": headers.get("X-Content-Type-Options") == "nosniff",
        "request id": bool(headers.get("X-Request-Id")),
        "charset": not answer.mimetype.startswith("text/") or answer.mimetype_params.get("charset", "").lower() == "utf-8",
        "type": not answer.data or bool(answer.mimetype),
        "cors": not any(name.lower().startswith("access-control") for name in headers.keys()),  # noqa: SIM118
        "server": "Python" not in headers.get("Server", "") and "X-Powered-By" not in headers,
    }  # fmt: skip
    if not is_api:
        is_sandbox = "sandbox" in policy
        checks |= {
            "object-src": is_sandbox or policy.get("object-src") == "'none'",
            "base-uri": is_sandbox or policy.get("base-uri") == "'none'",
            "form-action": is_sandbox or policy.get("form-action") == "'self'",
            "referrer": headers.get("Referrer-Policy") in {"no-referrer", "same-origin"},
            "opener": headers.get("Cross-Origin-Opener-Policy") == "same-origin",
            "permissions": "camera=()" in headers.get("Permissions-Policy", ""),
        }
    if not is_api and not is_file:
        checks["no-store"] = headers.get("Cache-Control") == "no-store"
    return [name for name, is_right in checks.items() if not is_right]


@pytest.mark.proves("ASVS 12", "ASVS 13", "ASVS 14", "ASVS 18", "ASVS 38")
def test_every_answer_has_the_headers_also_errors_fragments_and_files(world: World) -> None:
    wrong, walked = [], 0
    for name, answer in answers(world):
        path = name.split()[-1]
        is_file = path.startswith(("/static", "/docs"))
        found = wrong_with(answer, is_api=path.startswith(API_PATHS), is_file=is_file)
        walked += 1
        if found:
            wrong.append(f"{name} {answer.status_code}: {', '.join(found)}")
    assert wrong == [], "\n".join(wrong)
    assert walked > 300


@pytest.mark.proves("ASVS 11")
def test_over_https_every_answer_says_to_stay_there_for_a_year(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PUBLIC_SETTINGS.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    try:
        without = [
            f"{method} {path}"
            for method, path in OTHERS
            if _hsts(world.app.test_client().open(path, method=method, base_url="https://pay.example.com"))
            != {"max-age=31536000", "includesubdomains"}
        ]
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert without == []


def _hsts(answer: TestResponse) -> set[str]:
    return {
        part.strip().lower()
        for part in answer.headers.get("Strict-Transport-Security", "").split(";")
        if part
    }


@pytest.mark.proves("ASVS 15", "ASVS 20", "attack 63")
def test_a_method_that_a_path_does_not_offer_is_405_and_says_which_it_does(world: World) -> None:
    offered: dict[str, set[str]] = {}
    rules: dict[str, Rule] = {}
    for rule in world.app.url_map.iter_rules():
        offered.setdefault(rule.rule, set()).update(rule.methods or ())
        rules[rule.rule] = rule
    wrong = []
    for path, methods in offered.items():
        real = _filled(path)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"):
            if method in methods:
                continue
            answer = world.app.test_client().open(real, method=method)
            if answer.status_code != 405 or method in answer.headers.get("Allow", "").split(", "):
                wrong.append(f"{method} {real}: {answer.status}")
    assert wrong == [], "\n".join(wrong)


def _filled(rule: str) -> str:
    """A path of this rule's shape, whatever it is about."""
    some = uuid.UUID("11111111-1111-4111-8111-111111111111")
    kinds = {
        "order_id": public_id("ord", some),
        "receipt_id": public_id("rcp", some),
        "uuid": str(some),
        "int": "1",
    }

    def value(found: re.Match[str]) -> str:
        converter, arguments = found[1] or "", found[2] or ""
        return arguments.split(",")[0].strip("\"' ") if converter == "any" else kinds.get(converter, "x")

    return re.sub(r"<(?:(\w+)(?:\(([^)]*)\))?:)?\w+>", value, rule)


@pytest.mark.proves("ASVS 37")
@pytest.mark.parametrize(
    "path",
    [
        "/.git/config", "/.git/HEAD", "/.env", "/metrics", "/console", "/debug", "/server-status", "/wsgi.py",
        "/static/../portal/settings.py", "/static/%2e%2e/.env", "/static/..%2f..%2fetc/passwd", "/static/", "/portal/",
        "/pyproject.toml", "/var/uploads/", "/backup.sql", "/_debug_toolbar/", "/?__debugger__=yes&cmd=resource&f=debugger.js",
    ],
)  # fmt: skip
def test_nothing_of_the_house_itself_is_served(committing_app: Flask, path: str) -> None:
    answer = committing_app.test_client().get(path)
    if path.startswith("/?"):
        # The start page looks at no parameter.
        assert answer.status_code in {302, 303}
        assert answer.location.startswith("/sign-in")
    else:
        assert answer.status_code == 404
    for inside in ("Traceback", "Werkzeug", "SECRET", "[core]", "Index of"):
        assert inside not in answer.text
    assert not committing_app.debug


@pytest.mark.proves("ASVS 41")
@pytest.mark.parametrize("place", ["find_session", "_permissions"])
def test_a_failure_that_nobody_expected_opens_nothing_and_tells_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Also where the permission itself can't be read: who may is then unknown, and nobody may."""

    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("SELECT secret FROM users; /srv/app/portal/x.py line 3")

    monkeypatch.setattr(f"portal.web.shell.visitor.{place}", explode)
    answer = world.visitors["admin"].open("GET", "/admin/people")
    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] in answer.text
    for inside in ("Zero", "SELECT", "secret", "portal/x", "Traceback", "<table"):
        assert inside not in answer.text
    assert wrong_with(answer, is_api=False, is_file=False) == []
