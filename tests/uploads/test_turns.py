"""Whose file is read now, and who waits for whom."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from portal.core import limits
from portal.core import redis as clients
from portal.core.circuit_breaker import ask_again
from portal.core.uploads import turns
from portal.core.uploads.sandbox import Killed
from portal.core.uploads.turns import (
    KILLED_A_MINUTE,
    Turns,
    UploadsBusy,
    costly,
    machine_turn,
    turn_of,
    uploader_at,
)


class Crowd:
    """People who take turns; each stays until they are told to go. Order of events, no clock."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.begun: list[str] = []
        self.refused: list[str] = []
        self._leave: list[tuple[str, threading.Event]] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()

    def come(self, name: str) -> None:
        before = self._seen()
        thread = threading.Thread(target=self._stay, args=(name,))
        self._threads.append(thread)
        thread.start()
        with self._changed:
            assert self._changed.wait_for(lambda: self._seen() > before, 10)

    def go(self, name: str) -> None:
        place = next(place for place, one in enumerate(self._leave) if one[0] == name)
        self._leave.pop(place)[1].set()

    def until_begun(self, *names: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: sorted(self.begun) == sorted(names), 10), self.begun

    def _seen(self) -> int:
        return len(self.begun) + len(self.refused) + len(self.turns._waiting)

    def _stay(self, name: str) -> None:
        leave = threading.Event()
        try:
            with self.turns.turn(name):
                with self._changed:
                    self.begun.append(name)
                    self._leave.append((name, leave))
                    self._changed.notify_all()
                assert leave.wait(20)
        except UploadsBusy:
            with self._changed:
                self.refused.append(name)
                self._changed.notify_all()

    def close(self) -> None:
        for _ in range(100):
            for _name, leave in list(self._leave):
                leave.set()
            for thread in self._threads:
                thread.join(0.02)
        assert not any(thread.is_alive() for thread in self._threads)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd(Turns(running=2, waiting=3, waiting_of_each=1, patience_s=10))
    poll = threading.Event()

    def look() -> None:  # who begins to wait tells nobody
        while not poll.wait(0.005):
            with crowd._changed:
                crowd._changed.notify_all()

    thread = threading.Thread(target=look)
    thread.start()
    yield crowd
    crowd.close()
    poll.set()
    thread.join()


@pytest.mark.proves("tried S1")
def test_who_works_here_gets_in_while_networks_hold_all_they_may(crowd: Crowd) -> None:
    crowd.turns = Turns(running=3, waiting=4, waiting_of_each=1, patience_s=10)
    networks = [uploader_at(f"192.0.2.{number}") for number in range(6)]
    for network in networks:
        crowd.come(network)
    assert crowd.begun == networks[:2]
    assert crowd.refused == networks[5:], "a place among those who wait is left as well"
    crowd.come("trader:1")
    crowd.until_begun(*networks[:2], "trader:1")
    crowd.come("person:1")
    crowd.go(networks[0])
    crowd.until_begun(*networks[:3], "trader:1")
    crowd.go("trader:1")
    crowd.until_begun(*networks[:3], "trader:1", "person:1")


@pytest.mark.proves("tried S1")
@pytest.mark.parametrize("signed_in", ["trader:1", "person:1"])
def test_networks_and_stores_keys_together_leave_a_place_to_who_is_signed_in(
    crowd: Crowd, signed_in: str
) -> None:
    """Two addresses and a store's key held all three places."""
    crowd.turns = Turns(running=3, waiting=4, waiting_of_each=1, patience_s=10)
    outside = ["network:1", "network:2", "store:1", "store:2", "network:3", "store:3"]
    for name in outside:
        crowd.come(name)
    assert (crowd.begun, crowd.refused) == (outside[:2], outside[5:])
    crowd.come(signed_in)
    crowd.until_begun(*outside[:2], signed_in)
    crowd.come(f"{signed_in}00")
    assert crowd.refused == outside[5:], "a place among those who wait is left as well"


def test_who_is_signed_in_leaves_a_place_to_customers_too(crowd: Crowd) -> None:
    for name in ("trader:1", "trader:2", "network:1"):
        crowd.come(name)
    crowd.until_begun("trader:1", "network:1")


@pytest.mark.proves("tried S1")
@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.2", False), ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True), ("2001:db8::1", "2001:db8:0:ffff::1", True),
        ("2001:db8::1", "2001:db8:1::1", False), (None, "no address", True),
    ],
)  # fmt: skip
def test_on_public_pages_a_network_is_one_uploader(one: str | None, other: str, is_same: bool) -> None:
    assert (uploader_at(one) == uploader_at(other)) is is_same


@pytest.mark.proves("tried S1")
def test_one_who_sends_many_files_does_not_keep_others_waiting(crowd: Crowd) -> None:
    for _ in range(4):
        crowd.come("greedy")
    assert (crowd.begun, crowd.refused) == (["greedy"], ["greedy"] * 2)
    crowd.come("modest")
    crowd.until_begun("greedy", "modest")


def test_who_came_first_goes_first_unless_their_own_file_is_being_read(crowd: Crowd) -> None:
    for name in ("a", "b", "a", "c", "d"):
        crowd.come(name)
    crowd.until_begun("a", "b")
    crowd.go("b")
    crowd.until_begun("a", "b", "c")
    crowd.go("a")
    crowd.until_begun("a", "b", "c", "a")
    crowd.go("c")
    crowd.until_begun("a", "b", "c", "a", "d")


