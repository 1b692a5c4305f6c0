"""What a request to complete a payin above its amount says."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.approvals.kinds import Amount, Figure, Preview
from portal.approvals.models import ApprovalRequest
from portal.core.ids import public_id
from portal.core.permissions import Permission
from portal.orders.above_tolerance import CompletionPayload
from portal.orders.queries import get_order
from portal.web.shared.approvals.words import KindWords, Names
from portal.web.ui.formats import amount_text


def money_text(amount: Amount) -> str:
    return f"{amount_text(amount.minor, amount.currency)}\u00a0{amount.currency}"


def _title(request: ApprovalRequest, _names: Names) -> str:
    return _("More than its amount: %(order)s", order=_number(request))


def _number(request: ApprovalRequest) -> str:
    return public_id("ord", uuid.UUID(request.subject_id))


def _page(request: ApprovalRequest) -> str | None:
    if not current_user.can(Permission.ORDER_VIEW):
        return None
    portal = "admin" if current_user.can(Permission.ADMIN_HOME_VIEW) else "support"
    return url_for(f"{portal}.order", order_id=uuid.UUID(request.subject_id))


def _asked(request: ApprovalRequest) -> Sequence[tuple[str, str]]:
    order = get_order(uuid.UUID(request.subject_id))
    received = Amount(int(request.payload["received_minor"]), order.currency)
    return [
        (_("Order"), _number(request)),
        (_("Amount of the order"), money_text(Amount(order.amount_minor, order.currency))),
        (_("Complete it with"), money_text(received)),
    ]


def _sentence(_payload: CompletionPayload, preview: Preview) -> str:
    """The difference in words, before the figures."""
    by_name = {line.what: line for line in preview.lines}
    received, pays, beyond, gets = (
        by_name[name] for name in ("received", "trader_pays", "beyond_hold", "store_gets")
    )
    return _(
        "The order is completed with %(received)s instead of %(amount)s. The trader pays %(pays)s of their deposit,"
        " %(beyond)s of it beyond what is on hold; the store gets %(gets)s. It can't be undone.",
        received=_text(received.after), amount=_text(received.before), pays=_text(pays.after),
        beyond=_text(beyond.after), gets=_text(gets.after),
    )  # fmt: skip


def _text(figure: Figure) -> str:
    return money_text(figure) if isinstance(figure, Amount) else str(figure or "")


def _line(what: str) -> str:
    known = {
        "received": _("Received"),
        "trader_pays": _("Paid from the trader's deposit"),
        "beyond_hold": _("of it beyond what is on hold"),
        "store_gets": _("Credited to the store"),
        "store_fee": _("Fee of the store"),
        "trader_commission": _("Commission of the trader"),
        "lead_commission": _("Commission of the team lead"),
        "platform": _("Left for the platform"),
        "trader_held": _("Trader's deposit on hold: now, afterwards"),
        "trader_free": _("Trader's free deposit: now, afterwards"),
    }
    return known[what]


COMPLETION_WORDS = KindWords(
    label=_l("Completions above the amount"),
    title=_title,
    page=_page,
    asked=_asked,
    sentence=_sentence,
    line=_line,
    figure=lambda text: text or "",
    before=_l("at the order's amount"),
    after=_l("with what was received"),
    done=_l("Approved: the order is completed."),
)
DISPUTE_WORDS = replace(
    COMPLETION_WORDS,
    label=_l("Disputes decided above the amount"),
    done=_l("Approved: the dispute is decided, the order is completed."),
)
