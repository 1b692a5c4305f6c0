"""A command whose database is away says so in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from portal.settings import child_environment


@pytest.mark.parametrize("command", ["queues list", "maintenance status", "keys status --json"])
def test_a_database_that_is_away_is_one_line_and_no_traceback(app: object, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi:app", *command.split()], capture_output=True, text=True,
        check=False, timeout=60,
        env=child_environment(DATABASE_URL="postgresql+psycopg://nobody:canary-word@127.0.0.1:1/none"),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "The database can't be used now" in done.stderr
    assert "Traceback" not in done.stderr
    assert "canary-word" not in done.stderr
