"""Numbers of requisites: cards, phones, accounts, IBANs, UPI ids. Read as people write them, kept one way.

A number that passes here can be wrong only by naming somebody else: length, check digits and country fit
the method and the currency.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from stdnum import iban as stdnum_iban
from stdnum import luhn
from stdnum.exceptions import InvalidChecksum, InvalidLength
from stdnum.exceptions import ValidationError as StdnumError

from portal.core.errors import ValidationFailed
from portal.reference.models import RequisiteKind

_REGION = {"RUB": "RU", "KZT": "KZ", "UZS": "UZ", "INR": "IN"}
# Domestic card schemes where nothing else can receive a transfer: Uzcard and Humo.
_CARD_PREFIXES = {"UZS": ("8600", "5614", "6262", "9860")}
# Countries of the SEPA scheme (European Payments Council, EPC409-09).
_SEPA = frozenset(
    {
        *("AD", "AL", "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FO", "FR"),
        *("GB", "GI", "GL", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MC", "MD"),
        *("ME", "MK", "MT", "NL", "NO", "PL", "PT", "RO", "RS", "SE", "SI", "SK", "SM", "VA"),
    }
)
_IBAN_COUNTRIES = {"EUR": _SEPA, "KZT": frozenset({"KZ"})}
_UPI = re.compile(r"[a-z0-9][a-z0-9._-]{1,255}@[a-z][a-z0-9]{1,63}", re.ASCII)
_IFSC = re.compile(r"[A-Z]{4}0[A-Z0-9]{6}", re.ASCII)
_SEPARATORS = re.compile(r"[\s,;/|]+")
_LONGEST = 320


@dataclass(frozen=True, slots=True)
class RequisiteNumber:
    """`number` is the canonical text: equal numbers are equal texts. `masked` is safe to show in lists."""

    number: str
    last4: str
    masked: str


class _WrongNumberError(Exception):
    """Carries a code for programs and a sentence for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def normalise(
    kind: RequisiteKind | str, text: str, currency: str, *, field: str = "number"
) -> RequisiteNumber:
    """Check a number of this kind for this currency and give its canonical form.

    Raises ValidationFailed with one problem for `field`: too_long, malformed, wrong_length, wrong_checksum,
    wrong_country, unknown_prefix.
    """
    kind = RequisiteKind(kind)
    try:
        if len(text) > _LONGEST:
            raise _WrongNumberError("too_long", "This is too long.")
        number = _READERS[kind](unicodedata.normalize("NFKC", text).strip(), currency)
    except _WrongNumberError as wrong:
        raise ValidationFailed.of(field, wrong.code, wrong.message) from None
    return RequisiteNumber(number, _last4(kind, number), masked(kind, number))


def _digits(text: str, separators: str = " -\u00a0\u2011\u2013") -> str:
    return text.translate({ord(char): None for char in separators})


def _read_card(text: str, currency: str) -> str:
    number = _digits(text)
    if not (number.isascii() and number.isdigit()):
        raise _WrongNumberError("malformed", "A card number has digits only.")
    if not 13 <= len(number) <= 19:
        raise _WrongNumberError("wrong_length", "A card number has 13 to 19 digits.")
    prefixes = _CARD_PREFIXES.get(currency)
    if prefixes and (not number.startswith(prefixes) or len(number) != 16):
        raise _WrongNumberError(
            "unknown_prefix",
            "Give an Uzcard or Humo card: 16 digits that begin with 8600, 5614, 6262 or 9860.",
        )
    if not luhn.is_valid(number) or not number.strip("0"):
        raise _WrongNumberError("wrong_checksum", "This is not a card number; look for a mistyped digit.")
    return number


def _read_phone(text: str, currency: str) -> str:
    region = _REGION.get(currency)
    if region is None and not text.startswith("+"):
        raise _WrongNumberError("malformed", "Begin the phone number with + and the country code.")
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise _WrongNumberError("malformed", "This is not a phone number.") from None
    if not phonenumbers.is_valid_number(parsed) or parsed.extension:
        raise _WrongNumberError(
            "malformed", "There is no such phone number; look for a missing or mistyped digit."
        )
    if region and phonenumbers.region_code_for_number(parsed) != region:
        raise _WrongNumberError("wrong_country", f"A phone number for {currency} is of the country {region}.")
    if phonenumbers.number_type(parsed) not in {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}:
        raise _WrongNumberError("malformed", "Money can be sent to a mobile phone only.")
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def _read_iban(text: str, currency: str) -> str:
    compact = _digits(text).upper()
    if not (compact.isascii() and compact.isalnum()):
        raise _WrongNumberError("malformed", "An IBAN has letters and digits only.")
    try:
        number: str = stdnum_iban.validate(compact)
    except InvalidLength:
        raise _WrongNumberError(
            "wrong_length", "This IBAN is too short or too long for its country."
        ) from None
    except InvalidChecksum:
        raise _WrongNumberError(
            "wrong_checksum", "This is not an IBAN; look for a mistyped character."
        ) from None
    except StdnumError:
        raise _WrongNumberError("malformed", "This is not an IBAN.") from None
    countries = _IBAN_COUNTRIES.get(currency)
    if countries is not None and number[:2] not in countries:
        raise _WrongNumberError("wrong_country", f"An IBAN of {number[:2]} cannot receive {currency} here.")
    return number


