"""Until when: a card near midnight says it in as few words as one at noon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from flask import Flask

from portal.web.shell.languages import current_timezone
from portal.web.ui import formats


@pytest.mark.proves("tried U1")
@pytest.mark.parametrize(
    ("ahead", "is_time_alone"),
    [
        (timedelta(minutes=15), True),
        (timedelta(hours=11), True),
        (timedelta(hours=13), False),
        (-timedelta(days=1), False),
    ],
)
def test_a_deadline_beyond_midnight_is_the_time_alone_while_it_is_near(
    app: Flask, monkeypatch: pytest.MonkeyPatch, ahead: timedelta, is_time_alone: bool
) -> None:
    with app.test_request_context():
        late = datetime(2026, 11, 30, 23, 50, tzinfo=current_timezone())

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return late.astimezone(tz or UTC)

        monkeypatch.setattr(formats, "datetime", Clock)
        until = late + ahead
        words = formats.deadline_text(until)
        assert (words == formats.time_text(until)) is is_time_alone
