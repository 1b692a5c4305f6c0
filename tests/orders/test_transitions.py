"""The one table of what may happen, and the database's rule that refuses everything else, are the same."""

from __future__ import annotations

import itertools

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from portal.core.db import db, hot, transaction
from portal.orders.models import Direction, Status
from portal.orders.transitions import PAYIN, PAYOUT
from tests.rows import change
from tests.scene import Scene

MOVES = {
    (direction, source.value, row.target.value)
    for direction, rows in ((Direction.PAYIN.value, PAYIN), (Direction.PAYOUT.value, PAYOUT))
    for row in rows
    for source in row.sources
    if source != row.target
}


def is_let_through(direction: str, source: str, target: str) -> bool:
    """Whether the rule lets a row that is nothing but a direction and a status make this move."""
    row = {"direction": direction, "source": source, "target": target}
    change("INSERT INTO moving VALUES (gen_random_uuid(), %(direction)s, %(source)s)", row)
    try:
        with db.session.begin_nested():
            change("UPDATE moving SET status = %(target)s", row)
    except (psycopg.errors.CheckViolation, DBAPIError):
        return False
    finally:
        change("DELETE FROM moving")
    return True


@pytest.mark.proves("tried C9")
def test_the_database_lets_an_order_move_as_the_table_says_and_not_otherwise(scene: Scene) -> None:
    del scene
    hot("CREATE TEMPORARY TABLE moving (id uuid, direction text, status text) ON COMMIT DROP")
    hot(
        "CREATE TRIGGER moves BEFORE UPDATE ON moving FOR EACH ROW"
        " WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION order_status_moves()"
    )
    every_move = itertools.product(Direction, itertools.permutations(Status, 2))
    let_through = {
        (direction.value, source.value, target.value)
        for direction, (source, target) in every_move
        if is_let_through(direction, source, target)
    }
    assert let_through == MOVES


@pytest.mark.proves("tried C9")
def test_an_order_itself_is_under_the_databases_rule(scene: Scene) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    with pytest.raises(psycopg.errors.CheckViolation, match="can not become review"), transaction():
        hot("UPDATE orders SET status = 'review' WHERE id = %(id)s", {"id": order.id})
