"""A closed-loop HTTP client: C connections kept alive, one request at a time on each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Request = bytes


@dataclass
class Load:
    """What came back: latencies in seconds of the answers with an expected status, and the others."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    unexpected: dict[int, int] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    example: bytes = b""

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else float("nan")


def http_request(
    method: str, path: str, headers: dict[str, str], body: bytes = b"", host: str = "bench.local"
) -> Request:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: keep-alive"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    """Reads answers of a known length; chunked ones are not expected from the routes measured here."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = (
            int(head[at + 15 : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None])
            if at >= 0
            else 0
        )
        if len(self.buffer) < end + 4 + length or self.answer is None:
            return
        status, body = int(head[9:12]), bytes(self.buffer[end + 4 : end + 4 + length])
        del self.buffer[: end + 4 + length]
        answer, self.answer = self.answer, None
        answer.set_result((status, body))

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error or ConnectionError("the server closed the connection"))


async def _one_client(
    port: int, make: Callable[[], Request | None], until: float, load: Load, expected: int, keep: bool
) -> None:
    loop = asyncio.get_running_loop()
    protocol: _Connection | None = None
    while time.perf_counter() < until:
        request = make()
        if request is None:
            break
        if protocol is None or protocol.transport is None or protocol.transport.is_closing():
            _, protocol = await loop.create_connection(_Connection, "127.0.0.1", port)
        protocol.answer = loop.create_future()
        start = time.perf_counter()
        assert protocol.transport is not None
        protocol.transport.write(request)
        try:
            status, body = await protocol.answer
        except (ConnectionError, OSError):
            load.unexpected[0] = load.unexpected.get(0, 0) + 1
            protocol = None
            continue
        if status == expected:
            load.latencies.append(time.perf_counter() - start)
            if keep:
                load.bodies.append(body)
        else:
            load.unexpected[status] = load.unexpected.get(status, 0) + 1
            load.example = load.example or body[:500]
    if protocol is not None and protocol.transport is not None:
        protocol.transport.close()


def run_load(
    port: int,
    makers: list[Callable[[], Request | None]],
    seconds: float,
    *,
    expected: int,
    keep: bool = False,
) -> Load:
    """Drive the server for `seconds` with one client for each maker; a maker that gives None stops."""

    async def drive() -> Load:
        start = time.perf_counter()
        load = Load(seconds)
        until = start + seconds
        await asyncio.gather(*(_one_client(port, make, until, load, expected, keep) for make in makers))
        load.seconds = time.perf_counter() - start
        return load

    return asyncio.run(drive())
