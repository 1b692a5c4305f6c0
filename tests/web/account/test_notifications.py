"""The bell, the list and the choices, over HTTP."""

from __future__ import annotations

import re
import uuid

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.identity.models import Role, User
from portal.mail.kinds import SHAPES
from portal.notifications.kinds import TELLINGS
from portal.notifications.models import NotificationKind
from portal.notifications.queries import count_unread, list_choices, list_notifications
from portal.notifications.service import notify
from tests.web.desk import HTMX, Browser, new_user

LIST, CHOICES = "/account/notifications", "/account/notifications/choices"


@pytest.fixture
def anna(app: Flask) -> User:
    return new_user(Role.TRADER)


@pytest.fixture
def browser(app: Flask, anna: User) -> Browser:
    return enter(app, anna)


def enter(app: Flask, user: User) -> Browser:
    browser = Browser(app.test_client())
    assert browser.sign_in(user.email).status_code == 303
    return browser


def dispute(user: User, about: str = "one", link: str = "/account") -> uuid.UUID:
    params = {"order": "ord_<b>x</b>", "amount": "1500.00 RUB"}
    with transaction():
        notify([user.id], NotificationKind.DISPUTE_OPENED, params, link, about=about)
        return list_notifications(user.id)[0].id


def bell_of(page: str) -> str:
    found = re.search(r'id="bell-count"[^>]*>(.*?)</a>', page, re.DOTALL)
    assert found, page[:500]
    return found[1]


def test_every_portal_page_has_a_bell_with_the_count(browser: Browser, anna: User) -> None:
    assert "badge" not in bell_of(browser.get("/account").text)
    dispute(anna)
    dispute(anna, "two")
    page = browser.get("/account").text
    assert 'data-unread="2"' in bell_of(page)
    assert "2 unread" in bell_of(page)
    assert f'href="{LIST}"' in page
    counted = browser.get(f"{LIST}/count", headers=HTMX)
    assert 'data-unread="2"' in counted.text
    assert "<html" not in counted.text


def test_a_hundred_are_more_than_99(browser: Browser, anna: User) -> None:
    for number in range(101):
        dispute(anna, str(number))
    assert "99+" in browser.get(f"{LIST}/count").text
    first = browser.get(LIST).text
    assert first.count('id="notification-') == 30
    older = re.search(r'href="(/account/notifications\?after=[^"]+)"', first)
    assert older is not None
    second = browser.get(older[1]).text
    assert second.count('id="notification-') == 30
    assert not set(re.findall(r'id="notification-[^"]+', first)) & set(
        re.findall(r'id="notification-[^"]+', second)
    )
    former = browser.get(older[1].replace("after=", "before=")).text
    assert re.findall(r'id="notification-[^"]+', former) == re.findall(r'id="notification-[^"]+', second)


@pytest.mark.parametrize("kind", NotificationKind)
def test_each_kind_is_told_in_a_sentence_with_what_it_is_about(
    browser: Browser, anna: User, kind: NotificationKind
) -> None:
    names = SHAPES[TELLINGS[kind].mail].names - {"link"}
    params = {name: "1500.00 RUB" if name == "amount" else f"the {name}" for name in names}
    with transaction():
        notify([anna.id], kind, params, "/account", about="one")
    said = re.search(r'<p class="mb-0 fw-bold">(.+?)</p>', browser.get(LIST).text)
    assert said is not None
    untold = {"at", "order", "amount", "url", "what"}
    assert {name for name in names - untold if f"the {name}" not in said[1]} == set()
    assert len(said[1].split()) > 4


def test_what_was_told_before_a_parameter_came_is_still_shown(browser: Browser, anna: User) -> None:
    dispute(anna)
    with transaction():
        hot("UPDATE notification SET params = '{}' WHERE user_id = %(id)s", {"id": anna.id})
    assert "A dispute is open over order" in browser.get(LIST).text


def test_the_list_says_what_happened_and_escapes_it(browser: Browser, anna: User) -> None:
    dispute(anna)
    page = browser.get(LIST).text
    assert "A dispute is open over order ord_&lt;b&gt;x&lt;/b&gt;" in page
    assert browser.get(f"{LIST}?before=nonsense").status_code == 200
    assert browser.get(f"{LIST}?after=nonsense").status_code == 200


