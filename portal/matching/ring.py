"""Where the next search starts: a weighted round-robin that writes no index.

Each requisite has a fixed random place on a ring. A process remembers, for each bucket and tier, where its
last pick was; the next search starts there and moves on once the requisite has had as many orders in a row
as its weight. So in one revolution every requisite that is free all the time gets exactly its weight, and
after any number of picks by one process the counts of two such requisites, each divided by its weight,
differ by at most one. With P processes picking (threads of one share a cursor), by at most P.
Requisites that are passed over (locked, used up, another amount) lose that turn.
"""

from __future__ import annotations

from collections.abc import Hashable

RING = 2**31


class RingCursors:
    """Positions of one process. Lost at its end, which only moves the start."""

    def __init__(self, first_start: int) -> None:
        self._first_start = first_start
        self._places: dict[tuple[Hashable, int], tuple[int, int]] = {}

    def starts(self, bucket: Hashable, tiers: int) -> list[int]:
        """Where to start in tier 1, 2, ...: the last requisite while it has turns left, else right after it."""
        return [self._start(bucket, tier) for tier in range(1, tiers + 1)]

    def _start(self, bucket: Hashable, tier: int) -> int:
        place = self._places.get((bucket, tier))
        if place is None:
            return self._first_start
        ring, turns_left = place
        return ring if turns_left > 0 else (ring + 1) % RING

    def advance(self, bucket: Hashable, tier: int, ring: int, weight: int) -> None:
        """Remember that the requisite at `ring` was taken."""
        key = (bucket, tier)
        place = self._places.get(key)
        same_again = place is not None and place[0] == ring and place[1] > 0
        turns_left = place[1] - 1 if same_again and place is not None else weight - 1
        self._places[key] = (ring, turns_left)
