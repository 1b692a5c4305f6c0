"""No form and no address brings in text that people can't see as it is (portal.core.text_rules)."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask, request
from werkzeug.exceptions import NotFound

from portal.api.problems import PATHS as API_PATHS
from portal.core.errors import ValidationFailed
from portal.core.text_rules import is_clean

# Nobody is shown a password, and it may be any characters; but nothing takes a NUL.
_PASSWORDS = frozenset({"password", "current"})
# These look by themselves, after their own checks.
_BY_THEMSELVES = frozenset({"pay", "health"})


class HiddenText(ValidationFailed):
    code, title = "hidden_text", "Something in the text can't be seen"


class HiddenInAddress(HiddenText):
    status = 400  # as whatever else an address says that its page does not know


def refuse_hidden_text() -> None:
    """Raises HiddenText (422) for a field of the form, HiddenInAddress (400) for a parameter, NotFound for a path."""
    if not is_clean(request.path):
        raise NotFound
    if request.query_string:
        _check(request.args.lists(), HiddenInAddress)
    if request.method == "POST":
        _check(request.form.lists(), HiddenText)


def _check(fields: Iterable[tuple[str, list[str]]], refusal: type[HiddenText]) -> None:
    for name, values in fields:
        if name in _PASSWORDS and not any("\0" in value for value in values):
            continue
        if not is_clean(name) or not all(is_clean(value, lines=True) for value in values):
            raise refusal("A text holds characters that can't be seen.")


def _look() -> None:
    if request.blueprint in _BY_THEMSELVES or request.path.startswith(API_PATHS):
        return
    refuse_hidden_text()


def register(app: Flask) -> None:
    """After the check of where a form comes from, before any route."""
    app.before_request(_look)
