"""A merchant's server on loopback: it keeps what it was sent and answers, or misbehaves, as told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified_by(self, secret: str) -> Any:
        """The content, checked by the library of the specification's authors. Raises if it is not ours."""
        return Webhook(secret).verify(self.body, self.headers)


Reply = Callable[["Receiver", asyncio.StreamWriter], Awaitable[None]]


def status(code: int, *headers: str, body: bytes = b"thanks", after_s: float = 0.0) -> Reply:
    head = "".join(f"{line}\r\n" for line in headers)

    async def reply(_: Receiver, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(after_s)
        writer.write(f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body)
        await writer.drain()

    return reply


async def hang(_: Receiver, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(120)


async def reset(_: Receiver, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def flood(_: Receiver, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


class Receiver:
    """`reply` may be changed while it runs. `open_now` and `most_at_once` count requests in hand."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.received: list[Received] = []
        self.open_now = self.most_at_once = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self) -> None:
        self._thread.start()
        opening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(5)
        self.port = server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        async def cancel_all() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()

        asyncio.run_coroutine_threadsafe(cancel_all(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(Received(headers, body, time.monotonic()))
        self.open_now += 1
        self.most_at_once = max(self.most_at_once, self.open_now)
        try:
            await self.reply(self, writer)
        finally:
            self.open_now -= 1


@contextmanager
def receiver(reply: Reply | None = None) -> Iterator[Receiver]:
    running = Receiver(reply or status(200))
    running.start()
    try:
        yield running
    finally:
        running.stop()


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> float:
    """Seconds until the condition held. Fails when it does not in time."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - started
