"""Every state of a payin is a clear screen of its own."""

from __future__ import annotations

import gzip
import re
from copy import copy
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from PIL import Image

from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.files import get_files
from portal.core.ids import public_id
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.merchants.queries import stores
from portal.orders.payment_session import SessionStatus, get_payment_session
from portal.orders.service import agree_to_amount, cancel_order, claim_payin, confirm_payin
from portal.reference import configuration as config
from portal.traders.models import Requisite
from portal.web.pay import page as page_routes
from portal.web.pay.languages import direction_of
from portal.web.pay.rendering import render_session
from tests.scene import Scene
from tests.web.pay.customer import Customer

STATIC = Path(__file__).resolve().parents[3] / "static"


def number_of(customer: Customer) -> str:
    with transaction():
        number = get_payment_session(customer.token).number
    assert number is not None
    return number


def groups(number: str) -> str:
    return "".join(f'<span class="group">{number[start : start + 4]}</span>' for start in range(0, 16, 4))


def test_the_paying_page_says_whom_to_pay_how_much_and_until_when(customer: Customer) -> None:
    page = customer.get()
    number = number_of(customer)
    assert page.status_code == 200
    assert "RUB\u00a01,500.00" in page.text
    assert groups(number) in page.text
    assert f'data-copy="{number}"' in page.text
    assert 'data-copy="1500.00"' in page.text
    assert "TARA P." in page.text
    assert "Sberbank" in page.text
    assert re.search(r'data-seconds="(8\d\d|900)"', page.text)
    assert "The exact amount matters" in page.text


def test_russian_comes_from_the_order_before_the_browser_and_can_be_changed(
    scene: Scene, requisite: Requisite, app: Flask
) -> None:
    customer = Customer(app.test_client(), scene.payin(locale="ru"))
    russian = customer.get(headers={"Accept-Language": "en"})
    assert '<html lang="ru" dir="ltr">' in russian.text
    assert "1\u00a0500,00\u00a0₽" in russian.text
    assert "Сбербанк" in russian.text
    english = customer.get("?lang=en")
    assert '<html lang="en"' in english.text
    assert f'action="/pay/{customer.token}/claim?lang=en"' in english.text
    assert "Set-Cookie" not in english.headers


def test_the_browsers_language_is_used_when_the_order_has_none(customer: Customer) -> None:
    assert '<html lang="ru"' in customer.get(headers={"Accept-Language": "ru-RU,ru;q=0.9"}).text
    assert '<html lang="en"' in customer.get(headers={"Accept-Language": "de"}).text


def test_right_to_left_languages_are_written_that_way() -> None:
    assert (direction_of("ar"), direction_of("ru")) == ("rtl", "ltr")


def test_an_open_method_is_asked_for_with_what_can_be_served(undecided: Customer) -> None:
    page = undecided.get()
    assert "Choose how to pay" in page.text
    assert "Card transfer" in page.text
    assert "SBP" not in page.text  # nobody has such a requisite
    banks = undecided.get("?method=card").text
    assert 'name="bank" value="sber"' in banks
    assert 'name="bank" value="tbank"' not in banks


def test_nobody_free_is_said_and_can_be_looked_at_again(scene: Scene, app: Flask) -> None:
    customer = Customer(app.test_client(), scene.payin(method=None, amount_minor=2_900_000_00))
    page = customer.get()
    assert "Nobody can take this amount" in page.text
    assert "Look again" in page.text


def test_looking_for_a_trader_shows_honest_words_and_refreshes(scene: Scene, app: Flask) -> None:
    customer = Customer(app.test_client(), scene.payin())
    page = customer.get()
    assert customer.now().status == "matching"
    assert "Finding who takes your payment" in page.text
    assert f'<noscript><meta http-equiv="refresh" content="5; url=/pay/{customer.token}">' in page.text


def test_claimed_shows_who_checks_and_until_when(customer: Customer) -> None:
    customer.drive(claim_payin, None, actor=CUSTOMER)
    page = customer.get()
    assert "Your payment is being checked" in page.text
    assert re.search(r'data-seconds="1[78]\d\d"', page.text)
    assert "Add the receipt" in page.text


@pytest.mark.proves("ASVS 17")
def test_completed_shows_the_amounts_and_the_exact_way_back(customer: Customer) -> None:
    customer.drive(confirm_payin, 1400_00, actor=SYSTEM)
    customer.drive(agree_to_amount, 1400_00, actor=CUSTOMER)
    page = customer.get()
    assert "RUB\u00a01,400.00" in page.text
    assert "RUB\u00a01,500.00" in page.text
    assert 'href="https://shop.example/back?order=1"' in page.text
    assert "data-final" in page.text


