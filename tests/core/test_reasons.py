"""Why somebody did something: one rule for every way in, the console too."""

from __future__ import annotations

import pytest

from portal.core.errors import ValidationFailed
from portal.core.text_rules import LONGEST_REASON, name_of, reason_of


def test_a_reason_is_kept_on_one_line() -> None:
    assert reason_of("  the statement\n says\tso ") == "the statement says so"
    assert reason_of("a" * LONGEST_REASON) == "a" * LONGEST_REASON


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "required"), ("", "required"), (" \n\u3000", "required"), ("\0", "required"),
        ("so\u202eit is", "hidden_text"), ("a\u200bb", "hidden_text"), ("a" * (LONGEST_REASON + 1), "too_long"),
    ],
)  # fmt: skip
def test_what_says_nothing_hides_or_has_no_end_is_no_reason(text: str | None, code: str) -> None:
    """Nothing of it is cut away in silence: whoever reads it later reads what was written."""
    with pytest.raises(ValidationFailed) as refused:
        reason_of(text)
    assert [(one.field, one.code) for one in refused.value.errors] == [("reason", code)]


def test_where_a_few_letters_say_nothing_more_are_asked_for() -> None:
    with pytest.raises(ValidationFailed):
        reason_of("why", least=5)
    assert reason_of("whole", least=5) == "whole"


def test_a_name_is_one_line_that_can_be_seen() -> None:
    assert name_of(" Lena's \u00a0 team\0\n", most=80) == "Lena's team"
    assert name_of("x" * 80, most=80) == "x" * 80
    for text in ("", " \u00a0", "\0", "x" * 81, "a\u202eb", "a\u200bb"):
        with pytest.raises(ValidationFailed) as refused:
            name_of(text, most=80, code="malformed_name")
        assert [(error.field, error.code) for error in refused.value.errors] == [("name", "malformed_name")]
