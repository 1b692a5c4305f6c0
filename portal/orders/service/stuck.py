"""Orders whose deadline could not be acted on: each is tried again, later and later."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, field

FIRST_S, LONGEST_S = 1.0, 300.0


@dataclass
class Stuck:
    """What this process knows of them. Whoever takes over tries each at once, and learns it anew."""

    _tries: dict[uuid.UUID, int] = field(default_factory=dict)
    _rest_until: dict[uuid.UUID, float] = field(default_factory=dict)

    def note(self, order_id: uuid.UUID) -> None:
        """It failed once more: it rests for twice as long as before, from a second to five minutes, give or take a tenth."""
        tries = self._tries[order_id] = self._tries.get(order_id, 0) + 1
        seconds = min(FIRST_S * 2.0 ** min(tries - 1, 16), LONGEST_S)
        self._rest_until[order_id] = time.monotonic() + seconds * random.uniform(0.9, 1.1)  # noqa: S311 - a pause

    def forget(self, order_id: uuid.UUID) -> None:
        self._tries.pop(order_id, None)
        self._rest_until.pop(order_id, None)

    def resting(self) -> list[uuid.UUID]:
        """Those that are not to be tried now. One that has not come for an hour has been settled by somebody else."""
        now = time.monotonic()
        for order_id in [one for one, until in self._rest_until.items() if until < now - 3600]:
            self.forget(order_id)
        return [order_id for order_id, until in self._rest_until.items() if until > now]
