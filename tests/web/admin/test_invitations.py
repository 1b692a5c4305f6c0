"""Letting people in: what the link gives, and to whom."""

from __future__ import annotations

import re
import uuid

import pytest

from portal.identity.models import Role
from portal.settings import get_settings
from portal.web.admin.people import invitations
from tests.web.admin.office import Office, column
from tests.web.auth.people import forget_proof
from tests.web.desk import Desk

ROLES = "SELECT unnest(roles) FROM invitation WHERE email = %(email)s"
MEMBER = "SELECT member_role FROM invitation WHERE email = %(email)s"


def some_email() -> str:
    return f"{uuid.uuid4().hex}@example.test"


def form(email: str, **more: object) -> dict[str, object]:
    return {
        "email": email,
        "roles": "support",
        "team": "",
        "merchant": "",
        "member_role": "viewer",
        "language": "en",
    } | more


def test_an_invitation_is_stored_mailed_and_written_down(office: Office) -> None:
    email = some_email()
    answer = office.post("/admin/invitations", form(email, roles=["support", "lead"]))
    assert answer.status_code == 303
    assert sorted(column(ROLES, email=email)) == ["lead", "support"]
    assert column("SELECT kind FROM mail WHERE recipient = %(to)s", to=email) == ["invitation"]
    assert [action for action, _ in office.audited(email)] == ["invitation.created"]
    assert email in office.browser.get("/admin/invitations").get_data(as_text=True)


@pytest.mark.proves("tried N10")
def test_without_a_mail_server_the_link_is_shown_to_be_handed_over(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = get_settings().model_copy(update={"smtp_host": None, "environment": "production"})
    monkeypatch.setattr(invitations, "get_settings", lambda: nowhere)
    for htmx in (False, True):
        email = some_email()
        answer = office.post("/admin/invitations", form(email), htmx=htmx)
        assert answer.status_code == 200
        said = answer.get_data(as_text=True)
        assert "No mail can be sent" in said
        assert "on its way" not in said
        link = re.search(r"<code>[^<]*(/invitation/[\w-]+)</code>", said)
        assert link
        assert column("SELECT count(*) FROM mail WHERE recipient = %(to)s", to=email) == [0]
        assert office.app.test_client().get(link[1]).status_code == 200
        assert link[1] not in office.browser.get("/admin/invitations").text


@pytest.mark.proves("tried N10")
def test_what_is_said_of_an_invitation_is_where_its_letter_goes(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = get_settings()
    for settings, words in (
        (here.model_copy(update={"smtp_host": None}), "is in the mailbox"),
        (here.model_copy(update={"smtp_host": "mail.example.com"}), "is on its way"),
    ):
        monkeypatch.setattr(invitations, "get_settings", lambda settings=settings: settings)
        email = some_email()
        assert office.post("/admin/invitations", form(email)).status_code == 303
        assert words in office.browser.get("/admin/invitations").text
        assert column("SELECT kind FROM mail WHERE recipient = %(to)s", to=email) == ["invitation"]


def test_a_member_of_chosen_stores_is_invited_with_htmx(office: Office, desk: Desk) -> None:
    merchant, email = desk.scene.store.merchant_id, some_email()
    sent = form(email, roles="merchant", merchant=str(merchant), member_role="accountant",
                store_ids=str(desk.scene.store_id))  # fmt: skip
    assert office.post("/admin/invitations", sent, htmx=True).headers["HX-Redirect"] == "/admin/invitations"
    assert column(MEMBER, email=email) == ["accountant"]
    assert column("SELECT unnest(store_ids) FROM invitation WHERE email = %(e)s", e=email) == [
        desk.scene.store_id
    ]


def test_a_trader_is_invited_into_a_team(office: Office, desk: Desk) -> None:
    email = some_email()
    assert (
        office.post(
            "/admin/invitations", form(email, roles="trader", team=str(desk.scene.team_id))
        ).status_code
        == 303
    )
    assert column("SELECT team_id FROM invitation WHERE email = %(e)s", e=email) == [desk.scene.team_id]


def test_a_form_that_makes_no_sense_is_shown_again_and_stores_nothing(
    office: Office, desk: Desk, stranger: Desk
) -> None:
    email = some_email()
    foreign = {
        "roles": "merchant",
        "merchant": str(desk.scene.store.merchant_id),
        "store_ids": str(stranger.scene.store_id),
    }
    for more in (
        {"roles": []},
        {"roles": "merchant"},
        {"roles": "king"},
        {"email": "nobody"},
        {"language": "xx"},
        foreign,
    ):
        assert office.post("/admin/invitations", form(email) | more).status_code == 422, more
    part = office.post("/admin/invitations", form("nobody"), htmx=True)
    assert part.status_code == 422
    assert part.get_data(as_text=True).lstrip().startswith("<form")
    assert column(ROLES, email=email) == []


@pytest.mark.proves("attack 69", "ASVS 7")
def test_row_69_nobody_alone_invites_an_administrator(office: Office) -> None:
    email = some_email()
    assert (
        office.post("/admin/invitations", form(email, roles=["support", Role.ADMIN.value])).status_code == 422
    )
    assert column(ROLES, email=email) == []


@pytest.mark.proves("attack 69")
@pytest.mark.parametrize("roles", [["trader"], ["lead"], ["support"]])
def test_row_69_nobody_invites_themselves(office: Office, roles: list[str]) -> None:
    for typed in (office.ada.email, f" {office.ada.email.upper()} "):
        answer = office.post("/admin/invitations", form(typed, roles=roles))
        assert answer.status_code == 403
        assert "ask another administrator" in answer.get_data(as_text=True)
    assert column(ROLES, email=office.ada.email) == []
    assert column("SELECT kind FROM mail WHERE recipient = %(to)s", to=office.ada.email) == []
    assert office.post("/admin/invitations", form(office.ben.email, roles=roles)).status_code == 303


def test_an_invitation_is_withdrawn_once(office: Office) -> None:
    email = some_email()
    office.post("/admin/invitations", form(email))
    found = column("SELECT id FROM invitation WHERE email = %(e)s", e=email)[0]
    assert office.post(f"/admin/invitations/{found}/withdrawal").status_code == 303
    assert column("SELECT revoked_at IS NOT NULL FROM invitation WHERE id = %(id)s", id=found) == [True]
    assert office.post(f"/admin/invitations/{found}/withdrawal").status_code == 404


def test_inviting_needs_a_fresh_proof_and_the_permission(office: Office, desk: Desk) -> None:
    email = some_email()
    assert desk.browser.post("/admin/invitations", form(email), htmx=False).status_code == 403
    forget_proof(office.ada)
    assert "/sudo" in office.post("/admin/invitations", form(email)).location
    assert column(ROLES, email=email) == []
