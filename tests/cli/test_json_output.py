"""What commands print for programs can be read by any of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pytest

from portal.cli.json_output import echo_json


class State(StrEnum):
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Line:
    id: uuid.UUID
    at: datetime
    state: State


def test_moments_are_rfc_3339_in_utc_and_ids_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 3, 29, 4, 30, tzinfo=UTC)
    echo_json({State.DEAD: [Line(uuid.UUID(int=1), at, State.DEAD)]})
    assert capsys.readouterr().out == (
        '{"dead":[{"id":"00000000-0000-0000-0000-000000000001","at":"2026-03-29T04:30:00Z","state":"dead"}]}\n'
    )


def test_what_json_cannot_say_is_not_printed_as_something_else() -> None:
    with pytest.raises(TypeError):
        echo_json({"what": object()})
