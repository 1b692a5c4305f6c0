"""Which addresses may be called. The rule is a list of what is allowed, then a list of exceptions to it.

`ipaddress.is_global` of Python 3.11 alone is not enough: it says yes to 64:ff9b::7f00:1, 2002:7f00:1::,
fec0::1, ::127.0.0.1, multicast and 192.88.99.1.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Network = IPv4Network | IPv6Network

_GLOBAL_UNICAST_V6 = ipaddress.ip_network("2000::/3")
_NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata at 100.100.100.200
        "168.63.129.16/32",  # a cloud's host agent behind a public-looking address
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "fec0::/10",  # site-local
    )
)


class EgressRefused(Exception):
    """The call was not made. `code` is for records; the text names no internal address."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True for ordinary public unicast addresses that don't embed another address."""
    if not address.is_global or any(
        (
            address.is_multicast,
            address.is_reserved,
            address.is_link_local,
            address.is_unspecified,
            address.is_loopback,
        )
    ):
        return False
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST_V6:
        return False
    return not any(address in network for network in _NEVER)


def is_own(address: IPv4Address | IPv6Address) -> bool:
    """True when this machine itself has the address: the kernel would answer with it. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:
        return False  # no route: connecting will fail by itself


def check_addresses(
    addresses: Iterable[str], port: int, *, ports: frozenset[int], allow_networks: tuple[Network, ...]
) -> None:
    """Pass when every address may be called on this port. Raises EgressRefused.

    An address inside `allow_networks`, which the operator wrote down, passes on any port.
    """
    found = False
    for text in addresses:
        found = True
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise EgressRefused("no_public_address", "The host has no public address.") from None
        if any(address in network for network in allow_networks):
            continue
        if not is_public(address) or is_own(address):
            raise EgressRefused("no_public_address", "The host has no public address.")
        if port not in ports:
            raise EgressRefused("port_not_allowed", f"Port {port} is not allowed.")
    if not found:
        raise EgressRefused("no_public_address", "The host has no public address.")
