"""Outgoing calls reach public addresses only, whatever the name, the notation or the name server says."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from threading import Thread
from typing import Any

import pytest

from portal.core.egress import (
    Answer,
    EgressPolicy,
    EgressRefused,
    FetchFailed,
    check_addresses,
    check_url,
    fetch,
    parse_target,
)
from portal.core.egress.addresses import is_own
from portal.core.egress.post import PostFailed, open_session, post
from tests.core.certificates import self_signed

HTTPS = EgressPolicy()
# What a demo or a test writes down: the local receiver, and nothing else that is not public.
LOCAL = EgressPolicy(allow_http=True, allow_networks=(ip_network("127.0.0.1/32"),))

BAD_ADDRESSES = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.8.8.8
168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1
192.168.0.1 198.18.0.1 198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1
2001::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 4000::1 fc00::1 fd00:ec2::254
fe80::1 fec0::1 ff02::1 ff0e::1
""".split()  # noqa: SIM905 - a table is easier to read in rows
GOOD_ADDRESSES = """
1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 172.32.0.1 192.0.1.1 223.255.255.1
2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001:81b::200e
""".split()  # noqa: SIM905

MALFORMED = [
    "https://0177.0.0.1/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://127.1/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0/",
    "https://①②⑦.⓪.⓪.①/",
    "https://example.com\\@127.0.0.1/",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://exa mple.com/",
    "https://example.com/\r\nHost: internal",
    "https://example.com/\x00",
    "https://example.com/#fragment",
    "https://exam%70le.com/",
    "https://[fe80::1%25eth0]/",
    "https://[::1",
    "https://[not-an-address]/",
    "https://",
    "https:///path",
    "https://.example.com/",
    "https://example.com:/",
    "https://example.com:0/",
    "https://example.com:70000/",
    "https://пример.рф/",
    "http://example.com/",
    "//example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:/run/docker.sock",
    "ftp://example.com/",
    "javascript:alert(1)",
    "https:example.com",
    "",
    "https://example.com/" + "a" * 2000,
]


