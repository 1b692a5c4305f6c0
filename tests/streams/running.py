"""The web and the streams' process beside each other on ports of this test, and pages that listen."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from flask import Flask
from werkzeug.serving import make_server

from portal.settings import Settings
from portal.workers.streams import served


@contextmanager
def web_of(app: Flask) -> Iterator[int]:
    """The app on a free port, a thread for each request."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def streams_beside(web_port: int, settings: Settings, port: int = 0) -> Iterator[int]:
    """The streams' server in a thread of its own; yields its port."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    taken: list[int] = []
    is_up = threading.Event()

    async def serve() -> None:
        async with served(settings, "127.0.0.1", port, f"http://127.0.0.1:{web_port}") as real:
            taken.append(real)
            is_up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert is_up.wait(20)
    try:
        yield taken[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


class Page:
    """An open stream, read line by line as a browser does. Raises TimeoutError when nothing comes."""

    def __init__(
        self, port: int, path: str, cookie: str = "", *, seconds: float = 15, **headers: str
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{port}", "Accept: text/event-stream"]
        lines += [f"Cookie: {cookie}"] if cookie else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()

    def events(self) -> Iterator[str]:
        """Names of events as they come; ends when the server ends the stream."""
        while line := self._file.readline():
            if line.startswith(b"event: "):
                yield line.decode().removeprefix("event: ").strip()

    def next(self) -> str:
        """The next event; "(end)" when there is none any more."""
        return next(self.events(), "(end)")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_problem: object) -> None:
        self.close()
