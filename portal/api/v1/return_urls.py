"""Where a customer may be sent back to: only an address whose origin the store has registered."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from portal.core.errors import ValidationFailed
from portal.merchants.queries import StoreTerms

_DEFAULT_PORTS = {"https": 443, "http": 80}
# What browsers strip, fold or read differently from servers has no place in an address.
_PLAIN = re.compile(r"https?://[^/?#\\@\s]+([/?#][^\\\s]*)?", re.ASCII | re.IGNORECASE)


def check_return_url(url: str, store: StoreTerms) -> str:
    """The same address when scheme, host and port are those of a registered origin, exactly.

    Raises ValidationFailed: malformed, origin_not_registered.
    """
    origin = origin_of(url)
    if origin is None:
        raise ValidationFailed.of(
            "return_url", "malformed", "Give an address such as https://shop.example/back."
        )
    if origin not in {origin_of(registered) for registered in store.return_origins}:
        raise ValidationFailed.of(
            "return_url",
            "origin_not_registered",
            "The store has not registered this origin for return addresses.",
        )
    return url


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port, or None for what is not a plain http(s) address in ASCII."""
    if not url.isascii() or not url.isprintable() or not _PLAIN.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if not parts.hostname or parts.netloc.endswith(":"):
        return None
    return scheme, parts.hostname.lower(), port if port is not None else _DEFAULT_PORTS[scheme]
