"""Which language a payment page speaks: the one asked for, the order's, the browser's, English."""

from __future__ import annotations

from flask import request

from portal.web.labels.languages import LANGUAGE

_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})


def pick_language(order_locale: str | None) -> str:
    """One that the pages speak. `?lang=` wins and travels in the page's links: no cookie, so it works in a frame."""
    asked = request.args.get("lang", "")
    if asked in LANGUAGE:
        return asked
    from_order = (order_locale or "").replace("_", "-").partition("-")[0].lower()
    if from_order in LANGUAGE:
        return from_order
    return request.accept_languages.best_match(list(LANGUAGE)) or "en"


def asked_language() -> str | None:
    """The language that was chosen by hand, to be kept in links and forms."""
    asked = request.args.get("lang", "")
    return asked if asked in LANGUAGE else None


def direction_of(language: str) -> str:
    """The page's `dir`."""
    return "rtl" if language in _RIGHT_TO_LEFT else "ltr"
