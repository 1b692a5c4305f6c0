"""Static files are small on the wire and kept for ever; pages, which hold secrets, are not compressed."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from tests.web.desk import Desk

STATIC = Path(__file__).resolve().parents[2] / "static"
GZIP = {"Accept-Encoding": "gzip, br"}


@pytest.mark.proves("tried U11")
@pytest.mark.parametrize("path", ["/trader/queue", "/trader/requisites", "/account"])
def test_a_portal_page_and_all_its_files_are_150_kb_on_the_wire(desk: Desk, path: str) -> None:
    desk.payin(claimed=True)
    page = desk.browser.get(path, headers=GZIP)
    assert "Content-Encoding" not in page.headers
    total = len(page.data)
    addresses = set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page.text))
    assert len(addresses) >= 9
    for address in addresses:
        file = desk.browser.get(address.replace("&amp;", "&"), headers=GZIP)
        assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        total += len(file.data)
    assert total <= 150_000


@pytest.mark.proves("tried U11")
def test_a_compressed_file_is_the_file(desk: Desk) -> None:
    plain = desk.browser.get("/static/portal/portal.css")
    small = desk.browser.get("/static/portal/portal.css", headers=GZIP)
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.headers["Vary"] == "Accept-Encoding"
    assert int(small.headers["Content-Length"]) == len(small.data)
    assert gzip.decompress(small.data) == plain.data == (STATIC / "portal/portal.css").read_bytes()
    again = desk.browser.get(
        "/static/portal/portal.css", headers=GZIP | {"If-None-Match": small.headers["ETag"]}
    )
    assert again.status_code == 304
