"""Streams as pages use them: who may listen, what they hear, when a stream ends, and what it costs the web."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import redis as redis_client
from flask import Flask

from portal.approvals.access import change_access
from portal.core.db import hot, transaction
from portal.core.live import nudge
from portal.core.permissions import Permission
from portal.identity.access.changes import AccessChange
from portal.identity.models import Role
from portal.settings import get_settings
from portal.traders.queries import traders
from portal.workers import fan_out, stream_gate, streams
from tests.access.people import acting, person
from tests.streams.conftest import House, cookie_of
from tests.streams.running import Page, streams_beside, web_of
from tests.web.desk import Browser, Desk, new_user

BELL, QUEUE = "/streams/bell", "/streams/trader"


@pytest.fixture
def ask_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether somebody may still listen is asked again at once, not after a minute."""
    monkeypatch.setattr(streams, "ASK_AGAIN_S", 0.2)
    monkeypatch.setattr(stream_gate, "KEEP_S", 0.0)


@pytest.mark.proves("tried S2")
def test_a_traders_page_hears_of_a_claim_and_first_looks_for_what_it_missed(house: House, desk: Desk) -> None:
    order = desk.payin()
    with house.page(QUEUE, desk.browser) as page:
        assert (page.status, page.headers["content-type"]) == (200, "text/event-stream")
        assert page.headers["x-accel-buffering"] == "no"
        assert page.next() == "bell"
        desk.claim(order)
        assert page.next() == "queue"


def test_a_bell_hears_of_its_own_person_alone(
    house: House, desk: Desk, signed_in: Callable[..., Browser]
) -> None:
    other = new_user(Role.SUPPORT)
    with house.page(BELL, desk.browser) as mine, house.page(BELL, signed_in(other)) as theirs:
        assert (mine.next(), theirs.next()) == ("bell", "bell")
        nudge(f"user:{other.id}")
        assert theirs.next() == "bell"
        nudge(f"user:{desk.user.id}")
        assert mine.next() == "bell"


def test_who_is_not_signed_in_or_may_not_listen_gets_no_stream(
    house: House, signed_in: Callable[..., Browser]
) -> None:
    merchant = signed_in(new_user(Role.MERCHANT))
    for path, browser, status in (
        (BELL, None, 401), (QUEUE, None, 401), (QUEUE, merchant, 403), ("/streams/nothing", merchant, 404),
    ):  # fmt: skip
        with house.page(path, browser) as page:
            assert page.status == status, path
    with house.page(BELL, merchant) as page:
        assert page.status == 200


@pytest.mark.proves("tried S2")
def test_one_persons_ninth_tab_polls_and_the_place_of_a_closed_one_is_free_again(
    house: House, desk: Desk
) -> None:
    with ExitStack() as open_pages:
        pages = [open_pages.enter_context(house.page(BELL, desk.browser)) for _ in range(8)]
        assert [page.status for page in pages] == [200] * 8
        with house.page(BELL, desk.browser) as ninth:
            assert ninth.status == 204
        pages[3].close()
        _until(lambda: _status(house, desk.browser) == 200)


