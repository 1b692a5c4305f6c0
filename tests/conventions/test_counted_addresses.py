"""Whatever is counted by the address that a request comes from is counted by its network: IPv4 address or IPv6 /64."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PORTAL = Path(__file__).parents[2] / "portal"
# What is told of a request, compared with a key's networks, or handed to who takes its network: nothing is counted there.
UNCOUNTED = {
    "api/origin.py": "        ip=request.remote_addr,",
    "api/proof.py": "check_credentials(email, password, request.remote_addr, limits)",
    "api/authentication.py": "key.allows_address(request.remote_addr)",
}


@pytest.mark.proves("tried S16")
def test_a_requests_address_is_counted_as_its_network_everywhere() -> None:
    used, bare = 0, []
    for path in sorted(PORTAL.rglob("*.py")):
        name = str(path.relative_to(PORTAL))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "remote_addr" not in line:
                continue
            used += 1
            is_counted = re.search(r"(network_of|counted_network|uploader_at)\(request\.remote_addr\)", line)
            if not is_counted and UNCOUNTED.get(name, "remote_addr!") not in line:
                bare.append(f"{name}:{number}: {line.strip()}")
    assert used > 5
    assert bare == []
