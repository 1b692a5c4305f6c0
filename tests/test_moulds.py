"""What is made from a mould is what the verbs make."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.core.modes import Mode
from tests import moulds
from tests.scene import Scene, build_scene, made_trader

_TABLES = "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
# Numbers that a sequence or chance gives, of which another row has another.
_OTHER = {
    "id", "entry_id", "posting_id", "account_id", "available_account_id", "held_account_id", "ring", "balance_after",
    "number_last4", "number_masked",
}  # fmt: skip
_WORDS = re.compile(
    r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|(?P<bytes>\\\\x[0-9a-f]+)|(?P<name>lead-[0-9a-f]{32})"
    r"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+\+00:00)|(?P<last4>\*\*\*\d{4})"
)


def written_by(make: Callable[[], Any]) -> dict[str, list[str]]:
    """Table -> the rows that came, ordered by what they say, with ids named in that order."""
    with transaction():
        before = {name: _rows(name) for name in _names()}
        make()
        new = {
            name: sorted((row for row in _rows(name) if row not in before[name]), key=_said)
            for name in _names()
        }
    names: dict[str, str] = defaultdict(lambda: f"#{len(names)}")

    def plain(found: re.Match[str]) -> str:
        return names[found[0]] if found["id"] else f"<{found.lastgroup}>"

    return {name: [_WORDS.sub(plain, json.dumps(_same(row))) for row in rows] for name, rows in new.items()}


def _said(row: dict[str, Any]) -> str:
    """Where a row is put says nothing: a page that has room may be an earlier one."""
    return _WORDS.sub("", json.dumps(_same(row)))


def _names() -> list[str]:
    return [row["name"] for row in hot(_TABLES)]


def _rows(table: str) -> list[dict[str, Any]]:
    """What this transaction has written into it."""
    sql = f"SELECT to_jsonb(t) AS row FROM {table} t WHERE xmin::text::bigint >= txid_current() ORDER BY ctid"
    return [row["row"] for row in hot(sql)]


def _same(row: dict[str, Any]) -> dict[str, Any]:
    """Without numbers; an id that is a UUID stays."""
    return {name: value for name, value in row.items() if name not in _OTHER or "-" in str(value)}


def a_requisite(**options: Any) -> Callable[[Scene], object]:
    def make(scene: Scene) -> object:
        trader = made_trader("Tara", scene.team_id, Mode.LIVE, 0)
        return scene.requisite(trader, **options)

    return make


@pytest.mark.parametrize(
    "make",
    [
        lambda _scene: build_scene(),
        lambda _scene: build_scene(store_fee_bps=500),
        lambda scene: scene.trader(),
        lambda scene: scene.trader(working=False, deposit_minor=0),
        lambda scene: made_trader("Tess", scene.team_id, Mode.TEST, 5),
        a_requisite(),
        a_requisite(on=False, max_open_orders=3),
        a_requisite(window_s=60, window_amount_limit=1600_00, tier=2, weight=3, total_amount_limit=5),
    ],
)
def test_what_is_made_from_a_mould_is_what_the_verbs_make(
    app: Flask, make: Callable[[Scene], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        scene = build_scene()
    with transaction():
        make(scene)  # opens the world's accounts
    monkeypatch.setattr(moulds, "_moulds", {})
    by_verbs, cast = written_by(lambda: make(scene)), written_by(lambda: make(scene))
    assert moulds._moulds
    # Of each change an image is noted: what comes at once has one.
    for one in (by_verbs, cast):
        one["change_image"] = sorted({json.loads(row)["table_name"] for row in one["change_image"]})
    assert cast == by_verbs