def test_the_list_has_words_for_every_kind(browser: Browser, anna: User) -> None:
    samples = {
        "order": "ord_x",
        "amount": "7200.00 RUB",
        "what": "access",
        "subject": "Boris",
        "asked_by": "Ann",
    }
    samples |= {"store": "Acme", "url": "https://x.example", "at": "2026-11-23T12:30:00+00:00"}
    samples |= {"limit": "open", "used": "900 USDT", "allowed": "1000 USDT", "pair": "USDT/RUB"}
    samples |= {"ip": "192.0.2.7", "device": "Firefox", "checks": "every entry sums to zero"}
    samples |= {"trader": "Tara", "most": "5"}
    with transaction():
        for kind in NotificationKind:
            needed = SHAPES[TELLINGS[kind].mail].names - {"link"}
            notify([anna.id], kind, {name: samples[name] for name in needed}, "/account", about="x")
    page = browser.get(LIST).text
    for words in (
        "7,200.00\u00a0RUB",
        "ord_x",
        "Ann asks to change what Boris may do",
        "Acme is disabled",
        "Tara has confirmed payins below their amount",
        "192.0.2.7",
    ):
        assert words in page


def test_opening_one_marks_it_read_and_leads_there(browser: Browser, anna: User) -> None:
    one = dispute(anna, link="/account")
    dispute(anna, "two")
    answer = browser.post(f"{LIST}/{one}/reading", htmx=False)
    assert (answer.status_code, answer.location) == (303, "/account")
    assert count_unread(anna.id) == 1
    again = browser.post(f"{LIST}/{one}/reading", htmx=True)
    assert again.headers["HX-Redirect"] == "/account"
    assert count_unread(anna.id) == 1


def test_a_strangers_notification_is_404(app: Flask, browser: Browser, anna: User) -> None:
    boris = new_user(Role.SUPPORT)
    one = dispute(boris)
    assert browser.post(f"{LIST}/{one}/reading", htmx=False).status_code == 404
    assert browser.post(f"{LIST}/{uuid.uuid4()}/reading", htmx=False).status_code == 404
    assert count_unread(boris.id) == 1
    assert str(one) not in browser.get(LIST).text


def test_all_are_read_at_once_and_only_ones_own(browser: Browser, anna: User, app: Flask) -> None:
    boris = new_user(Role.SUPPORT)
    dispute(anna)
    dispute(anna, "two")
    dispute(boris)
    answer = browser.post(f"{LIST}/reading", htmx=False)
    assert (answer.status_code, answer.location) == (303, LIST)
    assert (count_unread(anna.id), count_unread(boris.id)) == (0, 1)
    assert browser.post(f"{LIST}/reading", htmx=False).status_code == 303
    assert "Mark all as read" not in browser.get(LIST).text


def test_choices_are_kept_and_only_of_what_concerns_me(browser: Browser, anna: User) -> None:
    page = browser.get(CHOICES).text
    assert 'name="new_order-in_app"' in page
    assert "endpoint_disabled" not in page
    ticked = {"new_order-by_mail": "on", "dispute_opened-in_app": "on", "endpoint_disabled-in_app": "on"}
    answer = browser.post(CHOICES, ticked, htmx=False)
    assert answer.status_code == 303
    chosen = {
        choice.kind.value: (choice.in_app, choice.by_mail) for choice in list_choices(anna.id, (Role.TRADER,))
    }
    assert chosen == {
        "new_order": (False, True),
        "dispute_opened": (True, False),
        "new_device": (False, False),
    }
    assert "Saved." in browser.get(answer.location).text


def test_nothing_changes_without_the_forms_token(browser: Browser, anna: User) -> None:
    one = dispute(anna)
    browser.token = "wrong"
    for path in (f"{LIST}/reading", f"{LIST}/{one}/reading", CHOICES):
        assert browser.post(path, htmx=False).status_code == 400
    assert count_unread(anna.id) == 1


def test_nobody_without_a_session_sees_or_changes_anything(app: Flask) -> None:
    nobody = Browser(app.test_client())
    for path in (LIST, CHOICES, f"{LIST}/count", "/streams/bell"):
        assert nobody.get(path).status_code in {302, 303, 401}