def test_expired_says_what_to_do_if_the_money_was_sent(customer: Customer) -> None:
    customer.run_out()
    page = customer.get()
    assert "The time to pay is over" in page.text
    assert f"/pay/{customer.token}/problem/paid_late" in page.text


def test_a_dispute_says_where_it_stands(customer: Customer) -> None:
    customer.drive(open_dispute, DisputeReason.OTHER, "words", None, actor=CUSTOMER)
    assert "We are looking into it" in customer.get().text


@pytest.mark.parametrize("reason", ["declined", "nobody_free"])
def test_a_refusal_by_risk_reads_like_any_other_failure(scene: Scene, app: Flask, reason: str) -> None:
    customer = Customer(app.test_client(), scene.payin())
    customer.run_out()
    with transaction():
        hot(
            "UPDATE orders SET status_reason = %(r)s WHERE id = %(id)s",
            {"id": customer.order.id, "r": reason},
        )
    page = customer.get().text
    assert "Nobody could take it." in page
    assert reason not in page


def test_a_review_is_neither_shown_nor_told(
    customer: Customer, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        session = get_payment_session(customer.token)
    order = copy(session.order)
    order.status = "review"
    with app.test_request_context(f"/pay/{customer.token}"):
        shown = render_session(replace(session, order=order, number=None), customer.token)
    html = shown.get_data(as_text=True)
    assert "Preparing your payment" in html
    assert not re.search("suspicio|risk|fraud|compliance", html, re.IGNORECASE)
    monkeypatch.setattr(page_routes, "get_session_status", lambda _token: SessionStatus(1, "review", 30))
    assert customer.get("/status").json["status"] == "matching"


@pytest.mark.parametrize("end", ["completed", "cancelled", "expired", "disputed"])
def test_the_full_number_leaves_the_page_with_the_end(customer: Customer, end: str) -> None:
    number = number_of(customer)
    if end == "completed":
        customer.drive(confirm_payin, None, actor=SYSTEM)
    elif end == "cancelled":
        customer.drive(cancel_order, None, actor=CUSTOMER)
    elif end == "expired":
        customer.run_out()
    else:
        customer.drive(open_dispute, DisputeReason.OTHER, None, None, actor=CUSTOMER)
    page = customer.get()
    assert customer.now().status == end
    assert number not in page.text
    assert groups(number) not in page.text


def test_showing_the_number_is_noted_once_and_not_for_a_look_at_the_headers(customer: Customer) -> None:
    customer.client.head(f"/pay/{customer.token}")
    assert "requisite_shown" not in customer.events()
    customer.get()
    customer.get()
    assert customer.events().count("requisite_shown") == 1


@pytest.mark.parametrize("token", ["x", "a" * 26, "A" * 26, "..", "a" * 300])
def test_an_unknown_token_is_404(app: Flask, scene: Scene, token: str) -> None:
    page = app.test_client().get(f"/pay/{token}")
    assert page.status_code == 404


def test_the_order_id_and_a_payouts_token_open_nothing(scene: Scene, customer: Customer, app: Flask) -> None:
    scene.fund_store()
    payout = Customer(app.test_client(), scene.payout())
    assert payout.get().status_code == 404
    assert app.test_client().get(f"/pay/{public_id('ord', customer.order.id)}").status_code == 404


@pytest.mark.proves("ASVS 8", "attack 67")
def test_guessing_tokens_is_slowed_down(app: Flask, scene: Scene, customer: Customer) -> None:
    client = app.test_client()
    codes = [client.get(f"/pay/{'b' * 26}").status_code for _ in range(70)]
    assert codes[0] == 404
    assert codes[-1] == 429


@pytest.mark.proves("tried S10")
def test_who_guesses_tokens_keeps_nobody_from_their_payment(app: Flask, customer: Customer) -> None:
    client = app.test_client()
    codes = [client.get(f"/pay/{'c' * 26}").status_code for _ in range(70)]
    assert codes == [404] * 60 + [429] * 10
    assert customer.get().status_code == customer.get("/status").status_code == 200


def test_a_network_that_looks_too_often_waits_a_minute(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = config.get
    monkeypatch.setattr(
        config,
        "get",
        lambda setting: 3 if setting is config.WEB_PUBLIC_REQUESTS_PER_MINUTE else real(setting),
    )
    answers = [customer.get() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


@pytest.mark.proves("ASVS 14")
def test_the_headers_frame_only_for_the_stores_own_origins(customer: Customer) -> None:
    headers = customer.get().headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("frame-ancestors https://shop.example")
    assert "unsafe" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Permissions-Policy" in headers


@pytest.mark.proves("ASVS 14")
def test_a_store_without_origins_is_framed_by_nobody(customer: Customer, scene: Scene) -> None:
    set_store(scene, return_origins="{}")
    headers = customer.get().headers
    assert headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")
    assert headers["X-Frame-Options"] == "DENY"


def test_an_origin_cannot_widen_the_policy(customer: Customer, scene: Scene) -> None:
    set_store(scene, return_origins="{https://*,'https://a.example; script-src *',https://ok.example}")
    policy = customer.get().headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors https://ok.example")


def test_there_is_no_inline_script_style_or_handler(customer: Customer) -> None:
    page = customer.get().text
    assert not re.search(r"<style|style=|\son[a-z]+=|<script(?! src=)", page)


def test_names_of_other_people_are_text(customer: Customer, scene: Scene) -> None:
    set_store(
        scene, name="\"><img src=x onerror=alert(1)> O'Brien & Co", support_contact="javascript:alert(1)"
    )
    page = customer.get().text
    assert "<img src=x" not in page
    assert "O&#39;Brien &amp; Co" in page
    assert 'href="javascript' not in page


def test_the_status_is_tiny_and_304_while_nothing_changed(customer: Customer) -> None:
    first = customer.get("/status")
    assert set(first.json) == {"version", "status", "seconds_left"}
    assert first.json["status"] == "awaiting_payment"
    assert 850 < first.json["seconds_left"] <= 900
    same = customer.get("/status", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    customer.drive(claim_payin, None, actor=CUSTOMER)
    changed = customer.get("/status", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.json["status"] == "awaiting_confirmation"


def test_the_time_left_is_none_without_a_deadline(customer: Customer) -> None:
    customer.drive(confirm_payin, None, actor=SYSTEM)
    assert customer.get("/status").json["seconds_left"] is None


def test_the_stores_colour_is_a_style_sheet_with_readable_text(customer: Customer, scene: Scene) -> None:
    set_store(scene, accent_colour="#ffee00")
    page = customer.get().text
    address = re.search(r'href="(/pay/theme/[^"]+)"', page)
    assert address is not None
    sheet = customer.client.get(address[1])
    assert sheet.headers["Content-Type"].startswith("text/css")
    assert sheet.text == ":root{--accent:#ffee00;--on-accent:#000000}\n"
    assert customer.client.get("/pay/theme/st_00000000000000000000000000.css").status_code == 404


@pytest.mark.proves("ASVS 9")
def test_the_logo_is_served_as_a_picture_only(customer: Customer, scene: Scene) -> None:
    assert "/pay/logo/" not in customer.get().text
    set_store(scene, logo_key=get_files().put(b"<svg onload=alert(1)>"))
    address = re.search(r'src="(/pay/logo/[^"]+)"', customer.get().text)
    assert address is not None
    assert customer.client.get(address[1]).status_code == 404
    output = BytesIO()
    Image.new("RGB", (4, 4)).save(output, "PNG")
    set_store(scene, logo_key=get_files().put(output.getvalue()))
    assert customer.client.get(address[1]).headers["Content-Type"] == "image/png"


def test_the_first_view_is_under_50_kb_all_told(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    page = customer.get()
    addresses = set(re.findall(r'(?:href|src)="(/(?:static|pay/theme)/[^"#]+)', page.text))
    parts = [page.data, *(customer.client.get(address).data for address in addresses)]
    assert len(addresses) == 4  # css, theme, script, icons
    assert sum(map(len, parts)) < 50_000
    assert sum(len(gzip.compress(part)) for part in parts) < 15_000
    assert (STATIC / "pay/pay.css").stat().st_size < 10_000
    assert (STATIC / "pay/pay.js").stat().st_size < 10_000


@pytest.mark.parametrize("who", ["customer", "undecided"])
def test_a_view_takes_at_most_five_queries(
    who: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor: Customer = request.getfixturevalue(who)
    visitor.get()  # snapshots of stores, reference and settings are loaded
    texts: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        texts.append(str(query))
        return execute(self, query, *args, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    visitor.get()
    assert 1 <= len(texts) <= 5, texts


def test_the_same_template_renders_without_a_request_to_the_database_afterwards(
    customer: Customer, app: Flask
) -> None:
    with transaction():
        session = get_payment_session(customer.token)
    with app.test_request_context(f"/pay/{customer.token}"):
        shown = render_session(replace(session, is_disclosed=True), customer.token)
    assert shown.status_code == 200


def set_store(scene: Scene, **values: str) -> None:
    with transaction():
        for name, value in values.items():
            db.session.execute(
                db.text(f"UPDATE store SET {name} = :value WHERE id = :id"),
                {"value": value, "id": scene.store_id},
            )
        stores.changed()
