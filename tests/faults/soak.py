"""`make soak MINUTES=60 SEED=7`: everything at work under faults drawn by the seed; exit code 1 when something is broken.

The same seed draws the same faults and the same orders; what they meet depends on the machine.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from tests import servers
from tests.faults.load import Load
from tests.faults.stage import Stage

BACKGROUND = ("worker-1", "worker-2", "relay", "relay-2", "clock", "clock-2")
LAST_OPERATIONS = 40
# Between two faults, so that work goes on in between.
REST_S = (2.0, 8.0)
AT_REST_EVERY_S = 300.0


@dataclass
class Nemesis:
    """Breaks the stage, one thing after the other, and mends it."""

    stage: Stage
    random: random.Random
    done: Counter[str] = field(default_factory=Counter)
    operations: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_OPERATIONS))

    def strike(self) -> None:
        names = list(FAULTS)
        name = self.random.choices(names, [FAULTS[name][0] for name in names])[0]
        self.note(name)
        self.done[name] += 1
        FAULTS[name][1](self)

    def note(self, words: str) -> None:
        self.operations.append(f"{time.strftime('%H:%M:%S')} {words}")

    def role(self) -> str:
        role = self.random.choice(BACKGROUND)
        self.note(f"  {role}")
        return role

    def kill_background(self) -> None:
        actor = self.stage.actors[self.role()]
        actor.kill()
        time.sleep(self.random.uniform(0, 3))
        actor.start()

    def freeze_background(self) -> None:
        actor = self.stage.actors[self.role()]
        actor.freeze()
        time.sleep(self.random.uniform(1, 20))
        actor.thaw()

    def kill_a_web_process(self) -> None:
        children = self.stage.actors["web"].children()
        if children:
            os.kill(self.random.choice(children), signal.SIGKILL)

    def kill_web(self) -> None:
        self.stage.actors["web"].kill()
        self.stage.actors["web"].start()

    def restart_web(self) -> None:
        self.stage.actors["web"].stop()
        self.stage.actors["web"].start()

    def flush_redis(self) -> None:
        self.stage.flush()

    def take_redis_away(self) -> None:
        self.stage.kill_redis()
        time.sleep(self.random.uniform(0, 8))
        self.stage.redis.start()

    def restart_postgres(self) -> None:
        self.stage.postgres.stop()
        self.stage.postgres.start()

    def kill_postgres(self) -> None:
        self.stage.kill_postgres()
        self.stage.postgres.start()

    def end_connections(self) -> None:
        self.stage.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def slow_shop(self) -> None:
        self.stage.shop.delay_s = 1.5
        time.sleep(self.random.uniform(1, 5))
        self.stage.shop.delay_s = 0.0


# Weight and act; each leaves everything running.
FAULTS: dict[str, tuple[int, Callable[[Nemesis], None]]] = {
    "kill a background process": (8, Nemesis.kill_background),
    "freeze a background process": (5, Nemesis.freeze_background),
    "kill a web process": (5, Nemesis.kill_a_web_process),
    "kill all web processes": (2, Nemesis.kill_web),
    "restart the web server": (1, Nemesis.restart_web),
    "FLUSHALL": (4, Nemesis.flush_redis),
    "Redis away": (2, Nemesis.take_redis_away),
    "restart PostgreSQL": (2, Nemesis.restart_postgres),
    "kill PostgreSQL": (2, Nemesis.kill_postgres),
    "end all connections": (2, Nemesis.end_connections),
    "a slow shop": (2, Nemesis.slow_shop),
}


def memory(stage: Stage) -> dict[str, float]:
    return {role: actor.resident_mb() for role, actor in stage.actors.items()}


def play(stage: Stage, nemesis: Nemesis, minutes: float, per_minute: float) -> None:
    """Load and faults for so long; comes to rest and proves everything every five minutes, and at the end."""
    ends_at, nth = time.monotonic() + minutes * 60, 0
    while time.monotonic() < ends_at:
        nth += 1
        rests_at = min(ends_at, time.monotonic() + AT_REST_EVERY_S)
        with stage.load(per_minute, seed=nemesis.random.randrange(10**6)) as load:
            while time.monotonic() < rests_at:
                time.sleep(nemesis.random.uniform(*REST_S))
                nemesis.strike()
            nemesis.note(f"comes to rest after {_told(load)}")
        seconds = stage.quiesce()
        say(
            f"{nth}. at rest after {seconds:.0f} s and right: {_told(load)}, {sum(nemesis.done.values())} faults so far"
        )


def _told(load: Load) -> str:
    return f"{load.created} orders, {len(load.told())} acknowledged steps"


def soak(minutes: float, seed: int, per_minute: float) -> int:
    """0 when everything held. Prints the table, and what was broken with the last operations."""
    os.environ.update(servers.PLAIN_SETTINGS)
    stage = Stage()
    nemesis = Nemesis(stage, random.Random(seed))
    broken, before, after = "", {}, {}
    began_at = time.monotonic()
    try:
        stage.start()
        # The simulator of this process looks things up there too.
        os.environ.update(stage.environment() | {"LOG_FORMAT": "off"})
        for role in ("relay-2", "clock-2"):
            stage.add(role)
        # The first requests and jobs load what a process keeps.
        with stage.load(per_minute, seed=seed):
            time.sleep(20)
        stage.quiesce()
        before = memory(stage)
        try:
            play(stage, nemesis, minutes, per_minute)
        except (AssertionError, psycopg.Error) as error:
            broken = str(error) or type(error).__name__
            say(f"Logs are kept in {stage.keep_logs('soak')}.")
        after = memory(stage)
    finally:
        stage.stop()
    _report(nemesis, before, after, time.monotonic() - began_at)
    if broken:
        say(f"BROKEN, with SEED={seed}:\n{broken}\n\nThe last operations:\n" + "\n".join(nemesis.operations))
    return 1 if broken else 0


def _report(nemesis: Nemesis, before: dict[str, float], after: dict[str, float], seconds: float) -> None:
    say(f"\n{'fault':32} rounds   in {seconds / 60:.0f} minutes")
    for name in FAULTS:
        say(f"{name:32} {nemesis.done[name]:6}")
    say(f"\n{'memory of its own, MiB':32} before  after   starts")
    for role, mb in before.items():
        say(f"{role:32} {mb:6.0f} {after.get(role, 0):6.0f} {nemesis.stage.actors[role].starts:8}")


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    parser = argparse.ArgumentParser(description="Everything at work under faults drawn by a seed.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--per-minute", type=float, default=90, help="orders")
    given = parser.parse_args()
    say(f"SEED={given.seed}, {given.minutes:g} minutes")
    raise SystemExit(soak(given.minutes, given.seed, given.per_minute))
