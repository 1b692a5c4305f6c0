"""The form of a requisite: typed in whole units of its currency and in hours, checked field by field."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import IntegerField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.core.errors import DomainError
from portal.reference import configuration as config
from portal.reference.queries import list_banks
from portal.traders.models import Requisite
from portal.traders.requisites import Terms
from portal.traders.service import NewRequisite
from portal.web.labels.refusals import words_of_error
from portal.web.shared.requisites.words import problem_words
from portal.web.shell.languages import current_language
from portal.web.ui.formats import typed_amount
from portal.web.ui.forms import PageForm
from portal.web.ui.money_field import MoneyField

_HOUR_S = 3600
_MOST_HOURS = 24 * 31
_TOO_LONG = _l("This is too long.")


class WholeField(IntegerField):  # type: ignore[misc]
    """A whole number, or nothing; what is neither is refused in the reader's words."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata([value.strip() for value in valuelist])
        except ValueError:
            raise ValueError(_("Type a whole number.")) from None


def _whole(label: Any, least: int, most: int, message: Any) -> WholeField:
    return WholeField(label, [Optional(), NumberRange(least, most, message)])


class TermsForm(PageForm):
    """Holder, bank and limits; an empty limit is no limit."""

    bank = SelectField(_l("Bank"))
    holder = StringField(
        _l("Holder"),
        [InputRequired(_l("Give the name that the bank shows.")), Length(max=100, message=_TOO_LONG)],
    )  # fmt: skip
    min_amount = MoneyField(_l("Least amount of an order"), [InputRequired(_l("Type an amount."))])
    max_amount = MoneyField(_l("Greatest amount of an order"), [InputRequired(_l("Type an amount."))])
    max_open_orders = _whole(_l("Open orders at once"), 1, 1000, _l("Give a number from 1 to 1000."))
    day_amount_limit = MoneyField(_l("Amount a day"))
    day_count_limit = _whole(_l("Orders a day"), 1, 10**6, _l("A limit is more than zero."))
    window_hours = _whole(_l("Hours of a time window"), 1, _MOST_HOURS, _l("Give a number from 1 to 744."))
    window_amount_limit = MoneyField(_l("Amount in that time"))
    total_amount_limit = MoneyField(_l("Amount in all"))

    def __init__(self, sent: Any, method: str, currency: str, **data: Any) -> None:
        super().__init__(sent, **data)
        self.currency = currency
        banks = list_banks(method, currency)
        self.bank.choices = [SelectChoice(bank.code, bank.name(current_language())) for bank in banks]
        if not banks or (data.get("bank") is None and not sent):
            self.bank.choices.insert(0, SelectChoice("", _("None")))

    def terms(self) -> Terms:
        """What was typed, for the verbs. Call it after validate()."""
        hours = self.window_hours.data
        return Terms(
            holder=self.holder.data.strip(),
            bank=self.bank.data or None,
            min_amount=self.min_amount.minor or 0,
            max_amount=self.max_amount.minor or 0,
            max_open_orders=self.max_open_orders.data or config.get(config.MAX_OPEN_ORDERS_DEFAULT),
            day_amount_limit=self.day_amount_limit.minor,
            day_count_limit=self.day_count_limit.data,
            window_s=hours * _HOUR_S if hours else None,
            window_amount_limit=self.window_amount_limit.minor,
            total_amount_limit=self.total_amount_limit.minor,
        )

    def refuse(self, error: DomainError) -> bool:
        for problem in error.errors:
            name = "window_hours" if problem.field == "window_s" else problem.field
            field = self._fields.get(name, self.holder)
            field.errors = [problem_words(problem)]
        return bool(error.errors)


class NewRequisiteForm(TermsForm):
    number = StringField(
        _l("Number"), [InputRequired(_l("Type the number.")), Length(max=100, message=_TOO_LONG)]
    )

    def refuse(self, error: DomainError) -> bool:
        """What is refused of a new one, and is no field's, is about its number."""
        if not super().refuse(error):
            self.number.errors = [words_of_error(error)]
        return True

    def new_requisite(self, method: str) -> NewRequisite:
        terms = self.terms()
        return NewRequisite(
            method=method, currency=self.currency, number=self.number.data, holder=terms.holder, bank=terms.bank,
            min_amount=terms.min_amount, max_amount=terms.max_amount, max_open_orders=terms.max_open_orders,
            day_amount_limit=terms.day_amount_limit, day_count_limit=terms.day_count_limit, window_s=terms.window_s,
            window_amount_limit=terms.window_amount_limit, total_amount_limit=terms.total_amount_limit,
        )  # fmt: skip


def form_of(requisite: Requisite) -> TermsForm:
    """The form filled with what is stored."""

    def typed(minor: int | None) -> str:
        return "" if minor is None else typed_amount(minor, requisite.currency)

    return TermsForm(
        None, requisite.method, requisite.currency,
        bank=requisite.bank, holder=requisite.holder,
        min_amount=typed(requisite.min_amount), max_amount=typed(requisite.max_amount),
        max_open_orders=requisite.max_open_orders, day_amount_limit=typed(requisite.day_amount_limit),
        day_count_limit=requisite.day_count_limit,
        window_hours=requisite.window_s // _HOUR_S if requisite.window_s else None,
        window_amount_limit=typed(requisite.window_amount_limit),
        total_amount_limit=typed(requisite.total_amount_limit),
    )  # fmt: skip
