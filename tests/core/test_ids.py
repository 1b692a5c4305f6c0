"""Identifiers sort by time, are never confused with each other, and can't be guessed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.ids import least_id_at, new_id, parse_public_id, public_id


@given(st.uuids())
def test_a_public_id_leads_back_to_its_uuid(value: uuid.UUID) -> None:
    assert parse_public_id("ord", public_id("ord", value)) == value


def test_ids_are_uuid7_and_sort_by_time_inside_and_outside() -> None:
    ids = [new_id() for _ in range(3)]
    later = uuid.UUID(int=(ids[-1].int >> 80) + 1 << 80)
    assert all(one.version == 7 and one.variant == uuid.RFC_4122 for one in ids)
    assert all(one < later and public_id("ord", one) < public_id("ord", later) for one in ids)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ord_",
        "ord_zz",
        "ORD_" + "0" * 26,
        "st_" + "0" * 26,
        "ord_" + "8" + "0" * 25,
        "ord_" + "0" * 26 + "\n",
    ],
)
def test_what_is_no_order_id_is_none(text: str) -> None:
    assert parse_public_id("ord", text) is None


def test_the_least_id_of_a_moment_is_before_every_id_made_since() -> None:
    now = datetime.now(UTC)
    least, next_minute = least_id_at(now), least_id_at(now, 60)
    assert least is not None
    assert next_minute is not None
    assert least < new_id() < next_minute
    assert least_id_at(None) is None
    assert least_id_at(datetime(1960, 1, 1, tzinfo=UTC)) == uuid.UUID(int=0)
