"""Lists of traders, leads and merchants: sorted, narrowed and cut into pages by the database, whole and once each."""

from __future__ import annotations

import csv
import html
import io
import re
import uuid

import pytest

from portal.core.db import db, hot, keyset, transaction
from portal.core.db.keyset import COUNTED_TO, Page
from portal.core.observability.trace import traced
from portal.identity.models import Role, User
from portal.identity.proofs.second_factor import forget_factors
from portal.traders.staff_list import page_of_traders
from tests.web.admin.office import Office, column
from tests.web.auth.people import new_browser, with_app
from tests.web.desk import Desk, new_user, path_of

SORTS = ("name", "-name", "created", "team", "-requisites", "open_orders", "-turnover", "orders")


def many(desk: Desk, count: int) -> str:
    """Traders who do nothing, with a word in their names that nobody else has."""
    word = uuid.uuid4().hex[:12]
    with transaction():
        hot(
            "INSERT INTO trader (id, name, team_id, status) SELECT gen_random_uuid(), %(word)s || ' ' || (n % 7),"
            " %(team)s, 'verified' FROM generate_series(1, %(count)s) n",
            {"word": word, "team": desk.scene.team_id, "count": count},
        )
        # As autovacuum would within a minute: plans made for the empty table take seconds.
        hot("ANALYZE trader")
    return word


def walked(office: Office, path: str) -> list[str]:
    """The links of all pages, in their order."""
    found: list[str] = []
    while path:
        answer = office.browser.get(path)
        assert answer.status_code == 200, path
        page = answer.get_data(as_text=True)
        found += re.findall(r'data-label="Name"><a href="([^"]+)"', page)
        more = re.search(r'href="([^"]*after=[^"]*)"', page)
        path = html.unescape(more[1]) if more else ""
    return found


@pytest.mark.parametrize("sort", SORTS)
def test_pages_hold_everybody_once_whatever_they_are_sorted_by(office: Office, desk: Desk, sort: str) -> None:
    word = many(desk, 120)
    seen = walked(office, f"/admin/traders?q={word}&sort={sort}&state=offline")
    assert len(seen) == len(set(seen)) == 120


def test_who_turned_over_most_stands_first_on_every_list(office: Office, desk: Desk) -> None:
    word = many(desk, 60)
    with transaction():
        hot(
            "UPDATE trader SET name = %(word)s || ' Tara' WHERE id = %(id)s",
            {"word": word, "id": desk.trader.id},
        )
    order = desk.payin(claimed=True)
    desk.browser.post(path_of(order, "confirmation"))
    first = walked(office, f"/admin/traders?q={word}&sort=-turnover")[0]
    assert first == f"/admin/traders/{desk.trader.id}"
    page = office.browser.get(f"/admin/traders?q={word}&sort=-orders").get_data(as_text=True)
    assert page.index("15.78") < page.index(f"{word} 0")
    for path in ("/admin/leads?sort=-turnover", "/admin/merchants?sort=-turnover", "/admin/merchants?sort=-stores",
                 "/admin/leads?sort=-traders&state=online", "/admin/merchants?state=offline"):  # fmt: skip
        assert walked(office, path) is not None


def rows_of(office: Office, path: str) -> list[list[str]]:
    answer = office.browser.get(path)
    assert answer.mimetype == "text/csv"
    return list(csv.reader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))


def test_the_files_hold_every_line_of_the_lists_once_with_its_turnover(office: Office, desk: Desk) -> None:
    word = many(desk, 620)
    with transaction():
        hot(
            "UPDATE trader SET name = %(word)s || ' Tara' WHERE id = %(id)s",
            {"word": word, "id": desk.trader.id},
        )
    order = desk.payin(claimed=True)
    desk.browser.post(path_of(order, "confirmation"))
    head, *lines = rows_of(office, f"/admin/traders.csv?q={word}&sort=-turnover&columns=turnover")
    assert head == ["Name", "Turnover", "Turnover (currency)"]
    assert len(lines) == 621
    assert lines[0][0] == f"{word} Tara"
    assert lines[0][1].startswith("15.78")
    lead = new_user(Role.LEAD)
    assert [line[0] for line in rows_of(office, f"/admin/leads.csv?q={lead.email}")[1:]] == [lead.name]
    assert len(rows_of(office, "/admin/merchants.csv?sort=-turnover")) > 1


def test_beyond_any_number_of_lines_the_list_and_its_counts_are_whole(office: Office, desk: Desk) -> None:
    word = many(desk, 6000)
    with traced("a test"):
        first, counts = page_of_traders(word, Page("name", limit=50, state="offline"))
        last, _ = page_of_traders(word, Page("name", is_descending=True, limit=1))
        behind, empty_counts = page_of_traders(
            word, Page("name", after=(last[0].sort_key, last[0].id), limit=50)
        )
    assert len(first) == 50
    assert behind == []
    # Counted as far as anybody wants to know.
    assert counts["offline"] == empty_counts["offline"] == COUNTED_TO + 1
    assert f"{COUNTED_TO:,}+" in office.browser.get(f"/admin/traders?q={word}").get_data(as_text=True)