def test_beyond_the_bound_people_are_told_at_once(crowd: Crowd) -> None:
    for name in "abcdefg":
        crowd.come(name)
    assert (crowd.begun, crowd.refused) == (["a", "b"], ["f", "g"])


def test_nobody_waits_for_ever() -> None:
    turns = Turns(running=1, waiting=3, waiting_of_each=1, patience_s=0.01)
    with turns.turn("a"), pytest.raises(UploadsBusy) as busy, turns.turn("b"):
        pass
    assert (busy.value.status, busy.value.retry_after_s) == (503, 5)
    with turns.turn("b"):
        pass


def test_whoever_fails_gives_their_place_back() -> None:
    turns = Turns(running=1, waiting=0, waiting_of_each=0, patience_s=0.01)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns.turn("a"):
            raise ZeroDivisionError


# --- several processes of a machine ---------------------------------------------------------------

_HOLD = """
import sys
from pathlib import Path
from portal.core.uploads.turns import machine_turn
with machine_turn(Path(sys.argv[1]), sys.argv[2], 2, 1.0):
    print("begun", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def busy(folder: Path, name: str, places: int = 2) -> bool:
    try:
        with machine_turn(folder, name, places, 0.1):
            return False
    except UploadsBusy:
        return True


def test_the_processes_of_a_machine_share_the_bound(tmp_path: Path) -> None:
    with other_process(tmp_path, "a"):
        assert busy(tmp_path, "a"), "one of each uploader"
        assert not busy(tmp_path, "b")
        with other_process(tmp_path, "b"):
            assert busy(tmp_path, "c")
    assert not busy(tmp_path, "c")


@pytest.mark.proves("tried S1")
def test_networks_and_stores_never_hold_every_place_of_a_machine(tmp_path: Path) -> None:
    with other_process(tmp_path, "network:1"):
        assert busy(tmp_path, "network:2")
        assert busy(tmp_path, "store:1")
        assert not busy(tmp_path, "store:1", 3)
        assert not busy(tmp_path, "trader:1")


def test_a_process_that_is_killed_holds_no_place(tmp_path: Path) -> None:
    with other_process(tmp_path, "a") as one, other_process(tmp_path, "b"):
        one.kill()
        one.wait()
        assert not busy(tmp_path, "c")


# --- whose file had to be killed ------------------------------------------------------------------


def read(uploader: str, *, is_costly: bool = False) -> str:
    try:
        with turn_of(uploader):
            if is_costly:
                raise Killed("time")
    except UploadsBusy as busy:
        return "refused" if busy.retry_after_s in range(1, 61) else "refused without saying for how long"
    except Killed:
        return "killed"
    return "read"


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Nobody's file was costly yet; what it gives lets a minute pass."""
    now = [time.time()]
    monkeypatch.setattr(limits, "time", SimpleNamespace(time=lambda: now[0], monotonic=time.monotonic))
    costly.forget()
    yield lambda: now.append(now.pop() + 60)
    costly.forget()


@pytest.mark.proves("tried S1")
@pytest.mark.parametrize("uploader", ["network:192.0.2.1", "store:1", "trader:1"])
def test_who_sent_two_files_that_were_killed_is_read_again_in_the_next_minute_alone(
    minute: Callable[[], None], uploader: str
) -> None:
    """After the first they are told to send a screenshot instead, which is read at once."""
    assert [read(uploader, is_costly=True), read(uploader)] == ["killed", "read"]
    assert [read(uploader, is_costly=True), read(uploader), read("network:192.0.2.2")] == [
        "killed",
        "refused",
        "read",
    ]
    minute()
    assert read(uploader) == "read"


@pytest.mark.proves("tried S1")
def test_who_waited_while_their_files_before_were_killed_is_refused_too(
    minute: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, queue = "network:192.0.2.1", Turns(running=3, waiting=4, waiting_of_each=3, patience_s=10)
    monkeypatch.setattr(turns, "_here", queue)
    outcomes: list[str] = []
    waits = [threading.Thread(target=lambda: outcomes.append(read(place, is_costly=True))) for _ in range(3)]

    def first() -> None:
        with turn_of(place):
            for thread in waits:
                thread.start()
            while len(queue._waiting) < len(waits):
                time.sleep(0.005)
            raise Killed("memory")

    with pytest.raises(Killed):
        first()
    for thread in waits:
        thread.join()
    assert outcomes == ["killed", "refused", "refused"]


@pytest.mark.proves("tried S1")
def test_a_kill_of_another_process_counts_and_without_redis_ones_own(
    minute: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits.RequestCounter("uploads:costly").everywhere("store:1", KILLED_A_MINUTE)
    assert [read("store:1"), read("store:2")] == ["refused", "read"]
    dead = redis.Redis(unix_socket_path="/nonexistent/redis.sock")
    with monkeypatch.context() as without:
        without.setattr(clients, "_shared", lambda _url, _timeout_s: dead)
        assert [read("store:2", is_costly=True) for _ in range(KILLED_A_MINUTE)] == [
            "killed"
        ] * KILLED_A_MINUTE
        assert [read("store:2"), read("store:3")] == [
            "refused",
            "read",
        ]
    ask_again()