def answers(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    """A name server that gives these addresses, whatever it is asked."""

    def lookup(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]

    return lookup


class TestTheRule:
    @pytest.mark.parametrize("address", BAD_ADDRESSES)
    def test_an_internal_address_is_refused(self, address: str) -> None:
        with pytest.raises(EgressRefused) as refusal:
            check_addresses([address], 443, ports=HTTPS.ports, allow_networks=())
        assert refusal.value.code == "no_public_address"
        assert address not in str(refusal.value)

    @pytest.mark.parametrize("address", GOOD_ADDRESSES)
    def test_a_public_address_passes(self, address: str) -> None:
        check_addresses([address], 443, ports=HTTPS.ports, allow_networks=())

    def test_one_internal_address_among_public_ones_spoils_them_all(self) -> None:
        with pytest.raises(EgressRefused):
            check_addresses(["8.8.8.8", "10.0.0.1"], 443, ports=HTTPS.ports, allow_networks=())

    def test_no_address_at_all_is_refused(self) -> None:
        with pytest.raises(EgressRefused):
            check_addresses([], 443, ports=HTTPS.ports, allow_networks=())

    def test_a_port_that_is_not_listed_is_refused_on_a_public_address(self) -> None:
        with pytest.raises(EgressRefused, match="Port 6379"):
            check_addresses(["8.8.8.8"], 6379, ports=HTTPS.ports, allow_networks=())

    def test_a_network_the_operator_wrote_down_is_open_on_any_port_and_its_neighbours_are_not(self) -> None:
        check_addresses(["127.0.0.1"], 5099, ports=LOCAL.ports, allow_networks=LOCAL.allow_networks)
        for neighbour in ("127.0.0.2", "::1", "::ffff:127.0.0.1", "10.0.0.1"):
            with pytest.raises(EgressRefused):
                check_addresses([neighbour], 443, ports=LOCAL.ports, allow_networks=LOCAL.allow_networks)

    def test_an_address_of_this_very_machine_is_recognised(self) -> None:
        from ipaddress import ip_address

        assert is_own(ip_address("127.0.0.1"))
        assert not is_own(ip_address("8.8.8.8"))


class TestReadingTheUrl:
    @pytest.mark.parametrize("url", MALFORMED)
    def test_what_two_parsers_could_read_differently_is_refused(self, url: str) -> None:
        with pytest.raises(EgressRefused):
            parse_target(url, HTTPS)

    @pytest.mark.parametrize(
        ("url", "host", "port"),
        [
            ("https://example.com/hook?a=1", "example.com", 443),
            ("https://Shop.Example.com:8443/", "shop.example.com", 8443),
            ("https://xn--e1afmkfd.xn--p1ai/", "xn--e1afmkfd.xn--p1ai", 443),
            ("https://93.184.216.34/", "93.184.216.34", 443),
            ("https://[2606:4700:4700::1111]/", "2606:4700:4700::1111", 443),
        ],
    )
    def test_an_ordinary_address_is_read(self, url: str, host: str, port: int) -> None:
        target = parse_target(url, HTTPS)
        assert (target.host, target.port) == (host, port)

    def test_http_passes_only_where_it_is_allowed(self) -> None:
        assert parse_target("http://example.com/", LOCAL).port == 80

    @pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1"])
    def test_a_name_for_an_internal_address_is_refused_when_it_is_saved(self, address: str) -> None:
        with pytest.raises(EgressRefused):
            check_url("https://metadata.google.internal/", HTTPS, lookup=answers(address))

    def test_a_name_that_does_not_exist_gets_the_same_answer_as_an_internal_one(self) -> None:
        def nothing(*_: object, **__: object) -> list[tuple[Any, ...]]:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

        with pytest.raises(EgressRefused) as unknown:
            check_url("https://nowhere.example/", HTTPS, lookup=nothing)
        with pytest.raises(EgressRefused) as internal:
            check_url("https://inside.example/", HTTPS, lookup=answers("10.0.0.8"))
        assert (unknown.value.code, str(unknown.value)) == (internal.value.code, str(internal.value))


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """A small server on loopback that counts its connections and what it was asked."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []
        self._handler, self._tls = handler, tls
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await self._handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def start(self) -> None:
        self._thread.start()
        opening = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(5)
        self.port = server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        async def cancel_all() -> None:
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()

        asyncio.run_coroutine_threadsafe(cancel_all(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@contextmanager
def receiver(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    running = Receiver(handler, tls)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def says(answer: bytes) -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return handler


async def hangs(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


async def drips_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def drips_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _byte in range(1000):
        writer.write(b"z")
        await writer.drain()
        await asyncio.sleep(0.05)


async def never_ends(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def call(url: str, policy: EgressPolicy = LOCAL, *, timeout_s: float = 5.0, **options: Any) -> Answer:
    async def once() -> Answer:
        async with open_session(policy, **options) as session:
            return await post(session, url, body=b"{}", headers={}, policy=policy, timeout_s=timeout_s)

    return asyncio.run(once())


@pytest.fixture(params=["post", "fetch"])
def either(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """The same promise kept by both clients."""
    if request.param == "post":
        return call

    def get(url: str, policy: EgressPolicy = LOCAL, **options: Any) -> Answer:
        return fetch(url, policy=policy, **options)

    return get


class TestTheConnection:
    def test_an_answer_comes_back(self, either: Callable[..., Answer]) -> None:
        with receiver(says(OK)) as server:
            answer = either(f"http://127.0.0.1:{server.port}/hook")
        assert (answer.status, answer.body) == (200, b"ok")

    def test_the_checked_address_is_the_one_called_and_the_name_stays_in_host(
        self, either: Callable[..., Answer]
    ) -> None:
        asked: list[str] = []

        def lookup(host: str, port: int, **options: object) -> list[tuple[Any, ...]]:
            asked.append(host)
            return answers("127.0.0.1" if len(asked) == 1 else "127.0.0.2")(host, port, **options)

        with receiver(says(OK)) as server:
            assert either(f"http://shop.example:{server.port}/", lookup=lookup).status == 200
            assert asked == ["shop.example"]
            assert f"host: shop.example:{server.port}".encode() in server.requests[0].lower()

    def test_a_name_that_turns_private_after_it_was_saved_is_not_called(
        self, either: Callable[..., Answer]
    ) -> None:
        check_url("https://shop.example/", HTTPS, lookup=answers("93.184.216.34"))
        with receiver(says(OK)) as server:
            policy = EgressPolicy(allow_http=True, ports=frozenset({server.port}))
            with pytest.raises(EgressRefused):
                either(f"http://shop.example:{server.port}/", policy, lookup=answers("127.0.0.1"))
            assert server.connections == 0

    def test_a_public_address_next_to_a_private_one_is_not_called(
        self, either: Callable[..., Answer]
    ) -> None:
        with receiver(says(OK)) as server:
            policy = EgressPolicy(allow_http=True, ports=frozenset({server.port}))
            for order in (("93.184.216.34", "127.0.0.1"), ("127.0.0.1", "93.184.216.34")):
                with pytest.raises(EgressRefused):
                    either(f"http://shop.example:{server.port}/", policy, lookup=answers(*order))
            assert server.connections == 0

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
    def test_an_address_that_never_meets_dns_meets_the_rule(
        self, either: Callable[..., Answer], host: str
    ) -> None:
        with receiver(says(OK)) as server:
            policy = EgressPolicy(allow_http=True, ports=frozenset({server.port}))
            with pytest.raises(EgressRefused):
                either(f"http://{host}:{server.port}/", policy)
            assert server.connections == 0

    def test_a_redirect_is_an_answer_and_is_not_followed(self, either: Callable[..., Answer]) -> None:
        with receiver(says(OK)) as inside:
            for status in (301, 302, 303, 307, 308):
                moved = f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{inside.port}/\r\n"
                with receiver(says(f"{moved}Content-Length: 0\r\n\r\n".encode())) as server:
                    assert either(f"http://127.0.0.1:{server.port}/").status == status
            assert inside.connections == 0

    def test_a_proxy_of_the_environment_is_ignored(
        self, either: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with receiver(says(OK)) as server, receiver(says(OK)) as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            assert either(f"http://127.0.0.1:{server.port}/").status == 200
            assert (server.connections, proxy.connections) == (1, 0)

    @pytest.mark.parametrize("handler", [hangs, drips_headers, drips_body])
    def test_one_deadline_covers_the_whole_call(
        self, either: Callable[..., Answer], handler: Handler
    ) -> None:
        with receiver(handler) as server:
            started = time.monotonic()
            with pytest.raises((PostFailed, FetchFailed)) as failure:
                either(f"http://127.0.0.1:{server.port}/", timeout_s=0.6)
            assert failure.value.code == "timeout"
            assert time.monotonic() - started < 2

    def test_a_slow_name_server_is_inside_the_deadline(self, either: Callable[..., Answer]) -> None:
        def slow(host: str, port: int, **options: object) -> list[tuple[Any, ...]]:
            time.sleep(1.5)
            return answers("127.0.0.1")(host, port, **options)

        started = time.monotonic()
        with pytest.raises((PostFailed, FetchFailed)):
            either("http://shop.example:9/", timeout_s=0.3, lookup=slow)
        # asyncio.run() waits for the look-up's thread; the call itself was over long before.
        assert time.monotonic() - started < 4

    def test_a_connection_that_is_reset_is_a_failure_with_a_coarse_reason(
        self, either: Callable[..., Answer]
    ) -> None:
        with receiver(resets) as server, pytest.raises((PostFailed, FetchFailed)) as failure:
            either(f"http://127.0.0.1:{server.port}/")
        assert str(failure.value) == "connection_failed"

    def test_headers_without_end_are_a_failure(self, either: Callable[..., Answer]) -> None:
        flood = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"h" * 4000) for n in range(400))
        with receiver(says(flood + b"\r\n")) as server, pytest.raises((PostFailed, FetchFailed)):
            either(f"http://127.0.0.1:{server.port}/")

    def test_an_answer_without_end_is_cut_off_by_the_sender(self) -> None:
        with receiver(never_ends) as server:
            answer = call(f"http://127.0.0.1:{server.port}/")
        assert answer.status == 200
        assert answer.is_cut
        assert len(answer.body) == 65536

    def test_an_answer_without_end_is_useless_to_a_feed(self) -> None:
        with receiver(never_ends) as server, pytest.raises(FetchFailed) as failure:
            fetch(f"http://127.0.0.1:{server.port}/", policy=LOCAL)
        assert failure.value.code == "answer_too_large"

    def test_a_compressed_answer_is_not_unpacked(self) -> None:
        bomb = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
        with receiver(says(bomb)) as server:
            assert call(f"http://127.0.0.1:{server.port}/").body == b"\x1f\x8b\x08\x00"


class TestTls:
    def test_name_indication_and_certificate_follow_the_name_not_the_address(
        self, either: Callable[..., Answer]
    ) -> None:
        serving, trusting = self_signed("shop.example")
        names: list[str | None] = []
        serving.sni_callback = lambda _socket, name, _context: names.append(name)
        with receiver(says(OK), serving) as server:
            url = f"https://shop.example:{server.port}/"
            answer = either(url, lookup=answers("127.0.0.1"), ssl_context=trusting)
        assert (answer.status, names) == (200, ["shop.example"])

    def test_a_certificate_for_another_name_is_refused(self, either: Callable[..., Answer]) -> None:
        serving, trusting = self_signed("other.example")
        with receiver(says(OK), serving) as server, pytest.raises((PostFailed, FetchFailed)):
            either(f"https://shop.example:{server.port}/", lookup=answers("127.0.0.1"), ssl_context=trusting)

    @pytest.mark.proves("F25")
    def test_an_expired_certificate_is_refused(self, either: Callable[..., Answer]) -> None:
        serving, trusting = self_signed("shop.example", days=-1)
        with receiver(says(OK), serving) as server, pytest.raises((PostFailed, FetchFailed)):
            either(f"https://shop.example:{server.port}/", lookup=answers("127.0.0.1"), ssl_context=trusting)


def test_a_kept_alive_connection_that_was_closed_meanwhile_is_not_the_receivers_failure() -> None:
    async def closes_after_one(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)  # promises keep-alive, then closes
        await writer.drain()

    async def twice(url: str) -> list[int]:
        async with open_session(LOCAL) as session:
            statuses = []
            for _ in range(3):
                answer = await post(session, url, body=b"{}", headers={}, policy=LOCAL, timeout_s=5)
                statuses.append(answer.status)
            return statuses

    with receiver(closes_after_one) as server:
        assert asyncio.run(twice(f"http://127.0.0.1:{server.port}/")) == [200, 200, 200]
