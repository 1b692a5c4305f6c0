"""The administrators' office as tests use it: two administrators with browsers, and somebody to do things to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from portal.core.db import hot, transaction
from portal.identity.models import Role, User
from tests.web.desk import Browser, new_user


@dataclass
class Office:
    app: Flask
    ada: User = field(init=False)
    ben: User = field(init=False)
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.ada, self.ben = new_user(Role.ADMIN), new_user(Role.ADMIN)
        self.browser = self.sign_in(self.ada)

    def sign_in(self, user: User) -> Browser:
        browser = Browser(self.app.test_client())
        browser.begin_session(user)
        return browser

    def post(self, path: str, data: dict[str, Any] | None = None, *, htmx: bool = False) -> TestResponse:
        return self.browser.post(path, data, htmx=htmx)

    def audited(self, subject_id: object) -> list[tuple[str, str | None]]:
        """What the audit log says of this subject, oldest first: action and reason."""
        sql = "SELECT action, reason FROM audit_entry WHERE subject_id = %(id)s ORDER BY id"
        with transaction():
            return [(row["action"], row["reason"]) for row in hot(sql, {"id": str(subject_id)})]


def value_of(page: str, name: str) -> str:
    """What a hidden field of the page holds."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def column(sql: str, **values: object) -> list[Any]:
    """The first column of what is stored."""
    with transaction():
        return [next(iter(row.values())) for row in hot(sql, values)]
