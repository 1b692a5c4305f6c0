"""Confirming a payin as a trader's browser does it: signed in, with the form's token, another order each time."""

from __future__ import annotations

import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from uuid import UUID

import httpx
import psycopg

from bench import creating
from bench.client import Request, http_request, run_load
from bench.run import CLIENTS, Run, floor_dsn
from bench.stage import served, settle_down
from bench.world import PASSWORD, World
from bench.yardstick import Side, in_turn

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_FIRST_POOL = 64


class Pool:
    """Orders to be confirmed, by trader, in slices: a round ends early when a trader has used up theirs."""

    def __init__(
        self, makers: Mapping[UUID, Callable[[UUID], Request]], orders: list[tuple[UUID, UUID]], slices: int
    ) -> None:
        self._makers = makers
        self._waiting: dict[UUID, deque[UUID]] = defaultdict(deque)
        for order_id, trader_id in orders:
            self._waiting[trader_id].append(order_id)
        fewest = min((len(self._waiting[trader_id]) for trader_id in makers), default=0)
        self._slice = fewest // slices

    def clients(self) -> list[Callable[[], Request | None]]:
        """One for each trader, with the next slice of everybody's orders."""
        used_up = threading.Event()
        return [self._client(trader_id, used_up) for trader_id in self._makers]

    def _client(self, trader_id: UUID, used_up: threading.Event) -> Callable[[], Request | None]:
        left = iter([self._waiting[trader_id].popleft() for _ in range(self._slice)])

        def make() -> Request | None:
            order_id = None if used_up.is_set() else next(left, None)
            if order_id is None:
                used_up.set()
                return None
            return self._makers[trader_id](order_id)

        return make


