"""The forms of what staff do to an order: each says why, and which version of the order its reader saw."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, SelectField, ValidationError

from portal.disputes.models import DisputeOutcome
from portal.orders.record import OrderRecord
from portal.web.labels.dispute_outcomes import decision_choices
from portal.web.labels.reasons import dispute_reason_choices
from portal.web.ui.money_field import MoneyField
from portal.web.ui.reason_form import ReasonForm


class OrderForm(ReasonForm):
    """A form about an order as somebody saw it."""

    version = HiddenField()

    def __init__(self, sent: Any, order: OrderRecord) -> None:
        super().__init__(sent)
        self.order = order
        self.currency = order.currency
        if not sent:
            self.version.data = str(order.version)

    @property
    def to_be_agreed_minor(self) -> int | None:
        """An amount that differs from the order's and was not agreed to yet."""
        return None


class AmountForm(OrderForm):
    """With what was received, where that is not the order's amount; another amount is asked for twice."""

    amount = MoneyField(_l("Amount that was received"))
    agreed_minor = HiddenField()

    @property
    def received_minor(self) -> int | None:
        """What was typed, in fiat minor units; None for the order's amount. Call it after validate()."""
        return self.amount.minor if self.order.is_payin else None

    @property
    def to_be_agreed_minor(self) -> int | None:
        received = self.received_minor
        if received in {None, self.order.amount_minor} or self.agreed_minor.data == str(received):
            return None
        return received


class DecisionForm(AmountForm):
    """How a dispute ends. An amount counts only where the order is completed."""

    outcome = SelectField(_l("Decision"), validate_choice=True)

    def __init__(self, sent: Any, order: OrderRecord) -> None:
        super().__init__(sent, order)
        self.outcome.choices = [("", _("Choose")), *decision_choices()]

    def validate_outcome(self, field: SelectField) -> None:
        if field.data not in set(DisputeOutcome):
            raise ValidationError(_("Say how it ends."))

    @property
    def received_minor(self) -> int | None:
        return super().received_minor if self.outcome.data == DisputeOutcome.COMPLETED else None


class DisputeForm(OrderForm):
    """What is wrong with the order, and the amount that somebody says was paid."""

    about = SelectField(_l("What is wrong"))
    amount = MoneyField(_l("Amount that is said to be paid"))

    def __init__(self, sent: Any, order: OrderRecord) -> None:
        super().__init__(sent, order)
        self.about.choices = list(dispute_reason_choices())

    @property
    def claimed_minor(self) -> int | None:
        return self.amount.minor
