"""Several at the same moment."""

from __future__ import annotations

import threading
import time
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


def pause_until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does; it is a failure when that takes 20 seconds."""
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)
