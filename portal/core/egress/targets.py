"""Reading and checking the address of a call before it is made."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from portal.core.egress.addresses import EgressRefused, check_addresses
from portal.core.egress.policy import EgressPolicy

Lookup = Callable[..., list[tuple[Any, ...]]]

_VISIBLE = re.compile(r"[!-\[\]-~]{1,2000}")  # visible ASCII without the backslash
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was read strictly: scheme, host (lower case, brackets off) and port are certain."""

    url: str
    scheme: str
    host: str
    port: int


def parse_target(url: str, policy: EgressPolicy) -> Target:
    """Read a URL strictly. Raises EgressRefused for anything that two parsers could read differently."""
    if not _VISIBLE.fullmatch(url):
        raise EgressRefused("url_malformed", "The address has characters that are not allowed in a URL.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise EgressRefused("url_malformed", "The address is not a URL.") from None
    if parts.scheme not in ("https", "http") or not url.lower().startswith(f"{parts.scheme}://"):
        raise EgressRefused("scheme_not_allowed", "The address must start with https://.")
    if parts.scheme == "http" and not policy.allow_http:
        raise EgressRefused("scheme_not_allowed", "The address must start with https://.")
    if "@" in parts.netloc or "%" in parts.netloc or "#" in url:
        raise EgressRefused("url_malformed", "The address must not have a user, a % in its host or a #.")
    if port == 0 or parts.netloc.endswith(":"):
        raise EgressRefused("port_not_allowed", "The port of the address is not allowed.")
    _check_host(host, bracketed="[" in parts.netloc)
    return Target(url, parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def _check_host(host: str, *, bracketed: bool) -> None:
    try:
        if bracketed:
            ipaddress.IPv6Address(host)
        elif _NUMBER.fullmatch(host.rpartition(".")[2]):
            # 127.1, 0x7f.1, 017700000001 and 2130706433 are all loopback to getaddrinfo.
            ipaddress.IPv4Address(host)
        elif not _NAME.fullmatch(host):
            raise EgressRefused("url_malformed", "The host of the address is not a host name.")
    except ValueError:
        raise EgressRefused("url_malformed", "The host of the address is not a host name.") from None


def resolve(host: str, port: int, policy: EgressPolicy, lookup: Lookup) -> list[tuple[Any, ...]]:
    """All addresses of a host as getaddrinfo gives them, each of them allowed. Blocks. Raises EgressRefused.

    A name that does not exist and one that is internal get the same answer, so that nobody can map the
    inside of the house from here.
    """
    try:
        found = lookup(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise EgressRefused("no_public_address", "The host has no public address.") from None
    check_addresses(
        (entry[4][0] for entry in found), port, ports=policy.ports, allow_networks=policy.allow_networks
    )
    return found


def check_url(url: str, policy: EgressPolicy, *, lookup: Lookup = socket.getaddrinfo) -> Target:
    """Read and resolve an address as a call would, without calling it. Blocks. Raises EgressRefused."""
    target = parse_target(url, policy)
    resolve(target.host, target.port, policy, lookup)
    return target
