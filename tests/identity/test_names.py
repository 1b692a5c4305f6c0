"""What a person calls themselves is read by one rule, however it came in."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.core.errors import ValidationFailed
from portal.core.text_rules import LONGEST_NAME
from portal.identity.models import Role, User
from portal.identity.profile import change_profile
from portal.identity.saved_views import MOST_NAME, save_view
from portal.identity.service import create_user

_NAME = "SELECT name FROM users WHERE id = %(id)s"


def person(name: str = "Ada") -> User:
    with transaction():
        return create_user(f"{uuid.uuid4().hex}@example.test", name, None, [Role.SUPPORT])


def joined(name: str) -> uuid.UUID:
    return person(name).id


def renamed(name: str) -> uuid.UUID:
    user = person()
    with transaction():
        change_profile(user.id, actor=SYSTEM, name=name)
    return user.id


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("called", [joined, renamed])
def test_a_name_that_one_can_join_with_can_be_kept_in_the_profile(called: Callable[[str], uuid.UUID]) -> None:
    for name, kept in (
        (" Ada \u00a0 Lovelace\0\n", "Ada Lovelace"),
        ("x" * LONGEST_NAME, "x" * LONGEST_NAME),
    ):
        assert hot(_NAME, {"id": called(name)})[0]["name"] == kept
    for refused in ("", " \u00a0", "x" * (LONGEST_NAME + 1), "a\u202eb"):
        with pytest.raises(ValidationFailed):
            called(refused)


def test_a_saved_view_has_a_name_that_can_be_seen(app: Flask) -> None:
    del app
    save = partial(save_view, person().id, "merchant.orders")
    for refused in ("", "\0", "x" * (MOST_NAME + 1), "a\u200bb"):
        with pytest.raises(ValidationFailed), transaction():
            save(refused, "status=completed")
    with transaction():
        save(" To be\n paid ", "status=completed")
    assert [row["name"] for row in hot("SELECT name FROM saved_view")] == ["To be paid"]
