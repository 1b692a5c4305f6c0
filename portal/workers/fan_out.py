"""One subscription to Redis for all open pages of a process: nudges come in once and go to who listens.

A nudge that is lost costs one polling interval. After Redis was away everybody is told to look, one after another.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Mapping
from contextlib import suppress

from redis import RedisError
from redis.asyncio.client import PubSub

from portal.core.live import PREFIX
from portal.core.redis import async_listening_client

log = logging.getLogger(__name__)

# Nudges of one transaction and its neighbours become one look.
GATHER_S = 0.15
# A stream begins without its subscription when Redis does not confirm it by then.
CONFIRM_WITHIN_S = 1.0
RETRY_S = 1.0
# Over how long those are spread who are told to look because Redis was away.
CATCH_UP_S = 10.0
# A connection on which nothing comes is asked whether it lives; twice in vain, it is made anew.
SILENCE_S = 10.0
# Channels are kept a little when the last page leaves: people walk from page to page.
SWEEP_S = 30.0
# Subscribed to always: it makes the connection, and nobody sends there.
_NOBODY = f"{PREFIX}nobody"


class Listener:
    """One open page. `events` says which of its events each channel stands for."""

    __slots__ = ("_due", "_heard", "_wake", "events", "is_ended")

    def __init__(self, events: Mapping[str, Iterable[str]]) -> None:
        self.events = {
            f"{PREFIX}{channel}": event for event, channels in events.items() for channel in channels
        }
        self.is_ended = False
        self._heard: set[str] = set()
        self._wake = asyncio.Event()
        self._due: asyncio.TimerHandle | None = None

    def tell(self, events: Iterable[str], after_s: float = GATHER_S) -> None:
        """These events happened; the page hears of them in a moment, with what else happens until then."""
        self._heard.update(events)
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(after_s, self._wake.set)

    def end(self) -> None:
        """Let the stream end at once."""
        self.is_ended = True
        self._wake.set()

    async def hear(self, within_s: float) -> list[str]:
        """What happened since it was last asked; nothing when `within_s` passed without anything."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        if not self._wake.is_set():
            return []
        heard, self._heard, self._due = sorted(self._heard), set(), None
        if not self.is_ended:
            self._wake.clear()
        return heard


class FanOut:
    """Who listens to which channel, and the one connection that hears all of them."""

    def __init__(self, redis_url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = redis_url, timeout_s
        self._listeners: dict[str, set[Listener]] = {}
        self._confirmed: set[str] = set()
        self._changed = asyncio.Condition()
        self._pubsub: PubSub | None = None

    async def join(self, listener: Listener) -> None:
        """Let it hear its channels; returns when Redis has confirmed them, or does not answer."""
        new = [channel for channel in listener.events if channel not in self._listeners]
        for channel in listener.events:
            self._listeners.setdefault(channel, set()).add(listener)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(CONFIRM_WITHIN_S):
                if self._pubsub is not None and new:
                    await self._pubsub.subscribe(*new)
                async with self._changed:
                    await self._changed.wait_for(lambda: self._confirmed.issuperset(listener.events))

    def leave(self, listener: Listener) -> None:
        for channel in listener.events:
            self._listeners[channel].discard(listener)

    def everybody(self) -> set[Listener]:
        return set().union(*self._listeners.values())

    async def run(self) -> None:
        """Listen until cancelled, however often Redis goes away."""
        sweeping = asyncio.create_task(self._sweep())
        has_lost = False
        try:
            while True:
                try:
                    await self._listen(catch_up=has_lost)
                except (RedisError, OSError) as error:
                    log.warning("streams hear nothing: Redis does not answer (%s)", type(error).__name__)
                self._pubsub, has_lost = None, True
                self._confirmed.clear()
                await asyncio.sleep(RETRY_S)
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)

    async def _listen(self, *, catch_up: bool) -> None:
        async with async_listening_client(self._url, self._timeout_s) as client, client.pubsub() as pubsub:
            await pubsub.subscribe(_NOBODY)
            # From here on who joins subscribes by itself; who had joined before is subscribed now.
            self._pubsub, waiting = pubsub, list(self._listeners)
            if waiting:
                await pubsub.subscribe(*waiting)
            if catch_up:
                for listener in self.everybody():
                    listener.tell(listener.events.values(), random.uniform(0, CATCH_UP_S))  # noqa: S311 - no secret
            is_asked = False
            while True:
                message = await pubsub.get_message(timeout=SILENCE_S)
                if message is not None:
                    is_asked = False
                    await self._take(message["type"], message["channel"])
                elif is_asked:
                    raise ConnectionError("silent")
                else:
                    is_asked = True
                    await pubsub.ping()

    async def _take(self, kind: str, channel: bytes | None) -> None:
        name = channel.decode() if channel else ""
        if kind == "message":
            for listener in self._listeners.get(name, ()):
                listener.tell([listener.events[name]])
        elif kind == "subscribe":
            async with self._changed:
                self._confirmed.add(name)
                self._changed.notify_all()

    async def _sweep(self) -> None:
        """Let go of channels that nobody listens to any more."""
        while True:
            await asyncio.sleep(SWEEP_S)
            unheard = [channel for channel, listeners in self._listeners.items() if not listeners]
            for channel in unheard:
                del self._listeners[channel]
            self._confirmed.difference_update(unheard)
            if self._pubsub is not None and unheard:
                with suppress(RedisError, OSError):
                    await self._pubsub.unsubscribe(*unheard)
