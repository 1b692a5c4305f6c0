"""`/admin/people` and its neighbours: who there is, by what they are, with how many are in which state."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from portal.core.db.keyset import COUNTED_TO
from portal.core.permissions import Permission, requires
from portal.web.admin import blueprint
from portal.web.admin.people.lists import people_counts, people_listing, tabs
from portal.web.admin.people.work_lists import WorkList, leads_list, merchants_list, traders_list
from portal.web.ui.lists.export import export
from portal.web.ui.lists.shown import render


@blueprint.get("/people")
@requires(Permission.PERSON_VIEW)
def people() -> ResponseReturnValue:
    return render(
        "admin/people.html", people_listing(), tab_items=tabs, counts=people_counts, counted_to=COUNTED_TO
    )


@blueprint.get("/people.csv")
@requires(Permission.PERSON_EXPORT)
def export_people() -> ResponseReturnValue:
    return export(people_listing())


@blueprint.get("/leads")
@requires(Permission.PERSON_VIEW)
def leads() -> ResponseReturnValue:
    return _work_page(leads_list())


@blueprint.get("/leads.csv")
@requires(Permission.PERSON_EXPORT)
def export_leads() -> ResponseReturnValue:
    return export(leads_list().listing)


@blueprint.get("/traders")
@requires(Permission.TRADER_VIEW)
def traders() -> ResponseReturnValue:
    return _work_page(traders_list())


@blueprint.get("/traders.csv")
@requires(Permission.PERSON_EXPORT)
def export_traders() -> ResponseReturnValue:
    return export(traders_list().listing)


@blueprint.get("/merchants")
@requires(Permission.MERCHANT_VIEW)
def merchants() -> ResponseReturnValue:
    return _work_page(merchants_list())


@blueprint.get("/merchants.csv")
@requires(Permission.PERSON_EXPORT)
def export_merchants() -> ResponseReturnValue:
    return export(merchants_list().listing)


def _work_page(work: WorkList) -> ResponseReturnValue:
    return render(
        "admin/people.html",
        work.listing,
        tab_items=tabs,
        counts=work.states_counted,
        counted_to=COUNTED_TO,
        work=work,
    )
