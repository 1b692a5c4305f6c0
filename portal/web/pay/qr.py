"""QR codes where the method has a public standard: EPC for SEPA in euro, the UPI link for UPI."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

import segno
from markupsafe import Markup

from portal.reference.models import QrStandard


def qr_payload(
    standard: QrStandard | None, number: str, holder: str, amount: str, currency: str
) -> str | None:
    """The text of the code for an amount such as "1500.00"; None where there is no standard for it."""
    if standard is QrStandard.EPC and currency == "EUR":
        return _epc(number, holder, amount)
    if standard is QrStandard.UPI and currency == "INR":
        return upi_link(number, holder, amount)
    return None


def _epc(iban: str, holder: str, amount: str) -> str:
    """EPC069-12 version 002: UTF-8, SEPA credit transfer, no BIC, no purpose, no remittance text."""
    name = " ".join(holder.split())[:70]
    return "\n".join(("BCD", "002", "1", "SCT", "", name, iban, f"EUR{amount}"))


def upi_link(upi_id: str, holder: str, amount: str) -> str:
    """NPCI's deep link; blanks as %20, which `+` is not."""
    return f"upi://pay?pa={quote(upi_id, safe='@')}&pn={quote(holder, safe='')}&am={amount}&cu=INR"


@lru_cache(maxsize=256)
def qr_svg(payload: str) -> Markup:
    """An inline SVG, dark on light in every colour scheme, with the quiet zone the standard asks for."""
    code = segno.make(payload, error="m", micro=False)
    drawn = code.svg_inline(border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None)
    return Markup(drawn)  # noqa: S704 - drawn by segno from modules; the payload is not in it as text
