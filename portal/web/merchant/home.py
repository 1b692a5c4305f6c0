"""`/merchant`: today against yesterday, money, what needs attention, the newest orders."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.core.modes import Mode
from portal.core.permissions import Permission, requires
from portal.ledger.models import OwnerKind
from portal.ledger.queries import list_balances_of
from portal.orders.figures.day import read_day
from portal.orders.order_list import Whose
from portal.web.merchant import blueprint
from portal.web.merchant.orders import listing_of
from portal.web.merchant.seat import current_seat
from portal.web.shared.orders.lines import AT_A_GLANCE
from portal.web.shell.languages import current_timezone
from portal.web.ui.home_figures import day_of, volume_chart
from portal.web.ui.lists.shown import fixed
from portal.webhooks.queries import list_troubled_endpoints


@blueprint.get("")
@requires(Permission.MERCHANT_HOME_VIEW)
def home() -> ResponseReturnValue:
    seat = current_seat()
    whose = Whose(stores=tuple(seat.stores_for(Permission.ORDER_VIEW)))
    figures = read_day(whose, Mode.LIVE, current_timezone())
    currency = (figures.currencies or [seat.settlement_currency])[0]
    return render_template(
        "merchant/home.html",
        seat=seat,
        figures=figures,
        day=day_of(figures, currency),
        chart=volume_chart(figures, currency),
        balances=_balances(),
        troubled=list_troubled_endpoints(list(seat.stores), Mode.LIVE),
        latest=fixed(listing_of(seat), figures.latest, AT_A_GLANCE),
    )


def _balances() -> list[tuple[str, str, str, int]]:
    """Store, kind, currency and minor units, for the stores whose balances this person may see."""
    if not current_user.can(Permission.BALANCE_VIEW):
        return []
    seat = current_seat()
    stores = seat.stores_for(Permission.BALANCE_VIEW)
    return [
        (stores[balance.owner_id], balance.kind.value, balance.currency, balance.minor)
        for balance in list_balances_of([OwnerKind.STORE], list(stores), Mode.LIVE)
    ]
