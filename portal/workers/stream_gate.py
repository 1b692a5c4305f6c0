"""Who may listen: asked of the web with the cookie that a page sent, so that the rule stands there alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

# So many threads of the web may be busy with streams at once, and none for longer than this.
AT_ONCE = 4
WITHIN_S = 5.0
# One answer does for all pages of a browser that are looked at again within this.
KEEP_S = 5.0
# Set on what is asked: an address that leads back here would ask for ever.
MARK = "X-Nostro-Streams"
# What says who somebody is, and from where they come. Nothing else of a page's request is handed on.
_HANDED_ON = (
    "Cookie",
    "User-Agent",
    "Accept-Language",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
)
_REFUSALS = frozenset({401, 403, 404})


@dataclass(frozen=True, slots=True)
class Admission:
    """What the web said: 200 with who it is and the channels behind each event, or how it refused."""

    status: int
    person: str = ""
    events: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def is_refusal(self) -> bool:
        """Whether it is about this person, and not about a web that is away or busy."""
        return self.status in _REFUSALS


class Gate:
    """Asks the web at `web_url` for people who come to `public_url`. Use it as a context."""

    def __init__(self, web_url: str, public_url: str) -> None:
        self._web_url = web_url.rstrip("/")
        self._host = urlsplit(public_url).netloc
        self._asked: dict[tuple[str, str], tuple[float, asyncio.Task[Admission]]] = {}

    async def __aenter__(self) -> Gate:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=WITHIN_S, sock_read=WITHIN_S),
        )
        return self

    async def __aexit__(self, *_problem: object) -> None:
        await self._session.close()

    async def ask(self, path: str, headers: Mapping[str, str]) -> Admission:
        """May who sent these headers listen at this path? 503 when the web does not say. Never raises."""
        asked = {name: headers[name] for name in _HANDED_ON if name in headers}
        # As a stream, so that a refusal is no page; as JSON, so that the answer is what there is to hear.
        asked |= {"Host": self._host, "Accept": "text/event-stream, application/json", MARK: "1"}
        try:
            async with self._session.get(
                self._web_url + path, headers=asked, allow_redirects=False
            ) as answer:
                if answer.status != 200 or answer.content_type != "application/json":
                    return Admission(answer.status if 400 <= answer.status < 500 else 503)
                said = await answer.json()
                return Admission(200, said["person"], said["events"])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
            return Admission(503)

    async def ask_again(self, path: str, headers: Mapping[str, str]) -> Admission:
        """As ask(), once for all pages of one browser that come with the question together."""
        now = time.monotonic()
        key = path, headers.get("Cookie", "")
        known = self._asked.get(key)
        if known is None or now - known[0] > KEEP_S:
            for old in [each for each, (at, _) in self._asked.items() if now - at > KEEP_S]:
                del self._asked[old]
            known = self._asked[key] = now, asyncio.create_task(self.ask(path, headers))
        return await asyncio.shield(known[1])
