"""Which language and which time zone a page speaks."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from babel import support
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, get_locale
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from portal.mail.languages import LANGUAGES


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


class PageWords:
    """`_` and its kin of one language for templates, as Jinja's newstyle ones but found in one step instead of four."""

    def __init__(self, catalogue: support.Translations | support.NullTranslations) -> None:
        self._catalogue = catalogue
        # Words without variables are made once.
        self._fixed: dict[tuple[str, bool], str] = {}

    @pass_eval_context
    def gettext(self, about: EvalContext, string: str, /, **variables: Any) -> str:
        if variables:
            return self._words(self._catalogue.gettext(string), about) % variables
        kind = (string, bool(about.autoescape))
        found = self._fixed.get(kind)
        if found is None:
            found = self._fixed[kind] = self._words(self._catalogue.gettext(string), about) % {}
        return found

    @pass_eval_context
    def ngettext(self, about: EvalContext, one: str, many: str, num: int, /, **variables: Any) -> str:
        return self._words(self._catalogue.ngettext(one, many, num), about) % ({"num": num} | variables)

    @staticmethod
    def _words(words: str, about: EvalContext) -> str:
        return Markup(words) if about.autoescape else words  # noqa: S704 - the catalogue is ours


class KeptDomain(Domain):  # type: ignore[misc]
    """The catalogues by language: a page asks for one some fifty times."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, support.Translations] = {}
        self._words: dict[str, PageWords] = {}

    def get_translations(self) -> support.Translations | support.NullTranslations:
        language = _language_now()
        if language not in self._kept:
            self._kept[language] = super().get_translations()
        return self._kept[language]

    def words(self) -> PageWords:
        language = _language_now()
        if language not in self._words:
            self._words[language] = PageWords(self.get_translations())
        return self._words[language]


def _language_now() -> str:
    """What get_locale() says, which asks four proxies for it each time."""
    held = g.get("_flask_babel")
    locale = getattr(held, "babel_locale", None) or get_locale()
    return "en" if locale is None else str(locale.language)


_domain = KeptDomain()


def words_now() -> dict[str, Any]:
    """`_` and its kin of this moment's language, for a template that is rendered in it from end to end."""
    words = _domain.words()
    return {"_": words.gettext, "gettext": words.gettext, "ngettext": words.ngettext}


@pass_eval_context
def _gettext(about: EvalContext, string: str, /, **variables: Any) -> str:
    return _domain.words().gettext(about, string, **variables)


@pass_eval_context
def _ngettext(about: EvalContext, one: str, many: str, num: int, /, **variables: Any) -> str:
    return _domain.words().ngettext(about, one, many, num, **variables)


def register(app: Flask) -> None:
    Babel(app, locale_selector=current_language, timezone_selector=_timezone_name)
    # Flask-Babel makes a domain for each request, which reads its catalogue from the file again.
    app.before_request(_domain.as_default)
    app.jinja_env.globals.update(_=_gettext, gettext=_gettext, ngettext=_ngettext)
    app.jinja_env.globals["page_language"] = lambda: str(get_locale() or "en").partition("_")[0]