def _read_upi(text: str, currency: str) -> str:
    if currency != "INR":
        raise _WrongNumberError("wrong_country", "UPI ids receive INR only.")
    number = text.lower()
    if not _UPI.fullmatch(number):
        raise _WrongNumberError("malformed", "A UPI id looks like name@bank.")
    return number


def _read_account(text: str, currency: str) -> str:
    reader = _ACCOUNTS.get(currency, _read_plain_account)
    return reader([part for part in _SEPARATORS.split(text.upper()) if part])


def _read_plain_account(parts: list[str]) -> str:
    number = "".join(parts).replace("-", "")
    if not (number.isascii() and number.isalnum()):
        raise _WrongNumberError("malformed", "An account number has letters and digits only.")
    if not 6 <= len(number) <= 34:
        raise _WrongNumberError("wrong_length", "An account number has 6 to 34 characters.")
    return number


def _read_russian_account(parts: list[str]) -> str:
    """`BIC/account` or the account alone; with the BIC the check digit is checked (CBR 515, 08.09.1997)."""
    joined = "".join(parts).replace("-", "").replace(".", "")
    if not (joined.isascii() and joined.isdigit()):
        raise _WrongNumberError("malformed", "A Russian account number has digits only.")
    if len(joined) not in {20, 29}:
        raise _WrongNumberError(
            "wrong_length", "Give the 20 digits of the account, with the 9 digits of the BIC if you know it."
        )
    bic, account = ("", joined) if len(joined) == 20 else (joined[:9], joined[9:])
    if bic and not bic.startswith("04"):
        account, bic = joined[:20], joined[20:]  # the account came first
    if bic and not bic.startswith("04"):
        raise _WrongNumberError("malformed", "The BIC of a Russian bank begins with 04.")
    if account[5:8] != "810":
        raise _WrongNumberError("wrong_country", "This is not a rouble account: digits 6 to 8 are 810.")
    if bic and not _fits_bic(bic, account):
        raise _WrongNumberError(
            "wrong_checksum", "The account does not fit the BIC; look for a mistyped digit."
        )
    return f"{bic}/{account}" if bic else account


def _fits_bic(bic: str, account: str) -> bool:
    """The weighted sum over the last three digits of the BIC and the account ends in 0.

    Accounts held at the Bank of Russia itself (BIC ending 000 to 002) take "0" and digits 5-6 of the BIC.
    """
    prefix = f"0{bic[4:6]}" if bic[6:] in {"000", "001", "002"} else bic[6:]
    weights = (7, 1, 3)
    digits = f"{prefix}{account}"
    return sum(int(digit) * weights[place % 3] % 10 for place, digit in enumerate(digits)) % 10 == 0


def _read_indian_account(parts: list[str]) -> str:
    """`IFSC/account`, in either order."""
    codes = [part for part in parts if _IFSC.fullmatch(part)]
    rest = "".join(part for part in parts if part not in codes).replace("-", "")
    if len(codes) != 1:
        raise _WrongNumberError("malformed", "Give the IFSC (such as HDFC0001234) and the account number.")
    if not (rest.isascii() and rest.isdigit()):
        raise _WrongNumberError("malformed", "An Indian account number has digits only.")
    if not 9 <= len(rest) <= 18:
        raise _WrongNumberError("wrong_length", "An Indian account number has 9 to 18 digits.")
    return f"{codes[0]}/{rest}"


_ACCOUNTS: dict[str, Callable[[list[str]], str]] = {"RUB": _read_russian_account, "INR": _read_indian_account}
_READERS: dict[RequisiteKind, Callable[[str, str], str]] = {
    RequisiteKind.CARD: _read_card,
    RequisiteKind.PHONE: _read_phone,
    RequisiteKind.ACCOUNT: _read_account,
    RequisiteKind.IBAN: _read_iban,
    RequisiteKind.UPI: _read_upi,
}


def _last4(kind: RequisiteKind, number: str) -> str:
    return (number.partition("@")[0] if kind is RequisiteKind.UPI else number)[-4:]


def masked(kind: RequisiteKind | str, number: str) -> str:
    """A canonical number with its middle hidden; never more than a card's first and last four."""
    kind = RequisiteKind(kind)
    if kind is RequisiteKind.UPI:
        name, _, handle = number.partition("@")
        return f"{name[:1]}•••{name[-1:] if len(name) > 4 else ''}@{handle}"
    if kind is RequisiteKind.CARD:
        return f"{number[:4]} •••• {number[-4:]}"
    if kind is RequisiteKind.IBAN:
        return f"{number[:4]} •••• {number[-4:]}"
    if kind is RequisiteKind.PHONE:
        return f"{number[:2]} ••• {number[-4:]}"
    return f"•••• {number[-4:]}"


def grouped(kind: RequisiteKind | str, number: str) -> str:
    """A canonical number as people read it aloud: in groups, with plain blanks between them."""
    kind = RequisiteKind(kind)
    if kind is RequisiteKind.PHONE:
        return phonenumbers.format_number(phonenumbers.parse(number), PhoneNumberFormat.INTERNATIONAL)
    if kind in {RequisiteKind.CARD, RequisiteKind.IBAN}:
        return " ".join(number[start : start + 4] for start in range(0, len(number), 4))
    if kind is RequisiteKind.ACCOUNT:
        code, _, account = number.rpartition("/")
        if len(account) == 20 and account.isdigit():
            account = " ".join((account[:5], account[5:8], account[8], account[9:13], account[13:]))
        return f"{code} / {account}" if code else account
    return number
