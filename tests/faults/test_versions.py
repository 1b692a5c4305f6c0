"""The release before the last migration serves beside this one, on the new schema, while people work."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from portal.workers.supervisor import gunicorn
from tests.faults.processes import ROOT, wait_until
from tests.faults.stage import Stage, free_port

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


def former_release(folder: Path) -> tuple[Path, str]:
    """The code as it was before the newest migration came, and its commit. Skips where history is not there."""
    newest = git("log", "-1", "--diff-filter=A", "--format=%H", "--", "migrations/versions").decode().strip()
    commit = git("rev-parse", "--short", f"{newest}^").decode().strip() if newest else ""
    if not commit:
        pytest.skip("the code before the last migration is not here (no .git, or a shallow one)")
    with tarfile.open(fileobj=BytesIO(git("archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")
    return folder, commit


@pytest.mark.proves("F30")
def test_old_and_new_code_serve_together_on_the_new_schema(
    stage: Stage, fault: Fault, tmp_path: Path
) -> None:
    old, commit = former_release(tmp_path)
    port = free_port()
    command = gunicorn(f"127.0.0.1:{port}", workers=1, threads=16)
    stage.add("web-old", old, command)
    for role in ("worker-old", "relay-old", "clock-old"):
        stage.add(role, old)
    former = f"http://127.0.0.1:{port}"
    with stage.load(60, seed=30) as new, stage.load(60, seed=31, base_url=former) as before:
        wait_until(lambda: new.acts > 60 and before.acts > 60, 120, "both have worked")
        # The old clock acts for a while.
        stage.actors["clock"].kill()
        acts = before.acts + new.acts
        wait_until(lambda: before.acts + new.acts > acts + 40, 60, "work goes on with the old clock")
        stage.actors["clock"].start()
        for load in (new, before):
            wrong = {kind: n for kind, n in load.tally.errors.items() if ": 5" in kind}
            assert wrong == {}
    for role in ("web-old", "worker-old", "relay-old", "clock-old"):
        stage.remove(role)
    stage.quiesce()
    fault(f"web, worker, relay and clock of {commit} beside those of now, both under load", 1)
