"""A requisite's number is kept one way, and a slip of the finger is caught where the number can show it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban as stdnum_iban
from stdnum import luhn

from portal.core.errors import ValidationFailed
from portal.reference.models import RequisiteKind
from portal.reference.requisite_numbers import grouped, masked, normalise

CARDS = st.builds(
    lambda first, rest: (body := f"{first}{rest}") + luhn.calc_check_digit(body),
    st.sampled_from("2456"),
    st.text("0123456789", min_size=11, max_size=17),
)
GERMAN_IBANS = st.text("0123456789", min_size=18, max_size=18).map(
    lambda bban: stdnum_iban.calc_check_digits(f"DE00{bban}").join(("DE", bban))
)
RUSSIAN_MOBILES = st.integers(min_value=9000000000, max_value=9099999999).map(lambda n: f"+7{n}")


def problem_of(kind: str, text: str, currency: str) -> str:
    with pytest.raises(ValidationFailed) as refused:
        normalise(kind, text, currency)
    assert [problem.field for problem in refused.value.errors] == ["number"]
    return refused.value.errors[0].code


@given(CARDS, st.sampled_from(["", " ", "-", "\u00a0", "  "]))
def test_a_card_written_in_groups_is_the_same_card(number: str, blank: str) -> None:
    written = blank.join(number[start : start + 4] for start in range(0, len(number), 4))
    read = normalise("card", f" {written} ", "RUB")
    assert read.number == number
    assert read.last4 == number[-4:]
    assert grouped("card", read.number).replace(" ", "") == number


@given(CARDS, st.data())
def test_one_mistyped_digit_of_a_card_is_always_caught(number: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != number[place]))
    assert problem_of("card", number[:place] + other + number[place + 1 :], "RUB") == "wrong_checksum"


@given(CARDS)
def test_a_masked_card_shows_eight_digits_at_most(number: str) -> None:
    shown = masked("card", number)
    assert sum(char.isdigit() for char in shown) == 8
    assert number not in shown.replace(" ", "")


@given(GERMAN_IBANS, st.data())
def test_one_mistyped_character_of_an_iban_is_always_caught(number: str, data: st.DataObject) -> None:
    assert normalise("iban", grouped("iban", number).lower(), "EUR").number == number
    place = data.draw(st.integers(4, len(number) - 1))
    other = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != number[place]))
    assert problem_of("iban", number[:place] + other + number[place + 1 :], "EUR") == "wrong_checksum"


@given(RUSSIAN_MOBILES)
def test_a_russian_phone_written_in_any_habit_is_the_same_phone(number: str) -> None:
    local = number[2:]
    try:
        read = normalise("phone", number, "RUB")
    except ValidationFailed:
        return  # a range that the numbering plan has not given out
    habits = (f"8{local}", f"8 ({local[:3]}) {local[3:6]}-{local[6:8]}-{local[8:]}", local, f"+7 {local}")
    assert {normalise("phone", text, "RUB").number for text in habits} == {read.number} == {number}
    assert grouped("phone", number).replace(" ", "").replace("-", "") == number


@given(
    st.sampled_from(list(RequisiteKind)),
    st.text(max_size=400),
    st.sampled_from(["RUB", "KZT", "UZS", "EUR", "INR"]),
)
def test_any_text_is_read_or_refused_with_a_field_problem(
    kind: RequisiteKind, text: str, currency: str
) -> None:
    try:
        read = normalise(kind, text, currency)
    except ValidationFailed:
        return
    assert normalise(kind, read.number, currency) == read, "the canonical form is its own canonical form"
    assert read.number.isascii()


@pytest.mark.parametrize(
    ("kind", "text", "currency", "number", "shown"),
    [
        ("card", "4276 3800 1234 5679", "RUB", "4276380012345679", "4276 3800 1234 5679"),
        ("card", "８６００ 0000 0000 0007", "UZS", "8600000000000007", "8600 0000 0000 0007"),
        ("phone", "8 (903) 123-45-67", "RUB", "+79031234567", "+7 903 123-45-67"),
        ("phone", "+7 701 123 45 67", "KZT", "+77011234567", "+7 701 123 4567"),
        ("phone", "90 123 45 67", "UZS", "+998901234567", "+998 90 123 45 67"),
        (
            "iban",
            "de89 3704 0044 0532 0130 00",
            "EUR",
            "DE89370400440532013000",
            "DE89 3704 0044 0532 0130 00",
        ),
        ("iban", "KZ86 125K ZT50 0410 0100", "KZT", "KZ86125KZT5004100100", "KZ86 125K ZT50 0410 0100"),
        ("upi", " Ravi.K@okHDFCbank ", "INR", "ravi.k@okhdfcbank", "ravi.k@okhdfcbank"),
        ("account", "40817 810 0 9991 0004312", "RUB", "40817810099910004312", "40817 810 0 9991 0004312"),
        (
            "account",
            "50100123456789, hdfc0001234",
            "INR",
            "HDFC0001234/50100123456789",
            "HDFC0001234 / 50100123456789",
        ),
    ],
)
def test_a_number_is_kept_one_way_and_shown_in_groups(
    kind: str, text: str, currency: str, number: str, shown: str
) -> None:
    assert normalise(kind, text, currency).number == number
    assert grouped(kind, number) == shown


@pytest.mark.parametrize(
    ("kind", "text", "currency", "code"),
    [
        ("card", "4276 3800 1234 5678", "RUB", "wrong_checksum"),
        ("card", "0000 0000 0000 0000", "RUB", "wrong_checksum"),
        ("card", "4276", "RUB", "wrong_length"),
        ("card", "4276 3800 1234 567x", "RUB", "malformed"),
        ("card", "4276 3800 1234 5679", "UZS", "unknown_prefix"),
        ("phone", "+7 701 123 45 67", "RUB", "wrong_country"),
        ("phone", "+7 495 123 45 67", "RUB", "malformed"),
        ("phone", "903 123", "RUB", "malformed"),
        ("phone", "030 123456", "EUR", "malformed"),
        ("iban", "DE89 3704 0044 0532 0130 01", "EUR", "wrong_checksum"),
        ("iban", "DE89 3704 0044 0532 0130", "EUR", "wrong_checksum"),
        ("iban", "KZ86 125K ZT50 0410 0100", "EUR", "wrong_country"),
        ("iban", "DE89 3704 0044 0532 0130 00", "KZT", "wrong_country"),
        ("upi", "ravi@example.com", "INR", "malformed"),
        ("upi", "ravi@okhdfcbank", "RUB", "wrong_country"),
        ("account", "40817 840 0 9991 0004312", "RUB", "wrong_country"),
        ("account", "4081781009991000431", "RUB", "wrong_length"),
        ("account", "50100123456789", "INR", "malformed"),
        ("account", "HDFC0001234 501", "INR", "wrong_length"),
        ("card", "4" * 400, "RUB", "too_long"),
    ],
)
def test_a_wrong_number_is_refused_by_what_is_wrong_with_it(
    kind: str, text: str, currency: str, code: str
) -> None:
    assert problem_of(kind, text, currency) == code


def test_a_russian_account_must_fit_its_bic() -> None:
    """The check digit of the account is the ninth; exactly one of ten fits the bank."""
    bic = "044525225"
    accounts = [f"40817810{digit}99910004312" for digit in range(10)]
    fitting = [account for account in accounts if _is_read(f"{bic} {account}")]
    assert len(fitting) == 1
    wrong = next(account for account in accounts if account not in fitting)
    assert problem_of("account", f"{bic} {wrong}", "RUB") == "wrong_checksum"
    assert normalise("account", f"{fitting[0]} {bic}", "RUB").number == f"{bic}/{fitting[0]}"


def _is_read(text: str) -> bool:
    try:
        normalise("account", text, "RUB")
    except ValidationFailed:
        return False
    return True
