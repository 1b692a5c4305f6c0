"""The form that every page's form is: what WTForms itself says is said in the reader's language."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from wtforms import Form, PasswordField, TextAreaField

from portal.core.errors import DomainError
from portal.core.text_rules import is_clean
from portal.web.labels.sign_in_refusals import words_of


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
    """A form of a page. A test finds a validator of it that has no words of its own.

    Every text of it is checked by portal.core.text_rules: only a TextAreaField takes several lines.
    """

    def validate(self, extra_validators: Any = None) -> bool:
        is_valid = bool(super().validate(extra_validators))
        for field in self:
            if not isinstance(field, PasswordField) and not self._is_clean(field):
                field.errors = [
                    *field.errors,
                    _("This holds a line break, or a character that can't be seen."),
                ]
                is_valid = False
        return is_valid

    def refuse(self, _error: DomainError) -> bool:
        """Put what a verb refused beside the fields it is about; whether that says it all."""
        return False

    @staticmethod
    def _is_clean(field: Any) -> bool:
        sent = [value for value in field.raw_data or () if isinstance(value, str)]
        return all(is_clean(value, lines=isinstance(field, TextAreaField)) for value in sent)

    class Meta:
        def get_translations(self, _form: Any) -> _Words:
            return _Words()


def show_problems(form: PageForm, error: DomainError) -> None:
    """Put what a verb refused beside the fields it is about."""
    for problem in error.errors:
        if problem.field in form:
            form[problem.field].errors = [words_of(problem.code, problem.message)]
