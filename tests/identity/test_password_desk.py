"""Passwords are hashed one at a time, behind everybody else's pages."""

from __future__ import annotations

import os
import threading

import pytest

from portal.core.errors import Unavailable
from portal.identity.proofs import passwords


@pytest.mark.proves("attack 43")
def test_hashing_lets_other_threads_go_first() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert passwords._in_turn(niceness) == 10
    assert niceness() < 10


def test_who_would_wait_too_long_is_asked_to_come_again_and_costs_nothing_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "_WAIT_S", 0.05)
    is_free, done = threading.Event(), threading.Event()
    held = passwords._desk(os.getpid()).submit(is_free.wait)
    with pytest.raises(Unavailable):
        passwords._in_turn(done.set)
    is_free.set()
    held.result(10)
    monkeypatch.setattr(passwords, "_WAIT_S", 10)
    assert passwords._in_turn(lambda: "next") == "next"
    assert not done.is_set()
