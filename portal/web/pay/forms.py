"""What a customer may send, checked; the messages are shown beside the fields."""

from __future__ import annotations

import unicodedata
from typing import Any

from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import FileStorage, MultiDict
from wtforms import FileField, StringField
from wtforms.validators import DataRequired, Length, Optional, Regexp

from portal.web.ui.forms import PageForm
from portal.web.ui.money_field import MoneyField


def tidy(text: str | None) -> str | None:
    """One line without control or direction characters, in NFC; None for nothing."""
    if text is None:
        return None
    visible = (" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    kept = "".join(char for char in visible if unicodedata.category(char) not in {"Cf", "Cs"})
    return unicodedata.normalize("NFC", " ".join(kept.split())) or None


def _line(label: Any, most: int, **options: Any) -> StringField:
    too_long = _l("This is too long: %(max)d characters at most.")
    return StringField(label, [Optional(), Length(max=most, message=too_long)], filters=[tidy], **options)


class ClaimForm(PageForm):
    """ "I have paid": everything is optional, except the receipt where the store asks for it."""

    name = _line(_l("Name of the account's owner"), 120, description=_l("As your bank shows it."))
    last4 = StringField(
        _l("Last 4 digits of your card or account"),
        [Optional(), Regexp(r"^[0-9]{4}\Z", message=_l("Give exactly four digits."))],
        filters=[tidy],
    )
    bank = _line(_l("Bank you paid from"), 80)
    reference = _line(_l("Reference or transaction number"), 140)
    receipt = FileField(_l("Receipt"))


class AmountForm(ClaimForm):
    """The same with the amount that was sent."""

    amount = MoneyField(
        _l("Amount you sent"), [DataRequired(_l("Give the amount you sent."))], filters=[tidy]
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency


class AppealForm(AmountForm):
    """ "I did pay": what was sent, when, and anything that helps."""

    paid_at = _line(_l("When you sent it"), 60, description=_l("Day and time, as your bank shows them."))
    words = _line(_l("What happened"), 500)


class DisagreementForm(ClaimForm):
    """Not what the receiver says: a receipt, and anything that helps."""

    words = _line(_l("What you sent, in your words"), 500)


class WordsForm(ClaimForm):
    """A problem in the customer's own words."""

    words = StringField(
        _l("What happened"),
        [
            DataRequired(message=_l("Say in a few words what happened.")),
            Length(max=500, message=_l("This is too long: %(max)d characters at most.")),
        ],
        filters=[tidy],
    )


def uploaded(files: MultiDict[str, FileStorage]) -> FileStorage | None:
    """The file that was chosen or photographed: the first part that is not empty."""
    for part in files.getlist("receipt"):
        if part.filename:
            return part
    return None
