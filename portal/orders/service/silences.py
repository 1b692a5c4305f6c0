"""Silences of the house, given back: nobody is penalised for our outage, nor for one of the database's clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from portal.core.db import hot, transaction
from portal.core.processes.heartbeat import DOORS_BEAT_S, DOORS_CLOSED_S, DOORS_SILENT_S
from portal.orders.models import OPEN, Status, sql_list
from portal.orders.reasons import HouseReason
from portal.orders.transitions import Note

# Whoever began to wait within the silence gets what is missing to them: its rest from then on. The first report of
# another amount begins a wait too, in whatever status it finds the order.
_EXTEND = f"""
WITH waiting AS (
  SELECT o.id, o.status, %(until)s::timestamptz - greatest(%(since)s::timestamptz, w.began) AS lost
    FROM orders o CROSS JOIN LATERAL (
      SELECT max(v.at) AS began FROM order_event v
       WHERE v.order_id = o.id AND (v.from_status IS DISTINCT FROM v.to_status
          OR v.event = 'amount_reported' AND NOT EXISTS (
               SELECT 1 FROM order_event r WHERE r.order_id = v.order_id AND r.event = 'amount_reported' AND r.id < v.id))) w
   WHERE o.due_at > %(since)s
     AND o.status IN {sql_list(OPEN - {Status.DISPUTED})}
), moved AS (
  UPDATE orders o SET due_at = due_at + w.lost, version = version + 1, updated_at = now(),
         match_by = CASE WHEN match_by = due_at THEN match_by + w.lost ELSE match_by END,
         pay_by = CASE WHEN pay_by = due_at THEN pay_by + w.lost ELSE pay_by END,
         confirm_by = CASE WHEN confirm_by = due_at THEN confirm_by + w.lost ELSE confirm_by END
    FROM waiting w
   WHERE o.id = w.id AND o.status = w.status AND o.due_at > %(since)s AND w.lost > interval '0'
  RETURNING o.id, o.status
)
INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind, reason)
SELECT id, '{Note.DEADLINE_EXTENDED.value}', status, status, 'system', '{HouseReason.OUTAGE.value}' FROM moved
"""  # noqa: S608
_SET_BACK = f"""
WITH moved AS (
  UPDATE orders SET due_at = due_at - %(by)s, version = version + 1, updated_at = now(),
         match_by = CASE WHEN match_by = due_at THEN match_by - %(by)s ELSE match_by END,
         pay_by = CASE WHEN pay_by = due_at THEN pay_by - %(by)s ELSE pay_by END,
         confirm_by = CASE WHEN confirm_by = due_at THEN confirm_by - %(by)s ELSE confirm_by END
   WHERE due_at IS NOT NULL AND updated_at > now()
  RETURNING id, status
)
INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind, reason)
SELECT id, '{Note.DEADLINE_CORRECTED.value}', status, status, 'system', '{HouseReason.CLOCK_SET_BACK.value}' FROM moved
"""  # noqa: S608 - constants of this house
_WINDOWS_BACK = """
UPDATE orders SET window_leaves_at = window_leaves_at - %(by)s, version = version + 1
 WHERE window_leaves_at > now() AND updated_at > now()
"""
_RETRIES_NOW = "UPDATE orders SET retry_at = now() WHERE retry_at > now()"
_BEAT = """
INSERT INTO heartbeat (role) VALUES ('clock')
ON CONFLICT (role) DO UPDATE SET beat_at = clock_timestamp(), given_back_until = %(given_back_until)s
"""
_JUDGED = """
UPDATE heartbeat SET silent_from = NULL, silent_until = NULL WHERE role = 'web' AND silent_until = %(until)s
"""
_CLOCK = """
SELECT beat_at, given_back_until, clock_timestamp() AS now FROM heartbeat WHERE role = 'clock' FOR NO KEY UPDATE
"""
_DOORS = "SELECT beat_at, silent_from, silent_until FROM heartbeat WHERE role = 'web'"

Row = Mapping[str, Any]
# What is left of a silence that has been given back: the doors beat once more a moment after the clock.
_NO_SILENCE = timedelta(seconds=2 * DOORS_BEAT_S)


def beat(threshold_s: int) -> timedelta | None:
    """Say that the clock runs, and put deadlines right when the house was silent, or the database's clock set back.

    Silent is the clock, for longer than `threshold_s` (a jump ahead looks like that), or all web processes together, for
    longer than DOORS_SILENT_S: deadlines that were open then move by as much of it as their order waited. When the
    database's clock was set back for longer than `threshold_s`, deadlines that were set by the former time move back
    with it: nobody waits twice, and nobody has less time than was promised. Returns the length of the silence, or of
    the change, negative for back; None when all was well. Opens its own transaction.
    """
    with transaction():
        clock = next(iter(hot(_CLOCK)), None)
        if clock is None:
            hot(_BEAT, {"given_back_until": None})
            return None
        gap: timedelta = clock["now"] - clock["beat_at"]
        if gap.total_seconds() < -threshold_s:
            # Only what was written at a time that is yet to come is known to be older than the change.
            hot(_WINDOWS_BACK, {"by": -gap})
            hot(_RETRIES_NOW)
            hot(_SET_BACK, {"by": -gap})
            hot(_BEAT, {"given_back_until": None})
            return gap
        return _give_back(clock, next(iter(hot(_DOORS)), None), threshold_s)


def _give_back(clock: Row, doors: Row | None, threshold_s: int) -> timedelta | None:
    ended = doors is not None and doors["silent_from"] is not None
    silence = _silence(clock, doors, timedelta(seconds=threshold_s))
    if silence is not None:
        hot(_EXTEND, {"since": silence[0], "until": silence[1]})
    if ended and doors is not None:
        hot(_JUDGED, {"until": doors["silent_until"]})
    hot(_BEAT, {"given_back_until": silence[1] if silence else clock["given_back_until"]})
    return silence[1] - silence[0] if silence else None


def _silence(clock: Row, doors: Row | None, threshold: timedelta) -> tuple[datetime, datetime] | None:
    """The silence to give back now, from and until; what has been given back already is left out."""
    now: datetime = clock["now"]
    parts: list[tuple[datetime, datetime]] = []
    if doors is not None and doors["silent_from"] is not None:
        parts.append((doors["silent_from"], doors["silent_until"]))
    if now - clock["beat_at"] > threshold and not _is_within_the_doors_own(clock, doors):
        parts.append((clock["beat_at"], now))
    if not parts:
        return None
    since, until = min(part[0] for part in parts), max(part[1] for part in parts)
    if clock["given_back_until"] is not None:
        since = max(since, clock["given_back_until"])
    return (since, until) if until - since > _NO_SILENCE else None


def _is_within_the_doors_own(clock: Row, doors: Row | None) -> bool:
    """Whether the doors were silent before the clock was and still are: theirs will be given back as a whole."""
    if doors is None or doors["beat_at"] > clock["beat_at"]:
        return False
    silent_s = (clock["now"] - doors["beat_at"]).total_seconds()
    return bool(DOORS_SILENT_S < silent_s < DOORS_CLOSED_S)
