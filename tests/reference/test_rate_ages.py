"""A rate that grows old is told before it stops a currency, in every place where somebody looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from prometheus_client import generate_latest

from portal.core.actors import Actor, ActorKind
from portal.core.db import db, hot, transaction
from portal.events import readiness
from portal.identity.models import Role
from portal.reference import service
from portal.reference.models import Currency, RatePair
from portal.reference.rate_ages import tell_of_ageing_rates
from portal.reference.snapshot import forget_all
from portal.workers.exporter import registry_of
from tests.web.auth.people import new_user

pytestmark = pytest.mark.proves("tried N6")
CODE, PAIR = "TAGED", "USDT/TAGED"


@pytest.fixture
def house(committed_db: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """A house whose rates are all fresh but that of one currency, which is an hour old of two at most."""
    monkeypatch.setattr(readiness, "KEEP_S", -1.0)
    readiness.forget_answer()
    with transaction():
        hot("DELETE FROM notification")
        hot("UPDATE rate_pair SET is_active = false")
        if db.session.get(Currency, CODE) is None:
            db.session.add(Currency(code=CODE, exponent=2, name_en=CODE, name_ru=CODE))
            db.session.flush()
            db.session.add(RatePair(base="USDT", quote=CODE, stale_after_s=7200))
        hot("UPDATE rate_pair SET is_active = true WHERE quote = %(code)s", {"code": CODE})
        hot("INSERT INTO heartbeat (role) VALUES ('clock') ON CONFLICT (role) DO UPDATE SET beat_at = now()")
    forget_all()
    renew()
    yield committed_db
    readiness.forget_answer()


def renew(age_s: int = 0) -> None:
    with transaction():
        service.set_rate("USDT", CODE, 2_000_000, Actor(ActorKind.OPS))
        hot(
            "UPDATE rate_pair SET observed_at = clock_timestamp() - make_interval(secs => %(s)s::int)"
            " WHERE quote = %(code)s",
            {"s": age_s, "code": CODE},
        )


def ready(house: Flask) -> tuple[int, str]:
    answer = house.test_client().get("/readyz")
    return answer.status_code, answer.get_json()["checks"]["rates"]


def doctor(house: Flask) -> list[dict[str, Any]]:
    result = house.test_cli_runner().invoke(args=["doctor", "--json"])
    return [one for one in json.loads(result.output)["findings"] if one["check"] == "rates"]


def bells() -> list[tuple[Any, dict[str, str], bool]]:
    with transaction():
        rows = hot("SELECT user_id, params, read_at FROM notification WHERE kind = 'rate_ageing' ORDER BY id")
    return [(row["user_id"], row["params"], row["read_at"] is None) for row in rows]


def test_the_doctor_warns_from_half_of_the_allowed_age_and_fails_when_it_is_over(house: Flask) -> None:
    assert [one["grade"] for one in doctor(house)] == ["ok"]
    renew(age_s=3500)
    assert [one["grade"] for one in doctor(house)] == ["ok"]
    renew(age_s=3700)
    (warned,) = doctor(house)
    assert (warned["grade"], warned["cure"]) == ("warning", f"Run: flask rates set {CODE} RATE --base USDT")
    assert f"{PAIR} is 370" in warned["found"]
    renew(age_s=7300)
    (failed,) = doctor(house)
    assert (failed["grade"], "refused" in failed["found"]) == ("failure", True)
    with transaction():
        hot("UPDATE rate_pair SET source_kind = 'http_json', feed_url = 'https://rates.example', json_pointer = '/a',"
            " last_error = 'the feed answered 500' WHERE quote = %(c)s", {"c": CODE})  # fmt: skip
    try:
        (failed,) = doctor(house)
        assert (
            failed["cure"]
            == f"Run: flask rates refresh {CODE} --base USDT. Its feed last said: the feed answered 500."
        )
    finally:
        with transaction():
            hot(
                "UPDATE rate_pair SET source_kind = 'manual', last_error = NULL WHERE quote = %(c)s",
                {"c": CODE},
            )


def test_a_pair_that_never_had_a_rate_is_a_warning(house: Flask) -> None:
    with transaction():
        hot(
            "UPDATE rate_pair SET current_micros = NULL, observed_at = NULL, current_source = NULL WHERE quote = %(c)s",
            {"c": CODE},
        )
    (warned,) = doctor(house)
    assert (warned["grade"], PAIR in warned["found"]) == ("warning", True)
    assert ready(house) == (200, "ok")
    assert "nostro_rate_age_seconds{" not in generate_latest(registry_of(house, None)).decode()


def test_readiness_names_the_pair_and_takes_no_process_out_of_service(house: Flask) -> None:
    assert ready(house) == (200, "ok")
    renew(age_s=3700)
    assert ready(house) == (200, f"ageing: {PAIR}")
    renew(age_s=7300)
    assert ready(house) == (200, f"stale: {PAIR}")


def test_metrics_tell_the_age_and_how_old_it_may_be(house: Flask) -> None:
    renew(age_s=3700)
    said = generate_latest(registry_of(house, None)).decode()
    (age,) = [
        line for line in said.splitlines() if line.startswith(f'nostro_rate_age_seconds{{pair="{PAIR}"}}')
    ]
    assert 3699 < float(age.split()[-1]) < 3900
    assert f'nostro_rate_allowed_age_seconds{{pair="{PAIR}"}} 7200.0' in said


def test_administrators_are_told_once_until_there_is_a_fresh_rate(house: Flask) -> None:
    admin, support = new_user(Role.ADMIN), new_user(Role.SUPPORT)
    assert tell_of_ageing_rates() == 0
    renew(age_s=3700)
    assert tell_of_ageing_rates() >= 1
    assert tell_of_ageing_rates() == 0, "told once"
    told = [(params["pair"], unread) for user, params, unread in bells() if user == admin.id]
    assert told == [(PAIR, True)]
    assert support.id not in {user for user, _, _ in bells()}
    with transaction():
        mails = hot(
            "SELECT 1 AS one FROM mail WHERE kind = 'rate_ageing' AND recipient = %(to)s", {"to": admin.email}
        )
    assert mails == [], "by mail only who chose it"
    renew()
    assert tell_of_ageing_rates() == 0
    assert [unread for user, _, unread in bells() if user == admin.id] == [False], "it is over"
    renew(age_s=3700)
    assert tell_of_ageing_rates() >= 1, "another time is told again"
