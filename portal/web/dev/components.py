"""`/dev/components`: every component in every state, for whoever builds a page. In production there is no such page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import BooleanField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from portal.core.cursors import number_in, position_of
from portal.core.permissions import Permission, requires
from portal.orders.models import Status
from portal.settings import get_settings
from portal.web.labels.order_status import STATUS
from portal.web.ui.forms import PageForm
from portal.web.ui.home_figures import ChangeWords, Chart, Series
from portal.web.ui.lists.declaration import Asked, Cell, Column, Filter, Kind, Listing
from portal.web.ui.lists.export import export
from portal.web.ui.lists.shown import fixed, render

blueprint = Blueprint("components", __name__, url_prefix="/dev/components")
_EPOCH = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Specimen:
    number: int

    @property
    def status(self) -> str:
        return list(Status)[self.number % len(Status)].value

    @property
    def at(self) -> datetime:
        return _EPOCH + timedelta(minutes=self.number * 7)


_PAGE = 7
# Some pages; the first looks like a formula to a spreadsheet.
_SPECIMENS = tuple(Specimen(number) for number in range(3 * _PAGE + 2))


class SpecimenForm(PageForm):
    name = StringField("Name")
    secret = PasswordField("Password")
    bank = SelectField("Bank", choices=[SelectChoice("a", "First bank"), SelectChoice("b", "Second bank")])
    words = TextAreaField("Reason")
    agreed = BooleanField("I have checked the amount")
    live = BooleanField("Payins are on")
    sum = StringField("Amount")


def _fetch(asked: Asked) -> Sequence[Specimen]:
    rows = [row for row in _SPECIMENS if asked.get("status") in {None, row.status}]
    if words := asked.get("q"):
        rows = [row for row in rows if words in str(row.number)]
    rows.sort(key=lambda row: row.number, reverse=asked.is_descending)
    if (last := number_in(asked.after)) is not None:
        rows = [row for row in rows if (row.number < last) == asked.is_descending and row.number != last]
    return rows[: asked.limit]


_LISTING: Listing[Specimen] = Listing(
    name="specimens",
    columns=(
        Column("number", "Number", lambda row: row.number, Cell.NUMBER, sort="number", is_optional=False),
        Column("name", "Words", lambda row: "=1+1" if row.number == 0 else f"Specimen {row.number}"),
        Column("code", "Code", lambda row: f"ord_{row.number:06}", Cell.CODE, link=lambda _row: "#lists"),
        Column("status", "Status", lambda row: row.status, Cell.STATUS),
        Column("amount", "Amount", lambda row: (row.number * 123_45, "RUB"), Cell.MONEY),
        Column(
            "fee", "Fee", lambda row: (row.number * 1_234_567, "USDT") if row.number % 3 else None, Cell.MONEY
        ),
        Column("at", "Created", lambda row: row.at, Cell.MOMENT, is_shown=False),
    ),
    fetch=_fetch,
    position=lambda row: position_of(row.number),
    endpoint="components.show",
    export_endpoint="components.export_specimens",
    default_sort="-number",
    page_size=_PAGE,
    title="Specimens",
    empty_title="No specimens yet",
    empty_next="They are made when the page is loaded.",
    filters=(
        Filter("q", "Number", hint="7"),
        Filter("status", "Status", Kind.CHOICE, lambda: [(status.value, status.value) for status in Status]),
    ),
)
_CHART = Chart(
    tuple(f"{hour:02}:00" for hour in range(12)),
    (
        Series("Created", (4, 6, 9, 14, 22, 31, 28, 24, 19, 21, 12, 7)),
        Series("Completed", (3, 5, 8, 13, 19, 28, 25, 22, 18, 17, 11, 5)),
    ),
    "orders",
)
_CHANGES = (
    ChangeWords("12%", "up", True),
    ChangeWords("3%", "down", False),
    ChangeWords("8%", "up", None),
)


@blueprint.get("")
@requires(Permission.ACCOUNT_VIEW)
def show() -> ResponseReturnValue:
    right, wrong = SpecimenForm(name="Tara", agreed=True, live=True), SpecimenForm(prefix="wrong-")
    for field in wrong:
        field.errors = [_("This is not right.")]
    return render(
        "dev/components.html",
        _LISTING,
        right=right,
        wrong=wrong,
        changes=_CHANGES,
        chart=_CHART,
        nothing=fixed(_LISTING, (), name="nothing"),
        statuses=list(STATUS),
        now=datetime.now(UTC),
        soon=datetime.now(UTC) + timedelta(minutes=9),
    )


@blueprint.get("/specimens.csv")
@requires(Permission.ACCOUNT_VIEW)
def export_specimens() -> ResponseReturnValue:
    return export(_LISTING)


def register(app: Flask) -> None:
    if get_settings().environment != "production":
        app.register_blueprint(blueprint)
