"""What signing in leaves behind is forgotten when it protects nobody any more, and not before."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.identity.models import Role
from portal.identity.retention import forget_old_sign_ins
from portal.identity.tokens.sessions import SessionTimes, start_session
from tests.web.desk import new_user


def ages_of(sql: str) -> list[int]:
    with transaction():
        return sorted(int(row["age"]) for row in hot(sql))


@pytest.mark.usefixtures("committed_db")
def test_attempts_of_last_month_stay_and_older_ones_go() -> None:
    user = new_user(Role.TRADER)
    with transaction():
        for age in (1, 30, 32, 400):
            values = {"age": age, "email": user.email, "id": user.id}
            at = "now() - make_interval(days => %(age)s::int)"
            hot(f"INSERT INTO sign_in_attempt (email, succeeded, at) VALUES (%(email)s, false, {at})", values)
            hot(f"INSERT INTO factor_attempt (user_id, succeeded, at) VALUES (%(id)s, false, {at})", values)
    with transaction():
        assert forget_old_sign_ins(limit=1) == 1
        assert forget_old_sign_ins(limit=100) == 1
        assert forget_old_sign_ins(limit=100) == 0
    for table in ("sign_in_attempt", "factor_attempt"):
        assert ages_of(f"SELECT extract(day FROM now() - at) AS age FROM {table}") == [1, 30]


def test_a_session_is_kept_long_enough_to_know_its_device_again(committed_db: Flask) -> None:
    user = new_user(Role.TRADER)
    with transaction():
        for age in (-1, 80, 100):
            new = start_session(user.id, None, None, SessionTimes(3600))
            sql = "UPDATE user_session SET expires_at = now() - make_interval(days => %(age)s::int) WHERE id = %(id)s"
            hot(sql, {"age": age, "id": new.id})
    with transaction():
        forget_old_sign_ins(limit=100)
    assert ages_of(
        "SELECT round(extract(epoch FROM now() - expires_at) / 86400) AS age FROM user_session"
    ) == [-1, 80]
