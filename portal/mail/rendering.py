"""A mail's words in its receiver's language, as plain text and as simple HTML.

`templates/emails/<kind>.txt` sets the subject, the paragraphs and what the link is called: each sentence exists
once. `_mail.txt` and `_mail.html` lay them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from babel.dates import format_datetime
from babel.support import Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from portal.core.money import read_in
from portal.core.text_rules import one_line
from portal.mail.outbox import ClaimedMail
from portal.settings import get_settings

_ROOT = Path(__file__).resolve().parents[1]
_TEMPLATES = _ROOT.parent / "templates" / "emails"
_TRANSLATIONS = _ROOT / "translations"


@dataclass(frozen=True, slots=True)
class Letter:
    """What a transport carries."""

    message_id: str
    recipient: str
    subject: str
    text: str
    html: str


@lru_cache(maxsize=4)
def _environment(locale: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = lambda iso: _moment(iso, locale)
    environment.filters["amount"] = lambda told: read_in(locale, told)
    translations = Translations.load(_TRANSLATIONS, [locale])
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    return environment


def _moment(iso: str, locale: str) -> str:
    return f"{format_datetime(datetime.fromisoformat(iso), 'd MMMM y, HH:mm', locale=locale)} UTC"


def render_mail(mail: ClaimedMail) -> Letter:
    """The mail in its receiver's language. Its links lead to PUBLIC_URL and nowhere else. Raises DecryptionFailed."""
    environment = _environment(mail.locale)
    # Names come from people: none of them starts a header or a paragraph of its own.
    params = {name: one_line(value) for name, value in mail.all_params().items()}
    address = get_settings().public_url
    words = environment.get_template(f"{mail.kind.value}.txt").make_module({"params": params})
    parts = {
        "subject": one_line(str(vars(words)["subject"])),
        "paragraphs": vars(words)["paragraphs"],
        "action": vars(words)["action"],
        "link": address + params["link"],
        "address": address,
        "language": mail.locale,
    }
    host = address.partition("://")[2].partition(":")[0]
    return Letter(
        message_id=f"<{mail.id}@{host}>",
        recipient=mail.recipient,
        subject=parts["subject"],
        text=environment.get_template("_mail.txt").render(parts),
        html=environment.get_template("_mail.html").render(parts),
    )
