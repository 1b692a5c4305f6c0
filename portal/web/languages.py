"""Which language and which time zone a page speaks."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from babel import support
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, get_locale

LANGUAGES = ("en", "ru")


def current_language() -> str:
    """What the page chose (`g.language`), else the signed-in person's, else the browser's, else English.

    Never asks the database: error pages must work without it.
    """
    chosen = g.get("language")
    if chosen is None and (visitor := g.get("visitor")) is not None:
        chosen = visitor.locale
    if chosen in LANGUAGES:
        return str(chosen)
    if not has_request_context():
        return "en"
    return request.accept_languages.best_match(LANGUAGES) or "en"


def current_timezone() -> ZoneInfo:
    visitor = g.get("visitor")
    return ZoneInfo(visitor.timezone) if visitor is not None else ZoneInfo("UTC")


def _timezone_name() -> str:
    return current_timezone().key


class KeptDomain(Domain):  # type: ignore[misc]
    """The catalogues by language: a page asks for one some fifty times."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, support.Translations] = {}

    def get_translations(self) -> support.Translations | support.NullTranslations:
        locale = get_locale()
        language = "en" if locale is None else locale.language
        if language not in self._kept:
            self._kept[language] = super().get_translations()
        return self._kept[language]


def register(app: Flask) -> None:
    Babel(app, locale_selector=current_language, timezone_selector=_timezone_name)
    # Flask-Babel makes a domain for each request, which reads its catalogue from the file again.
    app.before_request(KeptDomain().as_default)
    app.jinja_env.globals["page_language"] = lambda: str(get_locale() or "en").partition("_")[0]
