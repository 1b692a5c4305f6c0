"""`/support`: what waits for somebody's decision, how payments go today, the newest orders."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue

from portal.core.modes import Mode
from portal.core.permissions import Permission, requires
from portal.orders.figures.day import read_day
from portal.orders.models import Status
from portal.orders.order_list import OrderFilter, list_orders
from portal.web.shared.orders.lines import STAFF_AT_A_GLANCE
from portal.web.shared.orders.staff import staff_listing
from portal.web.shared.orders.staff_scope import whose_orders
from portal.web.shell.languages import current_timezone
from portal.web.support import blueprint
from portal.web.ui.home_figures import day_of, flow_chart, main_currency, open_by_status
from portal.web.ui.lists.shown import fixed

_SHOWN = 10


@blueprint.get("")
@requires(Permission.SUPPORT_HOME_VIEW)
def home() -> ResponseReturnValue:
    figures = read_day(whose_orders(), Mode.LIVE, current_timezone())
    currency = main_currency(figures)
    listing = staff_listing("support")
    disputed = list_orders(
        whose_orders(), Mode.LIVE, OrderFilter(status=Status.DISPUTED), _SHOWN, oldest_first=True
    )
    return render_template(
        "support/home.html",
        figures=figures,
        open=open_by_status(Mode.LIVE),
        day=day_of(figures, currency),
        chart=flow_chart(figures, currency),
        disputed=fixed(listing, disputed, STAFF_AT_A_GLANCE, name="disputes"),
        latest=fixed(listing, figures.latest, STAFF_AT_A_GLANCE),
    )
