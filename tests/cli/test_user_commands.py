"""`flask users`: the first admin's link, and help for those who can't get in; each act is audited."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from portal.core.db import hot, transaction
from portal.identity.models import Role, SessionStage
from portal.identity.people.invitations import find_invitation
from portal.identity.signing_in.sign_in import SignInLimits, check_credentials
from portal.identity.tokens.sessions import SessionTimes, start_session
from tests.web.auth.people import actions_about, mails_to, with_app
from tests.web.desk import PASSWORD, new_user

LIMITS = SignInLimits(50, 1000, 900)


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["users", *arguments])


def email() -> str:
    return f"{uuid.uuid4().hex}@example.test"


@pytest.mark.proves("ASVS 25", "ASVS 29")
def test_the_first_admin_gets_a_link_that_is_kept_as_a_hash(committed_db: Flask) -> None:
    address = email()
    result = run(committed_db, "create-admin", address, "--json")
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.output)
    prefix = "http://localhost:8000/invitation/"
    assert said["link"].startswith(prefix)
    invited = find_invitation(said["link"].removeprefix(prefix))
    assert invited is not None
    assert (invited.email, invited.roles) == (address, (Role.ADMIN,))
    assert mails_to(address) == []
    assert run(committed_db, "create-admin", "no address").exit_code == 1


def test_everybody_is_listed_with_roles_and_factors(committed_db: Flask) -> None:
    user, _secret = with_app(Role.LEAD)
    plain = new_user(Role.MERCHANT)
    lines = {line["email"]: line for line in json.loads(run(committed_db, "list", "--json").output)}
    assert (lines[user.email]["roles"], lines[user.email]["has_second_factor"]) == (["lead"], True)
    assert (lines[plain.email]["is_active"], lines[plain.email]["has_second_factor"]) == (True, False)
    leads = run(committed_db, "list", "--role", "lead").output
    assert user.email in leads
    assert plain.email not in leads


def test_disabling_ends_sessions_at_once_and_enabling_lets_in_again(committed_db: Flask) -> None:
    user = new_user(Role.SUPPORT)
    with transaction():
        start_session(user.id, None, "Firefox", SessionTimes(3600))
        start_session(user.id, None, "Firefox", SessionTimes(3600), stage=SessionStage.SECOND_FACTOR)
    assert len(json.loads(run(committed_db, "sessions", user.email, "--json").output)) == 1
    assert run(committed_db, "disable", user.email, "--reason", "left").exit_code == 0
    with transaction():
        live = "SELECT count(*) AS n FROM user_session WHERE user_id = %(id)s AND revoked_at IS NULL"
        assert hot(live, {"id": user.id})[0]["n"] == 0
    assert check_credentials(user.email, PASSWORD, None, LIMITS) is None
    assert run(committed_db, "disable", user.email, "--reason", "again").exit_code == 1
    assert run(committed_db, "enable", user.email, "--reason", "back").exit_code == 0
    assert check_credentials(user.email, PASSWORD, None, LIMITS) == user.id
    assert actions_about(user) == ["user.disabled", "user.enabled"]


@pytest.mark.proves("attack 69")
def test_row_69_the_last_admin_stays(committed_db: Flask) -> None:
    with transaction():
        hot(
            "UPDATE users SET is_active = false WHERE id IN (SELECT user_id FROM user_role WHERE role = 'admin')"
        )
    last, _secret = with_app(Role.ADMIN)
    refused = run(committed_db, "disable", last.email, "--reason", "oops")
    assert refused.exit_code == 1
    assert "last administrator" in refused.output
    other = new_user(Role.ADMIN)
    assert run(committed_db, "disable", last.email, "--reason", "now there is another").exit_code == 0
    assert run(committed_db, "disable", other.email, "--reason", "oops").exit_code == 1


def test_a_lost_factor_is_taken_away_and_the_owner_told(committed_db: Flask) -> None:
    user, _secret = with_app(Role.TRADER)
    with transaction():
        start_session(user.id, None, "Firefox", SessionTimes(3600))
    assert run(committed_db, "reset-second-factor", user.email, "--reason", "phone lost").exit_code == 0
    with transaction():
        assert hot("SELECT 1 FROM totp_factor WHERE user_id = %(id)s", {"id": user.id}) == []
    assert json.loads(run(committed_db, "sessions", user.email, "--json").output) == []
    assert mails_to(user.email)[-1]["params"]["what"] == "factors_reset"
    assert actions_about(user) == ["user.factors_reset"]


def test_sessions_are_listed_and_ended(committed_db: Flask) -> None:
    user = new_user(Role.TRADER)
    with transaction():
        start_session(user.id, "192.0.2.7", "Firefox", SessionTimes(3600))
    assert "192.0.2.7" in run(committed_db, "sessions", user.email).output
    assert run(committed_db, "sessions", user.email, "--end").output == ""


@pytest.mark.parametrize("command", ["disable", "enable", "reset-second-factor"])
def test_nobody_and_no_reason_are_refused(committed_db: Flask, command: str) -> None:
    assert run(committed_db, command, "nobody@example.test", "--reason", "x").exit_code == 1
    assert run(committed_db, command, "nobody@example.test").exit_code == 2
