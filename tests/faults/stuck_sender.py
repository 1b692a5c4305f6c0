"""`python -m tests.faults.stuck_sender`: the relay as it is, with a sender whose loop hangs once it has work."""

from __future__ import annotations

import time
from typing import Any

from portal.workers.relay import run_relay
from portal.workers.sender import Sender


async def hang(_sender: Sender, _session: Any, _claim: Any) -> None:
    time.sleep(3600)


if __name__ == "__main__":
    from wsgi import app

    Sender._deliver = hang  # type: ignore[method-assign]
    run_relay(app)