def sign_in(port: int, email: str) -> tuple[str, str]:
    """The Cookie header of a session begun through the sign-in page, and the token of its forms."""
    headers = {"Host": "localhost", "Sec-Fetch-Site": "same-origin", "Accept-Language": "en"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as browser:
        jar: dict[str, str] = {}

        def go(method: str, path: str, data: dict[str, str] | None = None) -> httpx.Response:
            cookie = "; ".join(f"{name}={value}" for name, value in jar.items())
            answer = browser.request(method, path, data=data, headers={"Cookie": cookie})
            jar.update(answer.cookies)
            for line in answer.headers.get_list("Set-Cookie"):
                if "max-age=0" in line.lower():  # httpx does not say what was taken back
                    jar.pop(line.partition("=")[0], None)
            return answer

        form = {"csrf_token": _token_in(go("GET", "/sign-in").text), "email": email, "password": PASSWORD}
        answer = go("POST", "/sign-in", form)
        if answer.status_code != 303:
            raise RuntimeError(f"signing in as {email}: {answer.status_code}")
        token = _token_in(go("GET", "/account").text)
        return "; ".join(f"{name}={value}" for name, value in jar.items()), token


def _token_in(page: str) -> str:
    found = _TOKEN.search(page)
    if found is None:
        raise RuntimeError("the page has no form of ours")
    return found[1]


def by_browser(port: int, email: str) -> Callable[[UUID], Request]:
    """Confirmations of one signed-in trader without JavaScript."""
    from portal.core.ids import public_id

    cookie, token = sign_in(port, email)
    body = str(httpx.QueryParams({"csrf_token": token})).encode()
    headers = {
        "Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin",
        "Accept": "text/html", "Accept-Language": "en",
    }  # fmt: skip

    def make(order_id: UUID) -> Request:
        path = f"/trader/payins/{public_id('ord', order_id)}/confirmation"
        return http_request("POST", path, headers, body, host="localhost")

    return make


def _waiting(dsn: str) -> list[tuple[UUID, UUID]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT id, trader_id FROM orders WHERE status = 'awaiting_payment' ORDER BY id DESC"
        ).fetchall()


def prepare(port: int, dsn: str, world: World, wanted: int) -> list[tuple[UUID, UUID]]:
    """Payins that wait for their trader, `wanted` of them or more, made through the API."""
    make = creating.ours(world)
    for _ in range(60):
        if len(found := _waiting(dsn)) >= wanted:
            return found
        run_load(port, [make] * CLIENTS, 3.0 if wanted > 1000 else 0.3, expected=201)
    raise RuntimeError(f"only {len(found)} orders could be prepared")


def confirm_a_few(dsn: str, world: World) -> None:
    """Leave some payins that went the whole way, for copies to be made of them."""
    with served("wsgi:app", {"DATABASE_URL": dsn}) as server:
        orders = prepare(server.port, dsn, world, _FIRST_POOL)
        makers = {trader_id: by_browser(server.port, email) for trader_id, email in world.traders}
        load = run_load(server.port, Pool(makers, orders, 1).clients(), 5.0, expected=303)
    if load.unexpected or not load.latencies:
        raise RuntimeError(f"confirming: {load.unexpected} {load.example!r}")
    settle_down(dsn)


def _bare_pool(dsn: str, wanted: int, slices: int) -> Pool:
    with psycopg.connect(floor_dsn(dsn), autocommit=True) as connection:
        for start in range(0, wanted, _PORTION):
            connection.execute(_MORE_OF_FLOOR, (min(_PORTION, wanted - start),))
        orders = connection.execute(
            "SELECT id, trader_id FROM floor.orders WHERE status = 'awaiting_payment' ORDER BY id"
        ).fetchall()
        found = connection.execute(_ACCOUNTS).fetchone()
    assert found is not None
    store_accounts, revenue, world = found

    def maker(trader_id: UUID, store_account: int) -> Callable[[UUID], Request]:
        def make(order_id: UUID) -> Request:
            body = (
                f'{{"order": "{order_id}", "trader": "{trader_id}", "store_available": {store_account},'
                f' "revenue": {revenue}, "world": {world}}}'
            )
            return http_request("POST", "/confirm", {"Content-Type": "application/json"}, body.encode())

        return make

    traders = sorted({trader_id for _, trader_id in orders})
    makers = {
        one: maker(one, account) for one, account in zip(traders, store_accounts[: len(traders)], strict=True)
    }
    return Pool(makers, orders, slices)


# Each statement is a transaction of its own: what one transaction leaves behind slows down its later matches.
_PORTION = 200
_MORE_OF_FLOOR = """
SELECT count(floor.create_payin(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()::text, gen_random_uuid()::text,
  'x', a, a * 100, a * 3, 95000000, (random() * 2147483646)::int, gen_random_uuid()::text::bytea, gen_random_uuid(),
  '{"status": "awaiting_payment"}', 'body'))
  FROM generate_series(1, %s) n, LATERAL (SELECT 10000 + (random() * 59000000)::bigint + n * 0 AS a) x
"""
_ACCOUNTS = """
SELECT (SELECT array_agg(id ORDER BY id) FROM floor.ledger_account WHERE owner_kind = 'store'),
       (SELECT id FROM floor.ledger_account WHERE kind = 'revenue'),
       (SELECT id FROM floor.ledger_account WHERE owner_kind = 'world' AND kind = 'fiat')
"""
# Orders prepared for each second: with fewer than a machine confirms, its rounds are a little shorter.
_MOST_OURS, _MOST_BARE = 350, 1000


def measure(run: Run) -> None:
    env = {"DATABASE_URL": run.dsn, "BENCH_FLOOR_DSN": floor_dsn(run.dsn)}
    needed_s = run.seconds * run.rounds + 2
    with served("wsgi:app", env) as mine, served("bench.bare_app:app", env) as other:
        orders = prepare(mine.port, run.dsn, run.world, int(needed_s * _MOST_OURS))
        ours = Pool(
            {t: by_browser(mine.port, email) for t, email in run.world.traders}, orders, run.rounds + 1
        )
        bare = _bare_pool(run.dsn, int(needed_s * _MOST_BARE), run.rounds + 1)
        settle_down(run.dsn)
        results = in_turn(
            {
                "ours": Side(mine, lambda s: run_load(mine.port, ours.clients(), s, expected=303)),
                "bare": Side(other, lambda s: run_load(other.port, bare.clients(), s, expected=200)),
            },
            run.rounds,
            run.seconds,
            run.postmaster,
        )
    rows = run.table.http_rows("confirm a payin", results)
    fast, plain = rows["ours"], rows["bare"]
    run.table.at_least(
        "confirm a payin: throughput to the bare route", fast.per_second, plain.per_second, 0.5, "/s"
    )
    run.table.report("confirm a payin: p95 to the bare route's", fast.p95_ms, plain.p95_ms, "ms")
    run.table.report_cpu("confirm a payin to the bare route", fast, plain)
