"""Cursors: what a list gave comes back as it was, and nothing else does."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from portal.core import cursors
from portal.core.cursors import BadCursor

KEY = uuid.UUID("018f0000-0000-7000-8000-000000000001")
MOMENT = datetime(2026, 11, 30, 9, 30, 15, 120_000, tzinfo=UTC)


def packed(values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "position", [cursors.position_of(KEY), cursors.position_of(MOMENT, 7), ("я ord_", str(KEY))]
)
def test_a_position_comes_back_as_it_was_given(position: cursors.Position) -> None:
    assert cursors.decode(cursors.encode(position)) == position


def test_a_position_is_read_as_what_it_is_made_of() -> None:
    assert cursors.id_in(cursors.position_of(KEY)) == KEY
    assert cursors.number_in(cursors.position_of(41)) == 41
    assert cursors.moment_and_number_in(cursors.position_of(MOMENT, 41)) == (MOMENT, 41)
    assert cursors.value_and_id_in(cursors.position_of("acme", KEY)) == ("acme", KEY)
    firsts = (cursors.id_in, cursors.number_in, cursors.moment_and_number_in, cursors.value_and_id_in)
    assert [first(None) for first in firsts] == [None] * 4


def test_cursors_that_were_given_before_are_read_today() -> None:
    """Shops keep them, and pages stay open over a release."""
    assert cursors.encode_id(KEY) == "AY8AAAAAcACAAAAAAAAAAQ"
    assert cursors.decode_id("AY8AAAAAcACAAAAAAAAAAQ") == KEY
    assert cursors.encode_number(41) == "AAAAAAAAACk"
    assert cursors.decode_number("AAAAAAAAACk") == 41
    assert cursors.encode(("acme", "7")) == "WyJhY21lIiwgIjciXQ"
    assert cursors.decode("WyJhY21lIiwgIjciXQ") == ("acme", "7")


@pytest.mark.parametrize(
    "text",
    ["", "x", "!", "é", "\0", "W10", "eyJhIjoxfQ", packed([1]), packed("a"), packed([["a"]]), packed([None]),
     packed(["a"])[:-1], base64.urlsafe_b64encode(b"[" * 100_000).decode(), base64.urlsafe_b64encode(b"\xff").decode()],
)  # fmt: skip
def test_what_no_list_gave_is_a_bad_cursor(text: str) -> None:
    with pytest.raises(BadCursor):
        cursors.decode(text)


@pytest.mark.parametrize("text", ["", "x", "AAAA", "a" * 64, "!!!!!!!!!!!!!!!!!!!!!!", "ééé", "\0"])
def test_what_is_no_id_or_number_is_a_bad_cursor(text: str) -> None:
    for decode in (cursors.decode_id, cursors.decode_number):
        with pytest.raises(BadCursor):
            decode(text)


@pytest.mark.parametrize(
    ("read", "position"),
    [
        (cursors.id_in, ("x",)), (cursors.id_in, (str(KEY), "1")), (cursors.id_in, ()),
        (cursors.number_in, ("-1",)), (cursors.number_in, ("²",)), (cursors.number_in, ("٣",)),
        (cursors.number_in, ("1_0",)), (cursors.number_in, (str(2**62),)), (cursors.number_in, ("9" * 5000,)),
        (cursors.moment_and_number_in, ("2026-11-30T09:30:15", "1")),
        (cursors.moment_and_number_in, ("0001-01-01T00:00:00+23:59", "1")),
        (cursors.moment_and_number_in, ("yesterday", "1")), (cursors.moment_and_number_in, (str(MOMENT),)),
        (cursors.value_and_id_in, ("acme", "x")), (cursors.value_and_id_in, ("acme",)),
    ],
)  # fmt: skip
def test_a_position_of_another_list_is_a_bad_cursor(
    read: Callable[[cursors.Position], object], position: cursors.Position
) -> None:
    with pytest.raises(BadCursor):
        read(position)


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("text", "Я's 100%", "Я's 100%"), ("bigint", "0", "0"), ("uuid", str(KEY).upper(), str(KEY)),
        ("timestamptz", "-infinity", "-infinity"),
        ("timestamptz", "2026-11-30 12:30:15.12+03", "2026-11-30T09:30:15.120000+00:00"),
    ],
)  # fmt: skip
def test_a_sorted_value_is_as_the_database_takes_it(kind: str, value: str, read: str) -> None:
    assert cursors.value_as(kind, value) == read


@pytest.mark.parametrize(
    ("kind", "value"),
    [("text", "a\0"), ("text", "\ud800"), ("bigint", "-1"), ("bigint", "1.5"), ("uuid", "7"),
     ("timestamptz", "infinity"), ("timestamptz", "2026-W01-1"), ("timestamptz", "now")],
)  # fmt: skip
def test_a_value_that_the_sort_does_not_sort_by_is_a_bad_cursor(kind: str, value: str) -> None:
    with pytest.raises(BadCursor):
        cursors.value_as(kind, value)
