"""`/lead`: the team with its live state, what it turns over, what the lead earns with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.core.cursors import position_of
from portal.core.modes import Mode
from portal.core.permissions import Permission, requires
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import OwnedBalance, list_balances_of
from portal.orders.figures.day import LOOKED_AT, read_day
from portal.orders.figures.turnover import NOTHING, Turnover, turnover_by_trader
from portal.orders.order_list import Whose
from portal.traders.queries import TeamTrader, list_traders_of_lead
from portal.web.labels.person_states import obstacle_pill
from portal.web.lead import blueprint
from portal.web.lead.orders import listing_of
from portal.web.shared.orders.lines import STAFF_AT_A_GLANCE
from portal.web.shell.languages import current_timezone
from portal.web.ui.home_figures import day_of, main_currency, volume_chart
from portal.web.ui.lists.declaration import Cell, Column, Listing
from portal.web.ui.lists.shown import Shown, fixed


@dataclass(frozen=True, slots=True)
class TeamLine:
    """A trader of the team with their deposit and today's work; amounts in minor units of the currency."""

    trader: TeamTrader
    currency: str
    deposit_minor: int
    held_minor: int
    completed: int
    turnover_minor: int


@blueprint.get("")
@requires(Permission.LEAD_HOME_VIEW)
def home() -> ResponseReturnValue:
    traders = [trader for trader in list_traders_of_lead(current_user.id) if trader.mode == Mode.LIVE]
    ids = tuple(trader.id for trader in traders)
    figures = read_day(Whose(traders=ids), Mode.LIVE, current_timezone())
    balances = list_balances_of([OwnerKind.TRADER, OwnerKind.LEAD], [*ids, current_user.id], Mode.LIVE)
    currency = main_currency(figures)
    moved = turnover_by_trader(ids, Mode.LIVE, figures.today_from, currency=currency, each=LOOKED_AT)
    return render_template(
        "lead/home.html",
        traders=traders,
        figures=figures,
        day=day_of(figures, currency),
        chart=volume_chart(figures, currency),
        earned=[balance for balance in balances if balance.owner_id == current_user.id],
        team=_team(traders, currency, balances, moved),
        latest=fixed(listing_of(ids), figures.latest, STAFF_AT_A_GLANCE),
    )


def _team(
    traders: Sequence[TeamTrader],
    currency: str,
    balances: Sequence[OwnedBalance],
    moved: Mapping[UUID, Turnover],
) -> Shown[TeamLine]:
    held = {(b.owner_id, b.kind): b.minor for b in balances if b.currency == currency}

    def line(trader: TeamTrader) -> TeamLine:
        done = moved.get(trader.id, NOTHING)
        return TeamLine(
            trader, currency, held.get((trader.id, AccountKind.AVAILABLE), 0),
            held.get((trader.id, AccountKind.HELD), 0), done.completed, done.minor,
        )  # fmt: skip

    lines = [line(trader) for trader in traders]
    # Who works stands first, then who turns over most.
    lines.sort(key=lambda line: (not line.trader.is_online, -line.turnover_minor, line.trader.name))
    return fixed(_TEAM, lines)


def _state(line: TeamLine) -> tuple[str, str]:
    trader = line.trader
    if obstacle := obstacle_pill(trader):
        return obstacle
    if not trader.is_working:
        return "gray", _("Switched off")
    if not trader.payin_on:
        return "gray", _("You switched payins off")
    return ("green", _("Takes orders")) if trader.requisites_online else ("orange", _("No requisite is free"))


def _requisites(line: TeamLine) -> str:
    return _("%(online)d of %(all)d", online=line.trader.requisites_online, all=line.trader.requisites)


_TEAM: Listing[TeamLine] = Listing(
    name="team",
    columns=(
        Column("name", _l("Trader"), lambda line: line.trader.name),
        Column("team", _l("Team"), lambda line: line.trader.team),
        Column("state", _l("State"), _state, Cell.PILL),
        Column("requisites", _l("Requisites free"), _requisites),
        Column("open", _l("Open orders"), lambda line: line.trader.open_orders, Cell.NUMBER),
        Column("completed", _l("Completed today"), lambda line: line.completed, Cell.NUMBER),
        Column(
            "turnover", _l("Turnover today"), lambda line: (line.turnover_minor, line.currency), Cell.MONEY
        ),
        Column("deposit", _l("Deposit"), lambda line: (line.deposit_minor, line.currency), Cell.MONEY),
        Column("held", _l("On hold"), lambda line: (line.held_minor, line.currency), Cell.MONEY),
    ),
    fetch=lambda _asked: (),
    position=lambda line: position_of(line.trader.id),
    endpoint="lead.home",
    default_sort="name",
    title=_l("Team"),
    empty_title=_l("No traders in your team yet"),
    empty_next=_l("An administrator puts traders into your team."),
    icon="users-group",
)
