"""Languages, each called what its speakers call it."""

from __future__ import annotations

from collections.abc import Mapping

from wtforms.fields import SelectChoice

LANGUAGE: Mapping[str, str] = {"en": "English", "ru": "Русский"}


def language_choices() -> list[SelectChoice]:
    return [SelectChoice(code, name) for code, name in LANGUAGE.items()]
