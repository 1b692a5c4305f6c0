"""The form that every page's form is: what WTForms itself says is said in the reader's language."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from wtforms import Form


class _Words:
    """What a field says before any validator is asked, from our own catalogue."""

    def gettext(self, text: str) -> str:
        known = {
            "Not a valid choice.": _("This is not one of the choices."),
            "Not a valid choice": _("This is not one of the choices."),
            "Invalid Choice: could not coerce.": _("This is not one of the choices."),
            "Invalid choice(s): one or more data inputs could not be coerced.": _("This is not one of the choices."),
            "Not a valid integer value.": _("Type a whole number."),
            "Not a valid date value.": _("Type a date."),
            "This field is required.": _("This can't be empty."),
        }  # fmt: skip
        return known.get(text, text)

    def ngettext(self, one: str, many: str, number: int) -> str:
        """What WTForms says about lengths; each of our validators has words of its own instead."""
        return one if number == 1 else many


class PageForm(Form):  # type: ignore[misc]
    """A form of a page. A test finds a validator of it that has no words of its own."""

    class Meta:
        def get_translations(self, _form: Any) -> _Words:
            return _Words()
