"""Guarded POST for the sender of webhooks: aiohttp, many at once, connections kept alive."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from portal.core.egress.addresses import check_addresses
from portal.core.egress.policy import Answer, EgressPolicy
from portal.core.egress.targets import Lookup, parse_target, resolve

MAX_ANSWER_BYTES = 64 * 1024
_LOOKUPS_AT_ONCE = 128  # as many as there are calls in flight: slow name servers only delay their own


class PostFailed(Exception):
    """No answer. `code` is one of timeout, tls_failed, connection_failed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class GuardedResolver(AbstractResolver):
    """Gives aiohttp only addresses that were checked; it connects to exactly these."""

    def __init__(self, policy: EgressPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, resolve, host, port, self._policy, self._lookup)
        return [
            ResolveResult(
                hostname=host,
                host=entry[4][0],
                port=port,
                family=entry[0],
                proto=entry[2],
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for entry in found
            if family in (socket.AF_UNSPEC, entry[0])
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def open_session(
    policy: EgressPolicy,
    *,
    lookup: Lookup = socket.getaddrinfo,
    ssl_context: ssl.SSLContext | None = None,
) -> aiohttp.ClientSession:
    """A client that can only reach what `policy` allows. Close it when done. Needs a running loop.

    The check sits in the resolver and again where the socket is made, so that an address which never
    went through DNS meets it too.
    """

    def checked_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        check_addresses([address[0]], address[1], ports=policy.ports, allow_networks=policy.allow_networks)
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(policy, lookup),
        use_dns_cache=False,
        limit=0,
        ssl=ssl_context or ssl.create_default_context(),
        socket_factory=checked_socket,
        keepalive_timeout=30,
    )
    reused = aiohttp.TraceConfig()
    reused.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        trace_configs=[reused],
        headers={"User-Agent": "Nostro-Webhooks/1", "Accept-Encoding": "identity"},
    )


async def _note_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx["reused"] = True


async def post(
    session: aiohttp.ClientSession,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    policy: EgressPolicy,
    timeout_s: float,
) -> Answer:
    """POST once, within `timeout_s` from the look-up to the last byte read.

    A kept-alive connection that the other side had already closed is not its failure: the call is made
    again at once on a new one. Raises EgressRefused, PostFailed.
    """
    parse_target(url, policy)
    try:
        async with asyncio.timeout(timeout_s):
            seen: dict[str, bool] = {}
            try:
                return await _post(session, url, body, headers, seen)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not seen.get("reused"):
                    raise
                return await _post(session, url, body, headers, {})
    except TimeoutError:
        raise PostFailed("timeout") from None
    except aiohttp.ClientSSLError:
        raise PostFailed("tls_failed") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise PostFailed("connection_failed") from None


async def _post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str], seen: dict[str, bool]
) -> Answer:
    async with session.post(
        url,
        data=body,
        headers=headers,
        allow_redirects=False,
        timeout=aiohttp.ClientTimeout(total=None),
        trace_request_ctx=seen,
    ) as response:
        received = bytearray()
        is_cut = False
        async for chunk in response.content.iter_any():
            received += chunk
            if len(received) > MAX_ANSWER_BYTES:
                is_cut = True
                response.close()
                break
        lowered = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, lowered, bytes(received[:MAX_ANSWER_BYTES]), is_cut)
