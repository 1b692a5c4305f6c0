"""A TCP proxy before PostgreSQL or Redis that fails on purpose: cut at a named moment, swallow, delay, reset.

It stands on loopback, works in a thread of its own and forwards to an address or to a unix socket.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Target = Path | tuple[str, int]
_CHUNK = 65536


class Moment(StrEnum):
    """When a connection is cut, as seen from the bytes that it waits for."""

    UNSENT = "unsent"  # they never reach the server
    SENT = "sent"  # the server has them, nobody waits for its answer
    ANSWERED = "answered"  # the server has done it and answered; the answer is lost


class _Wire:
    """One connection: the client's side and the server's."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.answer_is_lost = False

    def cut(self) -> None:
        """RST to both, without a word."""
        for writer in (self.client, self.server):
            sock = writer.get_extra_info("socket")
            with suppress(OSError):
                if sock is not None and sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Forwards, until told otherwise. What it is told holds for the connections it has and those that come."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.port = 0
        self.cuts = 0
        self.connections = 0
        self.delay_s = 0.0
        self._marker = b""
        self._moment = Moment.SENT
        self._cuts_left = 0
        self._flowing: asyncio.Event | None = None
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._call(self._open())

    def stop(self) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # What is told from other threads

    def cut(self, marker: bytes, moment: Moment, times: int = 1) -> None:
        """Cut the next `times` connections over which a client sends bytes with this marker."""
        self._marker, self._moment, self._cuts_left = marker, moment, times

    def swallow(self) -> None:
        """A black hole: nothing passes in either direction, nobody is told. New connections are accepted."""
        self._call(self._set_flowing(False))

    def mend(self) -> None:
        """Everything passes again; what was swallowed meanwhile arrives now."""
        self.delay_s, self._cuts_left = 0.0, 0
        self._call(self._set_flowing(True))

    def reset(self) -> None:
        """Every connection there is ends with a RST."""
        self._call(self._reset())

    # The loop's own

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._set_flowing(True)
        await self._reset()
        # Whoever serves a connection that was cut ends by itself.
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set_flowing(self, flows: bool) -> None:
        assert self._flowing is not None
        if flows:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _reset(self) -> None:
        for wire in list(self._wires):
            wire.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            answers, server = await self._connect()
        except OSError:
            writer.transport.abort()
            self._tasks.discard(task)
            return
        wire = _Wire(writer, server)
        self._wires.add(wire)
        pumps = [
            asyncio.ensure_future(self._requests(wire, reader)),
            asyncio.ensure_future(self._answers(wire, answers)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            writer.close()
            server.close()
            self._wires.discard(wire)
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(str(self.target))
        return await asyncio.open_connection(*self.target)

    async def _requests(self, wire: _Wire, reader: asyncio.StreamReader) -> None:
        before = b""
        while data := await reader.read(_CHUNK):
            await self._pass()
            # The marker may lie across two pieces.
            if self._cuts_left and self._marker in before + data:
                self._cuts_left -= 1
                self.cuts += 1
                if self._moment is Moment.UNSENT:
                    return wire.cut()
                wire.answer_is_lost = self._moment is Moment.ANSWERED
                wire.server.write(data)
                await wire.server.drain()
                if self._moment is Moment.SENT:
                    return wire.cut()
            else:
                wire.server.write(data)
                await wire.server.drain()
            before = data[-len(self._marker) :] if self._marker else b""
        return None

    async def _answers(self, wire: _Wire, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            await self._pass()
            if wire.answer_is_lost:
                return wire.cut()
            wire.client.write(data)
            await wire.client.drain()
        return None

    async def _pass(self) -> None:
        assert self._flowing is not None
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._flowing.wait()


@contextmanager
def proxy_to(target: Target) -> Iterator[Proxy]:
    running = Proxy(target)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def postgres_target(url: str) -> Target:
    """Where the server of this SQLAlchemy address listens."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host", [""])[0]
    if folder:
        return Path(unquote(folder)) / f".s.PGSQL.{parts.port or 5432}"
    return parts.hostname or "127.0.0.1", parts.port or 5432


def redis_target(url: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return Path(unquote(parts.path))
    return parts.hostname or "127.0.0.1", parts.port or 6379


def postgres_through(url: str, proxy: Proxy) -> str:
    """The same database of the same user, by way of the proxy."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0] or "postgres"
    return f"{parts.scheme}://{user}@127.0.0.1:{proxy.port}{parts.path}"


def redis_through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    number = parse_qs(parts.query).get("db", ["0"])[0] if parts.scheme == "unix" else parts.path.lstrip("/")
    return f"redis://127.0.0.1:{proxy.port}/{number or 0}"
