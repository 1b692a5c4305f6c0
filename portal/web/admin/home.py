"""`/admin`: money, flow and health of the whole house."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template
from flask.typing import ResponseReturnValue

from portal.core.modes import Mode
from portal.core.permissions import Permission, requires
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import BalanceSum, sum_balances
from portal.orders.figures.day import read_day
from portal.web.admin import blueprint
from portal.web.shared.orders.lines import STAFF_AT_A_GLANCE
from portal.web.shared.orders.staff import staff_listing
from portal.web.shared.orders.staff_scope import whose_orders
from portal.web.shell.languages import current_timezone
from portal.web.ui.home_figures import day_of, flow_chart, main_currency, open_by_status
from portal.web.ui.lists.shown import fixed
from portal.webhooks.queries import how_late


@dataclass(frozen=True, slots=True)
class Money:
    """What lies where, in minor units of one currency."""

    currency: str
    revenue_minor: int
    deposits_minor: int
    stores_minor: int
    leads_minor: int
    held_minor: int


@blueprint.get("")
@requires(Permission.ADMIN_HOME_VIEW)
def home() -> ResponseReturnValue:
    figures = read_day(whose_orders(), Mode.LIVE, current_timezone())
    currency = main_currency(figures)
    return render_template(
        "admin/home.html",
        figures=figures,
        open=open_by_status(Mode.LIVE),
        day=day_of(figures, currency),
        chart=flow_chart(figures, currency),
        money_lines=money_of(sum_balances(Mode.LIVE)),
        late=how_late(),
        latest=fixed(staff_listing("admin"), figures.latest, STAFF_AT_A_GLANCE),
    )


def money_of(sums: list[BalanceSum]) -> list[Money]:
    """By settlement currency: those in which somebody's money can lie."""
    kept = {(total.owner_kind, total.kind, total.currency): total.minor for total in sums}
    own = (OwnerKind.STORE, OwnerKind.TRADER, OwnerKind.LEAD)
    currencies = sorted(
        {c for (kind, account, c) in kept if kind in own and account == AccountKind.AVAILABLE}
    )

    def minor(kind: OwnerKind, account: AccountKind, currency: str) -> int:
        return kept.get((kind, account, currency), 0)

    return [
        Money(
            currency,
            minor(OwnerKind.PLATFORM, AccountKind.REVENUE, currency),
            minor(OwnerKind.TRADER, AccountKind.AVAILABLE, currency),
            minor(OwnerKind.STORE, AccountKind.AVAILABLE, currency),
            minor(OwnerKind.LEAD, AccountKind.AVAILABLE, currency),
            sum(minor(kind, AccountKind.HELD, currency) for kind in own),
        )
        for currency in currencies
    ]
