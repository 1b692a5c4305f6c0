"""Every route of the JSON API over HTTP: keys of each scope, members of each role, people of other parts, nobody."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.api.access_tokens import issue_access_token
from portal.api.operations import Operation, operation_of
from portal.core.db import transaction
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.identity.models import Audience, MemberRole, Scope
from portal.identity.roles import MEMBER_PRESETS, scopes_of
from portal.identity.tokens.api_keys import issue_api_key
from portal.identity.tokens.token_families import start_family, start_personal_family
from tests.access.world import World, methods_of

IDS = {"order_id": "ord", "endpoint_id": "whe"}


@pytest.fixture
def world(committing_app: Flask) -> Iterator[World]:
    from portal.api import authentication

    with committing_app.app_context():
        for counter in (authentication.callers, authentication.strangers, authentication.refused):
            counter.forget()
        yield World(committing_app)
        for counter in (authentication.callers, authentication.strangers, authentication.refused):
            counter.forget()


def guarded(app: Flask) -> Iterator[tuple[Rule, str, Operation]]:
    for rule in app.url_map.iter_rules():
        declared = operation_of(app.view_functions[rule.endpoint])
        if declared is not None and not declared.is_public:
            for method in methods_of(rule):
                yield rule, method, declared


def path_of(rule: Rule) -> str:
    """The path with ids that nothing has."""
    path = rule.rule
    for name in rule.arguments:
        unknown = public_id(IDS[name], uuid.uuid4()) if name in IDS else "pay"
        path = path.replace(f"<{name}>", unknown)
    assert "<" not in path, f"{rule.rule}: teach tests/access/test_api_matrix.py its ids"
    return path


def call(app: Flask, method: str, path: str, credentials: str | None) -> TestResponse:
    from portal.api import authentication

    authentication.refused.forget()
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    if credentials is not None:
        headers["Authorization"] = f"Bearer {credentials}"
    with app.app_context():
        return app.test_client().open(
            path, method=method, headers=headers, data="{}" if method != "GET" else None
        )


def code_of(answer: TestResponse) -> str:
    return str(json.loads(answer.data)["code"]) if answer.data else ""


def is_right(answer: TestResponse, scope: Scope | None, scopes: frozenset[Scope]) -> bool:
    if scope is None or scope in scopes:
        return answer.status_code in {200, 204, 400, 404, 409, 415, 422}
    return answer.status_code == 403 and json.loads(answer.data).get("scope") == scope.value


@pytest.mark.proves("ASVS 34", "attack 56")
def test_each_scope_opens_its_routes_and_no_other(world: World) -> None:
    store_id = world.desks["trader"].scene.store_id
    with transaction():
        keys = {scope: issue_api_key(store_id, Mode.TEST, scope.value, [scope])[1] for scope in Scope}
    wrong = []
    for rule, method, declared in guarded(world.app):
        for scope, key in keys.items():
            answer = call(world.app, method, path_of(rule), key)
            if not is_right(answer, declared.scope, frozenset({scope})):
                wrong.append(f"{scope.value}: {method} {rule.rule}: {answer.status} {code_of(answer)}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.proves("ASVS 34", "attack 63")
def test_each_member_reaches_what_their_role_may(world: World) -> None:
    store_id = world.desks["trader"].scene.store_id
    wrong, walked = [], 0
    for role in MemberRole:
        with transaction():
            user = world.people[f"member: {role.value}"]
            family, _ = start_family(store_id, Mode.TEST, 3600, user_id=user.id)
        token = issue_access_token(family, Audience.MERCHANT, 600)
        for rule, method, declared in guarded(world.app):
            answer = call(world.app, method, path_of(rule), token)
            walked += 1
            if not is_right(answer, declared.scope, scopes_of(MEMBER_PRESETS[role])):
                wrong.append(f"{role.value}: {method} {rule.rule}: {answer.status} {code_of(answer)}")
    assert wrong == [], "\n".join(wrong)
    assert walked > 50


@pytest.mark.proves("ASVS 34", "attack 63")
def test_nobody_and_nobody_of_another_part_gets_in(world: World) -> None:
    with transaction():
        user = world.people["admin"]
        family, _ = start_personal_family(user.id, Audience.ADMIN, 3600)
    admins = issue_access_token(family, Audience.ADMIN, 600)
    forged = issue_access_token(family, Audience.MERCHANT, 600)
    wrong = []
    for rule, method, _ in guarded(world.app):
        for name, credentials in {"nobody": None, "admin": admins, "admin as merchant": forged}.items():
            answer = call(world.app, method, path_of(rule), credentials)
            if answer.status_code != 401:
                wrong.append(f"{name}: {method} {rule.rule}: {answer.status}")
    assert wrong == [], "\n".join(wrong)
