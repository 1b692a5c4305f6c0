"""Bad input, by the rows of the attack matrix (11.A of the reliability notes): refused, and nothing changed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from portal.api.strict_json import MAX_BODY_BYTES, MAX_DEPTH, MalformedJson, parse_json
from tests.api.conftest import PAYIN, Shop, code_of, field_codes


def raw(shop: Shop, text: str | bytes, **headers: str) -> Any:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.call("POST", "/api/v1/orders", raw=text, headers={"Idempotency-Key": "k-1"} | headers)


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "1e400", "inf"])
def test_row_1_an_amount_that_is_no_number_is_refused(shop: Shop, amount: str) -> None:
    before = shop.state()
    assert field_codes(shop.create(amount=amount)) == {"amount": "malformed"}
    assert shop.state() == before


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_row_1_json_constants_are_no_json(shop: Shop, constant: str) -> None:
    answer = raw(shop, f'{{"direction":"payin","currency":"RUB","amount":{constant}}}')
    assert (answer.status_code, code_of(answer)) == (400, "malformed_json")


def test_row_1_a_number_beyond_every_float_is_refused_as_a_number(shop: Shop) -> None:
    answer = raw(shop, '{"direction":"payin","currency":"RUB","amount":1e400}')
    assert field_codes(answer) == {"amount": "not_a_string"}


@pytest.mark.parametrize(
    ("amount", "code"),
    [(-1, "not_a_string"), (0, "not_a_string"), ("0", "not_positive"), ("-0", "malformed"), ("+5", "malformed"),
     ("0.00", "not_positive"), ("-1.00", "malformed")],
)  # fmt: skip
def test_row_2_nothing_and_less_than_nothing_is_refused(shop: Shop, amount: object, code: str) -> None:
    before = shop.state()
    assert field_codes(shop.create(amount=amount)) == {"amount": code}
    assert shop.state() == before


@pytest.mark.parametrize("amount", ["0.001", "1500.239", "1500.000"])
def test_row_3_more_decimals_than_the_currency_has_are_never_rounded(shop: Shop, amount: str) -> None:
    assert field_codes(shop.create(amount=amount)) == {"amount": "too_many_decimals"}


@pytest.mark.parametrize(
    "amount",
    [
        "1e3",
        "1_000",
        " 100 ",
        "١٠٠",
        "１００",
        "²",
        "100\n",
        "1,00",
        "0x10",
        "010",
        "",
        ".5",
        "5.",
        "1.0.0",
        "𝟙𝟘𝟘",
    ],
)
def test_row_4_what_python_would_read_as_a_number_is_not_an_amount(shop: Shop, amount: str) -> None:
    code = "malformed" if amount.isprintable() else "invalid_character"
    assert field_codes(shop.create(amount=amount)) == {"amount": code}


@pytest.mark.parametrize("number", ["100.000000000000001", "0.30000000000000004", "1500.0"])
def test_row_5_a_float_is_not_an_amount(shop: Shop, number: str) -> None:
    answer = raw(shop, f'{{"direction":"payin","currency":"RUB","amount":{number}}}')
    assert field_codes(answer) == {"amount": "not_a_string"}


@pytest.mark.parametrize("amount", ["9" * 5000, "9223372036854775808", "10000000000000.01"])
def test_row_6_a_huge_amount_is_refused_at_once(shop: Shop, amount: str) -> None:
    started = time.perf_counter()
    assert set(field_codes(shop.create(amount=amount)).values()) <= {"too_long", "too_large", "malformed"}
    assert time.perf_counter() - started < 1


def test_row_6_an_integer_of_5000_digits_is_not_parsed(shop: Shop) -> None:
    answer = raw(shop, b'{"amount":' + b"9" * 5000 + b"}")
    assert (answer.status_code, code_of(answer)) == (400, "malformed_json")


@pytest.mark.proves("ASVS 39")
@pytest.mark.parametrize("amount", [True, [100], {"$gt": 0}, None])
def test_row_7_another_type_is_not_an_amount(shop: Shop, amount: object) -> None:
    before = shop.state()
    assert set(field_codes(shop.create(amount=amount)).values()) == {"not_a_string"}
    assert shop.state() == before


def test_row_8_a_field_that_is_named_twice_is_refused(shop: Shop) -> None:
    before = shop.state()
    answer = raw(shop, '{"direction":"payin","currency":"RUB","amount":"100.00","amount":"1.00"}')
    assert (answer.status_code, code_of(answer)) == (400, "duplicate_key")
    assert shop.state() == before


def test_row_8_also_within_an_object(shop: Shop) -> None:
    assert code_of(raw(shop, '{"metadata":{"a":"1","\\u0061":"2"}}')) == "duplicate_key"


def test_row_9_deep_nesting_is_refused_and_the_worker_lives(shop: Shop) -> None:
    deep = b"[" * 30_000 + b"]" * 30_000
    assert code_of(raw(shop, deep)) == "too_deep"
    assert shop.get("/api/v1/balances").status_code == 200


def test_row_9_a_level_too_many_is_refused_and_the_last_good_one_is_not() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    with pytest.raises(MalformedJson):
        parse_json(b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2))


def test_row_9_a_body_over_the_limit_is_413(shop: Shop) -> None:
    answer = raw(shop, b'"' + b"a" * MAX_BODY_BYTES + b'"')
    assert (answer.status_code, code_of(answer)) == (413, "payload_too_large")


def test_row_9_twenty_megabytes_are_413(shop: Shop) -> None:
    assert raw(shop, b"a" * 20_000_000).status_code == 413


@pytest.mark.parametrize(
    "body",
    [b'{"description":"\xff"}', b'{"description":"\xed\xa0\x80"}', b'{"description":"\\ud800"}',
     b'{"description":"a\\u0000b"}', b'\xef\xbb\xbf{"description":"a"}', b'{"\\udfff":"a"}', b'{"description":"a\x00"}',
     b'{"metadata":{"a":"\\ud800x"}}', b"", b"{", b'{"a":1,}', b"{'a':1}", b'{"a":1} x', b"\x00"],
)  # fmt: skip
def test_row_10_what_is_not_text_is_400(shop: Shop, body: bytes) -> None:
    before = shop.state()
    answer = raw(shop, body)
    assert answer.status_code == 400, answer.data
    assert code_of(answer) in {"malformed_json", "invalid_character"}
    assert shop.state() == before


def test_row_10_a_whole_surrogate_pair_is_text() -> None:
    assert parse_json(b'{"a":"\\ud83d\\ude00"}') == {"a": "😀"}


@pytest.mark.proves("ASVS 1")
@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-7",
     "application/json; charset=utf-16", "multipart/form-data", "application/jsonp"],
)  # fmt: skip
def test_row_11_another_content_type_is_415(shop: Shop, content_type: str) -> None:
    answer = raw(shop, b'{"amount":"1.00"}', Content_Type=content_type)
    assert (answer.status_code, code_of(answer)) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
def test_row_11_the_same_said_otherwise_is_json(shop: Shop, content_type: str) -> None:
    assert raw(shop, b"{}", Content_Type=content_type).status_code == 422


def test_row_11_a_compressed_body_is_415(shop: Shop) -> None:
    assert raw(shop, b"{}", Content_Encoding="gzip").status_code == 415


@pytest.mark.proves("ASVS 1", "ASVS 39")
@pytest.mark.parametrize(
    "field",
    [
        "status",
        "merchant_id",
        "store_id",
        "fee",
        "is_admin",
        "balance",
        "mode",
        "id",
        "trader_id",
        "__proto__",
    ],
)
def test_row_12_a_field_nobody_asked_for_is_refused(shop: Shop, field: str) -> None:
    before = shop.state()
    assert field_codes(shop.create(**{field: "x"})) == {field: "unknown_field"}
    assert shop.state() == before


def test_row_12_also_inside_an_object(shop: Shop) -> None:
    answer = shop.create(customer={"id": "c", "is_vip": True})
    assert field_codes(answer) == {"customer.is_vip": "unknown_field"}


@pytest.mark.parametrize(
    ("currency", "code"), [("rub", "malformed"), ("XXX", "unknown"), ("USDT", "unknown"), ("R", "malformed")]
)
def test_row_13_a_currency_that_is_not_there_is_named(shop: Shop, currency: str, code: str) -> None:
    assert field_codes(shop.create(currency=currency)) == {"currency": code}


@pytest.mark.proves("ASVS 2")
@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [({"method": "sepa"}, "method", "unknown"), ({"method": "card", "bank": "kaspi"}, "bank", "unknown"),
     ({"method": None, "bank": "sber"}, "method", "required"), ({"amount": "1.00"}, "amount", "too_small"),
     ({"amount": "9999999999.00"}, "amount", "too_large")],
)  # fmt: skip
def test_row_13_method_bank_and_amount_fit_the_currency(
    shop: Shop, changes: dict[str, Any], field: str, code: str
) -> None:
    before = shop.state()
    assert field_codes(shop.create(**changes)) == {field: code}
    assert shop.state() == before


@pytest.mark.parametrize("field", ["rate", "fee", "commission", "settlement", "rate_source"])
def test_row_14_nobody_brings_their_own_rate(shop: Shop, field: str) -> None:
    assert field_codes(shop.create(**{field: "1.00"})) == {field: "unknown_field"}


@pytest.mark.proves("ASVS 39")
def test_row_15_a_parameter_twice_is_400(shop: Shop) -> None:
    answer = shop.get("/api/v1/orders?status=matching&status=completed")
    assert (answer.status_code, code_of(answer)) == (400, "duplicate_parameter")


@pytest.mark.parametrize("query", ["sort=password_hash", "fields=secret", "store_id=st_1", "limit[]=1"])
def test_row_15_a_parameter_nobody_knows_is_400(shop: Shop, query: str) -> None:
    answer = shop.get(f"/api/v1/orders?{query}")
    assert (answer.status_code, code_of(answer)) == (400, "unknown_parameter")


def test_row_15_a_body_has_one_source(shop: Shop) -> None:
    before = shop.state()
    answer = shop.post("/api/v1/orders?amount=1.00", PAYIN)
    assert (answer.status_code, code_of(answer)) == (400, "unknown_parameter")
    assert shop.state() == before


@pytest.mark.parametrize(
    "metadata",
    [{"a": "x" * 5000}, {f"k{n}": "v" for n in range(51)}, {"a": {"b": "c"}}, {"a": 1}, {"a": None}, {"": "x"},
     {"k" * 65: "v"}, ["a"], "a", {"a": ["b"]}],
)  # fmt: skip
def test_row_20_metadata_has_bounds(shop: Shop, metadata: object) -> None:
    before = shop.state()
    assert shop.create(metadata=metadata).status_code == 422
    assert shop.state() == before


def test_row_20_metadata_comes_back_as_it_was(shop: Shop) -> None:
    metadata = {"html": "<b>&amp;</b>", "formula": '=HYPERLINK("x")', "name": "Ёлка 😀"}
    assert shop.order(metadata=metadata)["metadata"] == metadata


@pytest.mark.parametrize("name", ["a\u202eb", "a\u0007b", "a\nb", "\u2066a", "a\u200bb"])
def test_names_hold_no_characters_that_hide_or_reorder(shop: Shop, name: str) -> None:
    assert field_codes(shop.create(customer={"name": name})) == {"customer.name": "invalid_character"}


@pytest.mark.parametrize("body", [[], "a", 1, True, None])
def test_a_body_is_an_object(shop: Shop, body: object) -> None:
    assert field_codes(
        shop.post("/api/v1/orders", raw="null", idem="k")
        if body is None
        else shop.post("/api/v1/orders", body)
    ) == {"": "not_an_object"}


def test_every_problem_of_a_body_is_named_at_once(shop: Shop) -> None:
    answer = shop.post("/api/v1/orders", {"direction": "sideways", "amount": 5, "extra": 1})
    assert field_codes(answer) == {
        "direction": "not_allowed", "amount": "not_a_string", "currency": "required", "extra": "unknown_field",
    }  # fmt: skip


@pytest.mark.proves("tried S18")
def test_a_payin_with_a_method_is_within_the_bounds_of_that_method(shop: Shop) -> None:
    before = shop.state()
    for amount, code in (("0.01", "too_small"), ("99.99", "too_small"), ("700000.00", "too_large")):
        assert field_codes(shop.create(method="card", amount=amount)) == {"amount": code}
    assert shop.state() == before
    assert shop.create(method="card", amount="100.00").status_code == 201


@pytest.mark.proves("tried S18")
def test_a_payin_whose_method_is_open_is_within_the_bounds_of_its_currency(shop: Shop) -> None:
    before = shop.state()
    for amount, code in (("0.01", "too_small"), ("99.99", "too_small"), ("3000000.01", "too_large")):
        assert field_codes(shop.create(method=None, amount=amount)) == {"amount": code}
    assert field_codes(shop.create(method=None, amount="9999999999999.00"))["amount"] == "too_large"
    assert shop.state() == before
    # Too much for a card, but not for a transfer to an account.
    order = shop.order(method=None, amount="700000.00")
    chosen = shop.post(f"/api/v1/orders/{order['id']}/method", {"method": "card"})
    assert field_codes(chosen) == {"amount": "too_large"}


@pytest.mark.parametrize("ip", ["fe80::1%eth0", "fe80::1%1", "::1%", "1.2.3.4%1", "1.2.3.4/32", "127.1", ""])
def test_an_address_with_a_zone_is_refused_as_no_address(shop: Shop, ip: str) -> None:
    before = shop.state()
    assert field_codes(shop.create(customer={"id": "c", "ip": ip})) == {"customer.ip": "malformed"}
    assert shop.state() == before
    assert shop.create(customer={"id": "c", "ip": "2001:DB8::1"}).status_code == 201
