"""Several at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flask import Flask

from portal.core.db import db
from portal.core.errors import DomainError


def at_once(app: Flask, *works: Callable[[], Any]) -> list[Any]:
    """What each gave or raised, all let go at the same moment, each in a transaction of its own."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(place: int, work: Callable[[], Any]) -> None:
        with app.app_context():
            barrier.wait()
            try:
                results[place] = work()
            except DomainError as refusal:
                results[place] = refusal
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    return results
