"""Blocking a trader, from their page: no new orders come, those that run go on."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from portal.core.permissions import Permission
from portal.traders.models import Requisite, RequisiteStatus, Trader
from portal.traders.service import block_trader, unblock_trader
from portal.web.ui.actions import Action

# With whether they are the visitor themselves.
Shown = tuple[Trader, Sequence[Requisite], bool]


def _what_blocking_does(shown: Shown) -> str:
    approved = sum(requisite.status == RequisiteStatus.APPROVED for requisite in shown[1])
    running = sum(requisite.open_orders for requisite in shown[1])
    return " ".join((
        ngettext("%(num)d requisite gets no new orders.", "%(num)d requisites get no new orders.", approved),
        ngettext("%(num)d order that runs goes on: the trader confirms and pays as before.",
                 "%(num)d orders that run go on: the trader confirms and pays as before.", running),
        _("They can still sign in."),
    ))  # fmt: skip


BLOCKING = (
    Action(
        "block", "block", Permission.TRADER_BLOCK, block_trader,
        _l("Block the trader"), lambda shown: _("Block %(name)s?", name=shown[0].name), _what_blocking_does,
        _l("The trader is blocked. The orders they have go on."),
        "danger", lambda shown: not shown[0].is_blocked and not shown[2],
    ),
    Action(
        "unblock", "unblock", Permission.TRADER_BLOCK, unblock_trader,
        _l("Unblock the trader"), lambda shown: _("Unblock %(name)s?", name=shown[0].name),
        _l("They get orders again as soon as their own switches, their lead's and their limits let them."),
        _l("The trader is not blocked any more."),
        fits=lambda shown: shown[0].is_blocked and not shown[2],
    ),
)  # fmt: skip
