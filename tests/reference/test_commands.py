"""What an operator types: settings and rates, with a sentence where something is not possible."""

from __future__ import annotations

from flask import Flask

from portal.core.db import db
from portal.reference.queries import current_rate


def run(app: Flask, *command: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=list(command))
    db.session.rollback()
    return result.exit_code, result.output


def test_a_setting_is_listed_set_read_and_put_back(context: Flask) -> None:
    assert run(context, "settings", "set", "webhook_timeout_s", "20") == (0, "webhook_timeout_s = 20\n")
    try:
        assert run(context, "settings", "get", "webhook_timeout_s") == (0, "20\n")
        code, listed = run(context, "settings", "list")
        assert code == 0
        assert "webhook_timeout_s = 20  (changed, default 15)" in listed
    finally:
        assert run(context, "settings", "set", "webhook_timeout_s", "--default") == (
            0,
            "webhook_timeout_s = 15\n",
        )


def test_an_impossible_setting_says_what_is_possible(context: Flask) -> None:
    assert run(context, "settings", "set", "webhook_timeout_s", "61") == (
        1,
        "Error: webhook_timeout_s is at most 60.\n",
    )
    assert run(context, "settings", "set", "no_such", "1") == (1, "Error: There is no setting 'no_such'.\n")
    assert run(context, "settings", "set", "webhook_timeout_s")[0] == 2


def test_a_rate_is_set_by_hand_and_listed(fiat: str, seeded: Flask) -> None:
    assert run(seeded, "rates", "set", fiat, "95.5") == (0, f"1 USDT = 95.500000 {fiat}\n")
    assert current_rate(fiat, "USDT", "payin").micros == 95_500_000
    code, refused = run(seeded, "rates", "set", fiat, "955")
    assert code == 1
    assert "more than 5 % away from the last rate, 95.500000" in refused
    assert run(seeded, "rates", "set", fiat, "955", "--force")[0] == 0
    code, listed = run(seeded, "rates", "list")
    assert code == 0
    (line,) = [line for line in listed.splitlines() if fiat in line]
    assert "955.000000" in line
    assert "fresh" in line


def test_what_is_not_a_rate_is_refused(fiat: str, seeded: Flask) -> None:
    for text in ("0", "1e3", "ninety", "95.1234567", "0.00001"):
        assert run(seeded, "rates", "set", fiat, text)[0] == 1
    assert run(seeded, "rates", "set", fiat, "--", "-5")[0] == 1
    assert run(seeded, "rates", "set", "XXXX", "5")[0] == 1


def test_a_feed_is_named_and_taken_back(fiat: str, seeded: Flask) -> None:
    assert run(seeded, "rates", "feed", fiat, "ftp://rates.example/x", "/a")[0] == 1
    assert run(seeded, "rates", "feed", fiat, "https://rates.example/x", "a")[0] == 1
    assert run(seeded, "rates", "feed", fiat, "https://rates.example/x", "/a")[0] == 0
    assert run(seeded, "rates", "terms", fiat, "--spread-bps", "9999")[0] == 1
    assert "spread 120 bps" in run(seeded, "rates", "terms", fiat, "--spread-bps", "120")[1]
    assert run(seeded, "rates", "feed", fiat, "--manual")[0] == 0
