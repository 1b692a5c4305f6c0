"""Only the house's own names are served: what another Host says would stand in redirects, and it is how pages of
elsewhere reach into a machine by a name that they have moved there.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.exceptions import SecurityError

from portal.settings import LOCAL_HOSTS, get_settings

# Supervisors and load balancers ask by address, and are told the same whatever they call us.
_PROBES = frozenset({"/healthz", "/readyz"})


@lru_cache(maxsize=64)
def host_in(said: str) -> str:
    """The name in a Host header, without its port; empty for what is none."""
    try:
        parts = urlsplit(f"//{said}")
        _port = parts.port
    except ValueError:
        return ""
    is_plain = parts.netloc == said and "@" not in said
    return (parts.hostname or "") if is_plain else ""


@lru_cache(maxsize=8)
def names_of(public_host: str, allowed: tuple[str, ...]) -> frozenset[str]:
    """The names that the house answers under; on one's own machine all that mean it."""
    own = LOCAL_HOSTS if public_host in LOCAL_HOSTS else frozenset({public_host})
    return own.union(allowed)


def refuse_other_hosts() -> None:
    """Raises SecurityError (400) for a Host that is neither that of PUBLIC_URL nor among ALLOWED_HOSTS.

    No refusal of the domain: a payment page would answer one with itself.
    """
    settings = get_settings()
    names = names_of(settings.public_host, settings.allowed_hosts)
    if host_in(request.host) not in names and request.path not in _PROBES:
        raise SecurityError("This address is not served here.")


def register(app: Flask) -> None:
    """Before whatever else looks at a request."""
    app.before_request(refuse_other_hosts)
