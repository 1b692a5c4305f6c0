"""QR payloads, money, colours: pure functions of the payment page."""

from __future__ import annotations

import pytest

from portal.reference.models import QrStandard
from portal.web.pay.formats import money_text
from portal.web.pay.qr import qr_payload, qr_svg, upi_link
from portal.web.pay.theme import luminance, text_on, theme_css


def test_the_epc_code_follows_epc069_12() -> None:
    payload = qr_payload(QrStandard.EPC, "DE89370400440532013000", "Tara  Petrova", "1234.50", "EUR")
    assert payload == "BCD\n002\n1\nSCT\n\nTara Petrova\nDE89370400440532013000\nEUR1234.50"


def test_the_upi_link_writes_blanks_as_percent_20() -> None:
    link = upi_link("tara.p@okhdfc", "Tara & Co", "10.00")
    assert link == "upi://pay?pa=tara.p@okhdfc&pn=Tara%20%26%20Co&am=10.00&cu=INR"


@pytest.mark.parametrize(
    ("standard", "currency"), [(None, "RUB"), (QrStandard.EPC, "KZT"), (QrStandard.UPI, "EUR")]
)
def test_there_is_no_code_where_there_is_no_standard(standard: QrStandard | None, currency: str) -> None:
    assert qr_payload(standard, "4111000000000016", "X", "1.00", currency) is None


def test_the_drawing_has_no_inline_style_and_not_the_text() -> None:
    drawn = str(qr_svg("BCD\n002"))
    assert drawn.startswith("<svg")
    assert "style" not in drawn
    assert "BCD" not in drawn


@pytest.mark.parametrize(
    ("minor", "exponent", "currency", "language", "text"),
    [
        (150000, 2, "RUB", "en", "RUB\u00a01,500.00"),
        (150000, 2, "RUB", "ru", "1\u00a0500,00\u00a0₽"),
        (123450, 2, "EUR", "en", "€1,234.50"),
        (5, 2, "EUR", "ru", "0,05\u00a0€"),
        (1500, 0, "UZS", "en", "UZS\u00a01,500"),
        (10**15, 2, "RUB", "en", "RUB\u00a010,000,000,000,000.00"),
    ],
)
def test_money_has_all_decimals_and_never_breaks(
    minor: int, exponent: int, currency: str, language: str, text: str
) -> None:
    assert money_text(minor, exponent, currency, language) == text


@pytest.mark.parametrize(
    "colour",
    [
        f"#{red:02x}{green:02x}{blue:02x}"
        for red in (0, 90, 255)
        for green in (0, 127, 255)
        for blue in (0, 127, 255)
    ],
)
def test_text_on_any_accent_has_a_contrast_of_4_5(colour: str) -> None:
    light, text = luminance(colour), luminance(text_on(colour))
    assert (max(light, text) + 0.05) / (min(light, text) + 0.05) >= 4.5


@pytest.mark.parametrize("colour", ["red", "#fff", "#0b5fff;}body{display:none", "", "#0B5FFF"])
def test_what_is_no_colour_becomes_the_default(colour: str) -> None:
    assert theme_css(colour).startswith(":root{--accent:#0b5fff;")