@pytest.mark.proves("tried S2")
def test_a_full_process_lets_pages_poll(
    house: House, desk: Desk, signed_in: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST", 1)
    with house.page(BELL, desk.browser) as first:
        assert first.status == 200
        with house.page(BELL, signed_in(new_user(Role.SUPPORT))) as second:
            assert second.status == 204


def last_of(page: Page) -> str:
    """What comes after a look that was told before, and gathered for a moment."""
    said = page.next()
    return page.next() if said == "queue" else said


@pytest.mark.proves("tried S2")
def test_a_stream_ends_when_its_person_signs_out(house: House, desk: Desk, ask_often: None) -> None:
    with house.page(QUEUE, desk.browser) as page:
        assert page.next() == "bell"
        assert desk.browser.post("/sign-out", htmx=False).status_code == 303
        assert last_of(page) == "(end)"


@pytest.mark.proves("tried S2")
def test_a_stream_ends_when_its_person_may_no_longer_see_the_queue(
    house: House, desk: Desk, ask_often: None
) -> None:
    with transaction():
        admin = person(Role.ADMIN, name="Ada")
    with house.page(QUEUE, desk.browser) as page, house.page(BELL, desk.browser) as bell:
        assert (page.next(), bell.next()) == ("bell", "bell")
        deny = AccessChange(deny=frozenset({Permission.TRADER_QUEUE_VIEW}))
        with transaction():
            assert change_access(desk.user.id, deny, "A test", actor=acting(admin)) is None
        assert last_of(page) == "(end)"
        nudge(f"user:{desk.user.id}")
        assert bell.next() == "bell"


@pytest.mark.proves("tried S2")
def test_a_stream_ends_when_what_its_person_may_hear_is_no_longer_what_it_hears(
    house: House, desk: Desk, ask_often: None
) -> None:
    with house.page(QUEUE, desk.browser) as page:
        assert page.next() == "bell"
        with transaction():
            hot("UPDATE trader SET mode = 'test' WHERE id = %(id)s", {"id": desk.trader.id})
        traders.forget()
        assert page.next() == "(end)"


def test_while_the_web_does_not_answer_nobody_is_let_in(app: Flask, desk: Desk) -> None:
    with web_of(app) as web:
        pass
    with streams_beside(web, get_settings()) as port, Page(port, BELL, cookie_of(desk.browser)) as page:
        assert page.status == 503


@pytest.mark.proves("tried S2")
def test_a_web_that_goes_away_ends_no_stream_and_one_that_comes_back_is_asked_again(
    app: Flask, desk: Desk, ask_often: None
) -> None:
    with ExitStack() as last:
        with web_of(app) as web:
            port = last.enter_context(streams_beside(web, get_settings()))
            page = last.enter_context(Page(port, BELL, cookie_of(desk.browser)))
            assert page.next() == "bell"
        time.sleep(0.6)
        nudge(f"user:{desk.user.id}")
        assert page.next() == "bell"


@pytest.mark.proves("tried S2")
def test_a_stream_that_nobody_could_vouch_for_any_more_ends(
    app: Flask, desk: Desk, ask_often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who signs out while the web is away does not listen for ever."""
    monkeypatch.setattr(streams, "UNASKED_AT_MOST_S", 0.5)
    with ExitStack() as last:
        with web_of(app) as web:
            port = last.enter_context(streams_beside(web, get_settings()))
            page = last.enter_context(Page(port, BELL, cookie_of(desk.browser)))
            assert page.next() == "bell"
        assert page.next() == "(end)"


def test_the_stop_of_the_process_ends_all_streams_at_once(app: Flask, desk: Desk) -> None:
    with web_of(app) as web:
        with streams_beside(web, get_settings()) as port:
            pages = [Page(port, BELL, cookie_of(desk.browser)) for _ in range(4)]
            assert {page.next() for page in pages} == {"bell"}
            began = time.monotonic()
        assert time.monotonic() - began < 2
        assert {page.next() for page in pages} == {"(end)"}


@pytest.mark.proves("tried S2")
def test_all_pages_of_a_process_hear_through_one_connection_to_redis(
    house: House, desk: Desk, redis: redis_client.Redis
) -> None:
    with ExitStack() as open_pages:
        pages = [open_pages.enter_context(house.page(QUEUE, desk.browser)) for _ in range(6)]
        assert {page.next() for page in pages} == {"bell"}
        assert len(_subscribed(redis)) == 1
        nudge(f"trader:{desk.trader.id}")
        assert {page.next() for page in pages} == {"queue"}


def test_after_redis_was_away_every_page_looks_again(
    house: House, desk: Desk, redis: redis_client.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "CATCH_UP_S", 0.1)
    with house.page(QUEUE, desk.browser) as page:
        assert page.next() == "bell"
        for client in _subscribed(redis):
            redis.client_kill_filter(_id=client["id"])
        assert {page.next(), page.next()} == {"bell", "queue"}
        nudge(f"trader:{desk.trader.id}")
        assert page.next() == "queue"


@pytest.mark.proves("tried S2")
def test_the_web_itself_holds_no_stream_and_says_so_at_once(house: House, desk: Desk) -> None:
    """Where nothing leads to the streams' process, pages poll."""
    for path in (BELL, QUEUE):
        with Page(house.web, path, cookie_of(desk.browser)) as page:
            assert page.status == 204


def test_where_streams_have_a_port_of_their_own_the_web_leads_there_by_the_name_that_the_page_used(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMS_PORT", "8003")
    monkeypatch.setenv("ALLOWED_HOSTS", "box.lan")
    get_settings.cache_clear()
    try:
        browser = desk.app.test_client(use_cookies=False)
        for host, origin in (
            ("127.0.0.1:8000", "http://127.0.0.1:8003"), ("[::1]:8000", "http://[::1]:8003"),
            ("box.lan", "http://box.lan:8003"),
        ):  # fmt: skip
            sent = {"Host": host, "Cookie": cookie_of(desk.browser)}
            answer = browser.get(BELL, headers=sent | {"Accept": "text/event-stream"})
            assert (answer.status_code, answer.location) == (307, f"{origin}{BELL}")
            page = browser.get("/account", headers=sent)
            assert f"connect-src 'self' {origin};" in page.headers["Content-Security-Policy"]
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


@pytest.mark.parametrize(
    ("origin", "is_heard"),
    [
        ("http://localhost:8000", True),
        ("http://evil.example", False),
        ("https://localhost", False),
        ("null", False),
    ],
)
def test_only_pages_of_the_same_host_may_read_a_stream_at_another_port(
    app: Flask, desk: Desk, origin: str, is_heard: bool
) -> None:
    settings = get_settings().model_copy(update={"streams_port": 8003})
    with (
        web_of(app) as web,
        streams_beside(web, settings) as port,
        Page(port, BELL, cookie_of(desk.browser), Origin=origin) as page,
    ):
        assert page.status == 200
        assert page.headers.get("access-control-allow-origin") == (origin if is_heard else None)


def test_an_address_that_leads_back_to_the_streams_is_an_error_and_no_endless_question(
    house: House, desk: Desk
) -> None:
    with (
        streams_beside(house.streams, get_settings()) as port,
        Page(port, BELL, cookie_of(desk.browser)) as page,
    ):
        assert page.status in {503, 508}


@pytest.mark.proves("tried S2")
def test_a_web_of_four_threads_answers_while_a_hundred_streams_of_many_people_are_open(
    app: Flask, signed_in: Callable[..., Browser]
) -> None:
    """As a server with four threads would: a request that does not end would take one of them for good."""
    threads = threading.BoundedSemaphore(4)

    def few(environ: dict[str, Any], start_response: Any) -> Any:
        assert threads.acquire(timeout=20), "no thread is left"
        try:
            return list(app.wsgi_app(environ, start_response))
        finally:
            threads.release()

    browsers = [signed_in(new_user(Role.SUPPORT)) for _ in range(13)]
    with ExitStack() as last:
        web = last.enter_context(web_of(few))  # type: ignore[arg-type]
        port = last.enter_context(streams_beside(web, get_settings()))
        cookies = [cookie_of(browser) for browser in browsers for _ in range(8)]
        with ThreadPoolExecutor(16) as crowd:
            pages = list(crowd.map(lambda cookie: Page(port, BELL, cookie), cookies))
        for page in pages:
            last.callback(page.close)
        assert [page.status for page in pages] == [200] * 104
        assert {page.next() for page in pages} == {"bell"}
        assert threads._value == 4
        with Page(web, "/healthz") as health:
            assert health.status == 200


def _status(house: House, browser: Browser) -> int:
    with house.page(BELL, browser) as page:
        return page.status


def _subscribed(redis: redis_client.Redis) -> list[dict[str, Any]]:
    """The subscriptions of this test's own database of the shared server."""
    number = str(redis.connection_pool.connection_kwargs.get("db", 0))
    clients: list[dict[str, Any]] = redis.client_list(_type="pubsub")
    return [client for client in clients if client["db"] == number]


def _until(condition: Callable[[], bool], seconds: float = 15) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "it did not come to be"
        time.sleep(0.1)


def test_only_names_of_streams_are_asked_for(house: House, desk: Desk) -> None:
    """No other page of the web, and no figure of its own for each spelling."""
    for path in ("/streams/x0%2F..%2Fbell", "/streams/..%2Faccount", "/streams/bell%00", "/streams/BELL"):
        with house.page(path, desk.browser) as page:
            assert page.status == 404, path
