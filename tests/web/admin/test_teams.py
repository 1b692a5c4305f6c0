"""Teams: formed, renamed, given to another lead, and who is in them."""

from __future__ import annotations

import html
import re
import uuid

import pytest

from portal.core.db import hot, transaction
from portal.identity.models import Role
from portal.traders.queries import get_trader_terms
from portal.traders.service import set_team_switches
from tests.rows import change
from tests.web.admin.office import Office, column
from tests.web.desk import Desk, new_user

READY = "SELECT bool_and(trader_payin_on) FROM requisite WHERE trader_id = %(id)s"


def form_team(office: Office, name: str = "North") -> tuple[uuid.UUID, uuid.UUID]:
    lead = new_user(Role.LEAD)
    answer = office.post("/admin/teams", {"name": name, "lead": str(lead.id)})
    assert answer.status_code == 303
    return uuid.UUID(answer.location.rpartition("/")[2]), lead.id


def test_a_team_is_formed_renamed_and_led_by_another(office: Office) -> None:
    team_id, lead_id = form_team(office)
    other = new_user(Role.LEAD)
    changed = office.post(
        f"/admin/teams/{team_id}", {"name": " South  end ", "lead": str(other.id)}, htmx=True
    )
    assert changed.headers["HX-Redirect"].endswith(str(team_id))
    assert column("SELECT name FROM team WHERE id = %(id)s", id=team_id) == ["South end"]
    assert column("SELECT lead_id FROM team WHERE id = %(id)s", id=team_id) == [other.id]
    assert [action for action, _ in office.audited(team_id)] == ["team.opened", "team.changed"]
    assert lead_id != other.id


def test_only_a_lead_leads_and_a_team_has_a_name(office: Office) -> None:
    team_id, lead_id = form_team(office)
    support = new_user(Role.SUPPORT)
    for sent in (
        {"name": "X", "lead": str(support.id)},
        {"name": " ", "lead": str(lead_id)},
        {"name": "x" * 81, "lead": str(lead_id)},
    ):
        assert office.post(f"/admin/teams/{team_id}", sent).status_code == 422
        assert office.post("/admin/teams", sent).status_code == 422
    assert column("SELECT name FROM team WHERE id = %(id)s", id=team_id) == ["North"]


def test_a_trader_moves_and_follows_the_switches_of_the_new_team(office: Office, desk: Desk) -> None:
    team_id, lead_id = form_team(office)
    with transaction():
        set_team_switches(team_id, payin_on=False, payout_on=True)
    assert column(READY, id=desk.trader.id) == [True]
    path = f"/admin/teams/{team_id}/traders"
    assert office.post(path, {"trader": str(desk.trader.id)}).status_code == 303
    assert column("SELECT team_id FROM trader WHERE id = %(id)s", id=desk.trader.id) == [team_id]
    assert column(READY, id=desk.trader.id) == [False]
    assert get_trader_terms(desk.trader.id).lead_id == lead_id
    assert office.post(path, {"trader": "nobody"}).status_code == 422
    assert office.post(path, {"trader": str(uuid.uuid4())}).status_code == 404
    removal = f"{path}/{desk.trader.id}/removal"
    assert office.post(removal).status_code == 303
    assert column("SELECT team_id FROM trader WHERE id = %(id)s", id=desk.trader.id) == [None]
    assert column(READY, id=desk.trader.id) == [True]
    assert office.post(removal).status_code == 404
    assert [action for action, _ in office.audited(desk.trader.id)].count("trader.moved") == 2


@pytest.mark.proves("tried S7")
def test_an_administrator_who_leads_a_team_changes_neither_its_lead_nor_its_traders(
    office: Office, desk: Desk
) -> None:
    """Else they would be no party to its orders for as long as it takes to decide about one."""
    (team_id, lead_id), me = form_team(office), office.ada.id
    own = desk.scene.team_id
    change("INSERT INTO user_role (user_id, role) VALUES (%(me)s, 'lead')", {"me": me})
    change("UPDATE team SET lead_id = %(me)s WHERE id = %(id)s", {"me": me, "id": own})
    for path, sent in (
        (f"/admin/teams/{own}", {"name": "Given away", "lead": str(lead_id)}),
        (f"/admin/teams/{team_id}", {"name": "Taken", "lead": str(me)}),
        ("/admin/teams", {"name": "Formed", "lead": str(me)}),
        (f"/admin/teams/{team_id}/traders", {"trader": str(desk.trader.id)}),
        (f"/admin/teams/{own}/traders/{desk.trader.id}/removal", {}),
    ):
        answer = office.post(path, sent)
        assert answer.status_code == 403, path
        assert "Nobody does this to themselves" in answer.text
    led = column("SELECT id FROM team WHERE lead_id = %(me)s", me=me)
    assert (led, column("SELECT lead_id FROM team WHERE id = %(id)s", id=team_id)) == ([own], [lead_id])
    assert column("SELECT team_id FROM trader WHERE id = %(id)s", id=desk.trader.id) == [own]
    assert office.post(f"/admin/teams/{own}", {"name": "Mine", "lead": str(me)}).status_code == 303


def test_nobody_else_changes_teams(office: Office, desk: Desk) -> None:
    answer = desk.browser.post(
        f"/admin/teams/{desk.scene.team_id}", {"name": "Mine", "lead": str(desk.user.id)}
    )
    assert answer.status_code == 403
    assert column("SELECT name FROM team WHERE id = %(id)s", id=desk.scene.team_id) == ["Lena's team"]


def test_a_large_team_comes_in_pages_and_others_are_looked_for(office: Office, desk: Desk) -> None:
    team_id, _lead = form_team(office)
    word = uuid.uuid4().hex[:12]
    with transaction():
        for where, count in ((team_id, 60), (None, 30)):
            hot(
                "INSERT INTO trader (id, name, team_id, status) SELECT gen_random_uuid(), %(word)s || n, %(team)s,"
                " 'verified' FROM generate_series(1, %(count)s) n",
                {"word": word, "team": where, "count": count},
            )
    first = office.browser.get(f"/admin/teams/{team_id}").get_data(as_text=True)
    assert first.count('id="member-') == 50
    assert "found-" not in first
    more = html.unescape(re.search(r'href="([^"]*after=[^"]*)"', first)[1])  # type: ignore[index]
    assert office.browser.get(more).get_data(as_text=True).count('id="member-') == 10
    assert (
        office.browser.get(f"/admin/teams/{team_id}?q={word}1").get_data(as_text=True).count('id="member-')
        == 11
    )
    found = office.browser.get(f"/admin/teams/{team_id}?find={word}").get_data(as_text=True)
    assert found.count('id="found-') == 20
    assert "There are more." in found
    nobody = office.browser.get(f"/admin/teams/{team_id}?find=x{word}").get_data(as_text=True)
    assert "No trader outside this team" in nobody
    assert office.browser.get(f"/admin/teams/{team_id}?after=WyJ4IiwgInkiXQ").status_code == 400
