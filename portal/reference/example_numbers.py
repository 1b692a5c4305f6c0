"""Numbers that pass every check and belong to nobody we know: for the sandbox, the demo, and simulated people."""

from __future__ import annotations

from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from portal.reference.queries import get_method

_CARD_PREFIX = {"UZS": "860000", "KZT": "440043"}
_PHONE = {"RUB": "+7900{:07d}", "KZT": "+7701{:07d}", "EUR": "+4915112{:06d}", "INR": "+919{:09d}"}


def example_number(method: str, currency: str, n: int) -> str:
    """The n-th example of a requisite of this method and currency, as a person would type it."""
    kind = get_method(method).requisite_kind
    if kind == "card":
        body = f"{_CARD_PREFIX.get(currency, '220000')}{n:09d}"
        return body + str(luhn.calc_check_digit(body))
    if kind == "phone":
        return _PHONE[currency].format(n)
    if kind == "iban":
        return _iban("KZ", f"125KZT{n:010d}") if currency == "KZT" else _iban("DE", f"50010517{n:010d}")
    if kind == "upi":
        return f"nostro.{n}@okaxis"
    return f"HDFC0001234/{5010000000000 + n}" if currency == "INR" else f"4081781000000{n:07d}"


def _iban(country: str, account: str) -> str:
    return f"{country}{mod_97_10.calc_check_digits(account + country)}{account}"
