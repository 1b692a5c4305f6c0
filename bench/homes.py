"""The portals' home pages in front of a long history: the same pages with little of it."""

from __future__ import annotations

import re
import time

from flask import Flask

from bench.run import Run
from bench.timing import Take, alternating
from bench.world import PASSWORD

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def compare_homes(run: Run, few: Flask, huge: Flask) -> None:
    """Both applications have the world's people; `huge` has run.past_orders orders, `few` 10,000."""
    for role, email in run.world.people.items():
        sides = {"few": _home(few, email), "huge": _home(huge, email)}
        ms = alternating(sides, max(run.repeats // 10, 50))
        run.table.at_most(
            f"home of {role} with {run.past_orders:,} orders to 10,000",
            ms["huge"], ms["few"], 1.5, "ms",
        )  # fmt: skip


def _home(app: Flask, email: str) -> Take:
    """Seconds of one view of where this person's work begins."""
    browser = app.test_client()
    page = browser.get("/sign-in")
    found = _TOKEN.search(page.text)
    assert found is not None
    form = {"csrf_token": found[1], "email": email, "password": PASSWORD}
    signed_in = browser.post("/sign-in", data=form)
    if signed_in.status_code != 303:
        raise RuntimeError(f"signing in as {email}: {signed_in.status_code}")
    home = browser.get("/").headers["Location"]

    def take() -> float:
        start = time.perf_counter()
        answer = browser.get(home)
        seconds = time.perf_counter() - start
        if answer.status_code != 200:
            raise RuntimeError(f"{home} for {email}: {answer.status_code}")
        return seconds

    return take
