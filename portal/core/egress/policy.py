"""What this installation allows outgoing calls to do, and what comes back from one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from portal.core.egress.addresses import Network
from portal.settings import Settings, get_settings


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """`ports` are open on public addresses; addresses in `allow_networks` may be called on any port."""

    allow_http: bool = False
    ports: frozenset[int] = frozenset({443})
    allow_networks: tuple[Network, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings | None = None, *, allow_http: bool = False) -> Self:
        """The operator's policy; `allow_http` opens http and port 80 for this call (test mode)."""
        settings = settings or get_settings()
        http = allow_http or settings.webhooks_allow_http
        ports = frozenset(settings.egress_ports) | (frozenset({80}) if http else frozenset())
        return cls(allow_http=http, ports=ports, allow_networks=settings.egress_allow_networks)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and the beginning of the body, up to the cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool
