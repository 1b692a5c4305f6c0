"""`python -m portal.workers.streams` (or `flask streams`): the open streams of all pages, without a thread for any.

A process of its own that knows no database: who may listen is asked of the web, what happened comes from Redis.
A stream says "look again" and carries no data. Any number of these may run, on one machine at one port.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import resource
import signal
import socket
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

from aiohttp import web

from portal.core.observability import logging as logs
from portal.core.observability import metrics, process_metrics
from portal.settings import Settings, exit_if_malformed, get_settings, say_ready
from portal.workers.fan_out import FanOut, Listener
from portal.workers.stream_gate import MARK, Admission, Gate

log = logging.getLogger(__name__)

ROLE = "streams"
# More pages than that of one person, or of this process, poll.
MOST_OF_A_PERSON = 8
MOST = 2000
HEARTBEAT_S = 15.0
# So soon a stream ends whose person has signed out or may no longer listen.
ASK_AGAIN_S = 60.0
# While the web does not answer, a stream goes on so long on what was said last.
UNASKED_AT_MOST_S = 300.0
# Then a page comes anew, perhaps to a process that has more room.
LIFETIME_S = 3600.0
# A reader that is gone without a word, or does not read.
WRITE_WITHIN_S = 20.0
_GONE_AFTER_MS = 30_000
STOP_WITHIN_S = 2.0


class Streams:
    """The HTTP side: takes pages in, and writes to each what it hears."""

    def __init__(self, settings: Settings, gate: Gate, fan_out: FanOut) -> None:
        self._settings, self._gate, self._fan_out = settings, gate, fan_out
        self._open: Counter[str] = Counter()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", _healthz)
        app.router.add_get("/streams/{kind:[a-z]+}", self._stream)
        app.on_shutdown.append(self._end_all)
        return app

    async def _end_all(self, _app: web.Application) -> None:
        for listener in self._fan_out.everybody():
            listener.end()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events for whoever the web admits; 204 when there is no room: the page polls then."""
        if MARK in request.headers:
            log.error("the web's address leads back to the streams: see the option --web")
            return web.Response(status=508)
        admission = await self._gate.ask(request.path, request.headers)
        if admission.status != 200:
            return web.Response(status=admission.status, headers=self._headers(request))
        with self._place(admission.person, request.match_info["kind"]) as has_room:
            if not has_room:
                return web.Response(status=204, headers=self._headers(request))
            return await self._hold(request, admission)

    @contextmanager
    def _place(self, person: str, kind: str) -> Iterator[bool]:
        if self._open[person] >= MOST_OF_A_PERSON or self._open.total() >= MOST:
            yield False
            return
        self._open[person] += 1
        gauge = metrics.streams.labels(kind)
        gauge.inc()
        try:
            yield True
        finally:
            gauge.dec()
            self._open[person] -= 1
            if not self._open[person]:
                del self._open[person]

    async def _hold(self, request: web.Request, admission: Admission) -> web.StreamResponse:
        response = web.StreamResponse(headers=self._headers(request))
        response.content_type = "text/event-stream"
        response.force_close()
        _notice_gone(request)
        listener = Listener(admission.events)
        try:
            await self._fan_out.join(listener)
            await response.prepare(request)
            # Those who lose a stream together do not come back together.
            await _write(response, f"retry: {random.randint(2000, 8000)}\n\n")  # noqa: S311 - no secret
            # For what was missed before the subscription stood.
            await _write(response, _words(["bell"]))
            async for words in self._heard(request, admission, listener):
                await _write(response, words)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self._fan_out.leave(listener)
        return response

    async def _heard(
        self, request: web.Request, admission: Admission, listener: Listener
    ) -> AsyncIterator[str]:
        """What to write, until the stream has to end."""
        began = asked = time.monotonic()
        ask_at = _next_question(request, began)
        while not listener.is_ended and time.monotonic() - began < LIFETIME_S:
            heard = await listener.hear(min(HEARTBEAT_S, max(ask_at - time.monotonic(), 0.0)))
            if listener.is_ended:
                return
            if time.monotonic() >= ask_at:
                now = await self._gate.ask_again(request.path, request.headers)
                if now.is_refusal or (now.status == 200 and now != admission):
                    return
                if now.status == 200:
                    asked = time.monotonic()
                elif time.monotonic() - asked > UNASKED_AT_MOST_S:
                    return
                ask_at = _next_question(request, time.monotonic())
            yield _words(heard)

    def _headers(self, request: web.Request) -> dict[str, str]:
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",
        }
        if self._settings.is_https:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        if origin := self._origin_of(request):
            headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
            headers["Vary"] = "Origin"
        return headers

    def _origin_of(self, request: web.Request) -> str | None:
        """The page's origin, when it is this host at another port and no proxy makes both the same."""
        origin = request.headers.get("Origin", "")
        if self._settings.streams_port is None or not origin:
            return None
        page, here = urlsplit(origin), urlsplit(f"//{request.host}")
        return origin if page.scheme == "http" and page.hostname == here.hostname else None


