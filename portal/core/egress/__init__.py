"""Outgoing calls to addresses that other people chose.

Every such call goes through here: the host is resolved once, refused unless every address of it is
public, and the connection is made to the address that was checked, so that DNS can't change its mind
in between. The name stays in Host, SNI and the certificate check. Redirects are answers, not orders;
proxies of the environment are ignored; one deadline covers everything; answers are cut off at a cap.

The asynchronous client is `portal.core.egress.post`, apart from here: only the sender needs aiohttp.
"""

from portal.core.egress.addresses import EgressRefused, check_addresses
from portal.core.egress.fetch import FetchFailed, fetch
from portal.core.egress.policy import Answer, EgressPolicy
from portal.core.egress.targets import Target, check_url, parse_target

__all__ = [
    "Answer",
    "EgressPolicy",
    "EgressRefused",
    "FetchFailed",
    "Target",
    "check_addresses",
    "check_url",
    "fetch",
    "parse_target",
]