@pytest.mark.proves("attack 65")
def test_row_65_a_cursor_of_another_sort_is_refused(office: Office, desk: Desk) -> None:
    many(desk, 60)
    page = office.browser.get("/admin/traders?sort=name").get_data(as_text=True)
    found = re.search(r"after=([^\"&]+)", page)
    assert found
    assert office.browser.get(f"/admin/traders?sort=requisites&after={found[1]}").status_code == 400
    assert office.browser.get("/admin/traders?sort=password_hash").status_code == 400


def test_what_the_lists_keep_is_what_the_tables_say(office: Office, desk: Desk) -> None:
    """Second factors and requisites are counted by triggers, whoever changes them."""
    user, secret = with_app()
    kept = "SELECT has_second_factor AS kept FROM users WHERE id = %(id)s"
    assert column(kept, id=user.id) == [True]
    with transaction():
        hot("UPDATE totp_factor SET confirmed_at = NULL WHERE user_id = %(id)s", {"id": user.id})
    assert column(kept, id=user.id) == [False]
    with transaction():
        hot("UPDATE totp_factor SET confirmed_at = now() WHERE user_id = %(id)s", {"id": user.id})
        forget_factors(user.id)
    assert column(kept, id=user.id) == [False]
    assert secret
    of_trader = "SELECT requisites FROM trader WHERE id = %(id)s"
    assert column(of_trader, id=desk.trader.id) == [1]
    with transaction():
        spare = desk.scene.requisite(desk.trader, on=False)
    assert column(of_trader, id=desk.trader.id) == [2]
    with transaction():
        hot("UPDATE requisite SET status = 'archived' WHERE id = %(id)s", {"id": spare.id})
    assert column(of_trader, id=desk.trader.id) == [1]


def test_a_person_was_last_seen_when_they_last_used_a_session(office: Office) -> None:
    seen = "SELECT last_seen_at AS at FROM users WHERE id = %(id)s"
    user = new_user(Role.SUPPORT)
    assert column(seen, id=user.id) == [None]
    browser = new_browser(office.browser)
    assert browser.sign_in(user.email).status_code == 303
    first = column(seen, id=user.id)
    with transaction():
        hot("UPDATE users SET last_seen_at = now() - interval '1 hour' WHERE id = %(id)s", {"id": user.id})
        sql = "UPDATE user_session SET last_seen_at = now() - interval '1 hour' WHERE user_id = %(id)s"
        hot(sql, {"id": user.id})
    path, link = f"/admin/people?state=online&q={user.email}", f"/admin/people/{user.id}"
    assert link not in office.browser.get(path).text
    assert browser.get("/account").status_code == 200
    assert column(seen, id=user.id) == first  # one transaction in this test: it has one time
    assert link in office.browser.get(path).text


def test_a_list_never_sorts_everybody(office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is cut along an index: with a hundred times the lines it looks at no more of them."""
    many(desk, 3000)
    with transaction():
        hot(
            "INSERT INTO merchant (id, name) SELECT gen_random_uuid(), n::text FROM generate_series(1, 3000) n"
        )
        hot("ANALYZE trader")
        hot("ANALYZE merchant")
    plans: list[str] = []
    real = keyset.hot

    def explained(sql: str, params: dict[str, object]) -> list[dict[str, object]]:
        plans.append("\n".join(str(row["QUERY PLAN"]) for row in real(f"EXPLAIN {sql}", params)))
        return real(sql, params)

    monkeypatch.setattr(keyset, "hot", explained)
    for path, index in (
        ("traders?sort=name", "ix_trader_name"),
        ("traders?sort=-created", "ix_trader_created_at"),
        ("traders?sort=-requisites", "ix_trader_requisites"),
        ("merchants?sort=-stores", "ix_merchant_stores"),
        ("merchants?sort=members", "ix_merchant_members"),
    ):
        plans.clear()
        assert office.browser.get(f"/admin/{path}").status_code == 200
        assert index in plans[0], plans[0]


def test_a_trader_whose_verification_was_taken_back_reads_alike_on_every_list(
    office: Office, desk: Desk
) -> None:
    with transaction():
        hot("UPDATE trader SET status = 'suspended' WHERE id = %(id)s", {"id": desk.trader.id})
    lead = office.sign_in(db.session.get_one(User, desk.scene.lead_id))
    pages = (
        office.browser.get(f"/admin/traders?q={desk.trader.name}"),
        office.browser.get(f"/admin/teams/{desk.scene.team_id}"),
        lead.get("/lead"),
    )
    for page in pages:
        assert "Verification taken back" in page.get_data(as_text=True), page.request.path