def _next_question(request: web.Request, now: float) -> float:
    """When it is asked again: at one time for all pages of a browser, so that one question does for them, and at
    another for each browser.
    """
    phase = zlib.crc32(request.headers.get("Cookie", "").encode()) / 2**32 * ASK_AGAIN_S
    return now + ASK_AGAIN_S - (now - phase) % ASK_AGAIN_S


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "service": "nostro-streams"})


def _words(events: list[str]) -> str:
    return "".join(f"event: {event}\ndata: changed\n\n" for event in events) or ": still here\n\n"


async def _write(response: web.StreamResponse, words: str) -> None:
    async with asyncio.timeout(WRITE_WITHIN_S):
        await response.write(words.encode())


def _notice_gone(request: web.Request) -> None:
    """Let the kernel tell of a reader that vanished; over a Unix socket none does."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is not None and connection.family != socket.AF_UNIX:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_AFTER_MS)


@asynccontextmanager
async def served(settings: Settings, host: str, port: int, web_url: str) -> AsyncIterator[int]:
    """Serve streams while this lasts; yields the port. At its end all streams end at once."""
    fan_out = FanOut(settings.redis_url.get_secret_value(), settings.redis_timeout_s)
    listening = asyncio.create_task(fan_out.run())
    async with Gate(web_url, settings.public_url) as gate:
        streams = Streams(settings, gate, fan_out)
        runner = web.AppRunner(
            streams.app(), access_log=None, handler_cancellation=True, shutdown_timeout=STOP_WITHIN_S
        )
        await runner.setup()
        try:
            # Shared, so that the next release's process is there before this one goes.
            site = web.TCPSite(runner, host, port, reuse_port=True, backlog=1024)
            await site.start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()
            # Again and again: while it connects, the driver swallows a cancellation.
            while not listening.done():
                listening.cancel()
                await asyncio.wait({listening}, timeout=0.2)


async def run(settings: Settings, host: str, port: int, web_url: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with served(settings, host, port, web_url) as taken:
        log.info("streams are served", extra={"host": host, "port": taken})
        say_ready()
        await stop.wait()


def main() -> None:
    """The command line; `flask streams --help` says the same."""
    parser = argparse.ArgumentParser(prog="streams", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--web", default="http://127.0.0.1:8000", help="where the web's processes answer")
    options = parser.parse_args()
    exit_if_malformed()
    settings = get_settings()
    logs.configure(settings, ROLE)
    if settings.sentry_dsn.get_secret_value():
        from portal.core.observability import error_tracking

        error_tracking.start(settings, ROLE)
    process_metrics.start(settings, ROLE, None)
    # Each page is an open file; the usual 1,024 of a process are a courtesy to old programs.
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(run(settings, options.host, options.port, options.web))


if __name__ == "__main__":
    main()
