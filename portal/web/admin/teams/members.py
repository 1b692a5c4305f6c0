"""Who is in a team, page by page, and who could come into it, as they are looked for."""

from __future__ import annotations

import uuid

from flask import request, url_for
from flask_babel import lazy_gettext as _l

from portal.core.cursors import position_of, value_and_id_in
from portal.core.db.keyset import Page
from portal.traders.staff_list import TraderLine, list_traders_outside, page_of_team
from portal.web.ui.lists.declaration import Asked, Column, Filter, Listing

MOST_FOUND = 20


def members_of(team_id: uuid.UUID) -> Listing[TraderLine]:
    """The live traders of the team by name; `find` of its address is what `found_outside` looks for."""

    def fetch(asked: Asked) -> list[TraderLine]:
        page = Page("name", asked.is_descending, value_and_id_in(asked.after), asked.limit)
        return page_of_team(team_id, asked.get("q"), page)

    return Listing(
        name="team-members",
        columns=(
            Column(
                "name", _l("Name"), lambda line: line.name, sort="name", is_optional=False,
                link=lambda line: url_for("admin.trader", trader_id=line.id),
            ),
        ),
        fetch=fetch,
        position=lambda line: position_of(line.sort_key, line.id),
        endpoint="admin.team",
        default_sort="name",
        title=_l("Traders"),
        empty_title=_l("Nobody is in this team"),
        empty_next=_l("Put a trader into it."),
        filters=(Filter("q", _l("Search"), hint=_l("Name or email")), Filter("find", _l("Trader"))),
        params={"team_id": team_id},
    )  # fmt: skip


def found_outside(team_id: uuid.UUID) -> list[TraderLine] | None:
    """Live traders of other teams and of none who have the looked-for words; None while nothing is looked for."""
    words = request.args.get("find", "").replace("\0", "").strip()[:200]
    return list_traders_outside(team_id, words, MOST_FOUND) if words else None
