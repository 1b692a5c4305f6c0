"""Guarded GET for everything that may block: rate feeds and the like."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookupTimeout
from typing import Any

import httpcore

from portal.core.egress.policy import Answer, EgressPolicy
from portal.core.egress.targets import Lookup, parse_target, resolve

MAX_ANSWER_BYTES = 64 * 1024
_LOOKUPS = ThreadPoolExecutor(4, thread_name_prefix="lookup")


class FetchFailed(Exception):
    """No usable answer. `code` is one of timeout, connection_failed, answer_too_large."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def left_s(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise FetchFailed("timeout")
        return left


class _Stream(httpcore.NetworkStream):
    """A stream whose every step must fit into what is left of the call's one deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's shape
        return self._inner.read(max_bytes, self._deadline.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's shape
        self._inner.write(buffer, self._deadline.left_s())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's shape
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left_s())
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _GuardedBackend(httpcore.SyncBackend):
    """Resolves once, checks every address, connects to a checked one; SNI and certificate keep the name."""

    def __init__(self, policy: EgressPolicy, deadline: _Deadline, lookup: Lookup) -> None:
        self._policy, self._deadline, self._lookup = policy, deadline, lookup

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's shape
        local_address: str | None = None,  # noqa: ARG002 - httpcore's shape
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        pending = _LOOKUPS.submit(resolve, host, port, self._policy, self._lookup)
        try:
            found = pending.result(self._deadline.left_s())
        except LookupTimeout:
            raise FetchFailed("timeout") from None
        failure: Exception = FetchFailed("connection_failed")
        for entry in found:
            try:
                checked = entry[4][0]
                inner = super().connect_tcp(checked, port, self._deadline.left_s(), None, socket_options)
                return _Stream(inner, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


def fetch(
    url: str,
    *,
    policy: EgressPolicy | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
    max_bytes: int = MAX_ANSWER_BYTES,
    lookup: Lookup = socket.getaddrinfo,
    ssl_context: ssl.SSLContext | None = None,
) -> Answer:
    """GET once, within `timeout_s` from the look-up to the last byte. A redirect is returned as it is.

    Raises EgressRefused when the address may not be called, FetchFailed when no answer came in time or
    it is larger than `max_bytes`.
    """
    policy = policy or EgressPolicy.from_settings()
    parse_target(url, policy)
    deadline = _Deadline(timeout_s)
    sent: dict[bytes | str, bytes | str] = {"Accept-Encoding": "identity", "User-Agent": "Nostro/1"}
    sent.update(headers or {})
    pool = httpcore.ConnectionPool(
        ssl_context=ssl_context or ssl.create_default_context(),
        network_backend=_GuardedBackend(policy, deadline, lookup),
        retries=0,
    )
    try:
        with pool, pool.stream("GET", url, headers=sent) as response:
            received = bytearray()
            for chunk in response.iter_stream():
                received += chunk
                if len(received) > max_bytes:
                    raise FetchFailed("answer_too_large")
            lowered = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
            }
            return Answer(response.status, lowered, bytes(received), is_cut=False)
    except httpcore.TimeoutException:
        raise FetchFailed("timeout") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
        raise FetchFailed("connection_failed") from None
