"""The shop that webhooks go to: checks each with the specification's own library and keeps what it was told."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from standardwebhooks import WebhookVerificationError

from tests.webhooks.receiver import Received, Receiver


class Shop:
    """A receiver that counts. `delay_s` and `status` say how it answers from now on."""

    def __init__(self) -> None:
        self.secrets: tuple[str, ...] = ()
        self.delay_s = 0.0
        self.status = 200
        # What each event said when it came first, and how often it came.
        self.told: dict[str, Any] = {}
        self.sends: Counter[str] = Counter()
        self.refused: list[str] = []
        # Signed before the clock was set and here after it: whoever sent it signs it anew and comes back.
        self.untimely: set[str] = set()
        self.receiver = Receiver(self._reply)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}"

    @property
    def in_hand(self) -> int:
        return self.receiver.open_now

    def start(self) -> None:
        self.receiver.start()

    def stop(self) -> None:
        self.receiver.stop()

    def _verified(self, request: Received) -> Any:
        """By the secret of one of the stores. Raises WebhookVerificationError."""
        *others, last = self.secrets
        for secret in others:
            with suppress(WebhookVerificationError):
                return request.verified_by(secret)
        return request.verified_by(last)

    async def _reply(self, receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        code, request = self.status, receiver.received.pop()
        try:
            content = self._verified(request)
            self.sends[request.id] += 1
            if self.told.setdefault(request.id, content) != content:
                self.refused.append(f"{request.id} came with another content")
        except WebhookVerificationError as error:
            if "timestamp too" in str(error):
                self.untimely.add(request.id)
            else:
                self.refused.append(f"{request.id}: {error}")
            code = 400
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        writer.write(f"HTTP/1.1 {code} X\r\nContent-Length: 2\r\n\r\nok".encode())
        await writer.drain()
