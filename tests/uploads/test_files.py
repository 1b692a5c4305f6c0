"""Where uploaded files are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.core.errors import NotFound
from portal.core.files import LocalFiles, StorageFull


@pytest.mark.proves("ASVS 22")
def test_files_have_random_names_and_are_private(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    first, second = files.put(b"one"), files.put(b"one")
    assert first != second
    assert files.read(first) == b"one"
    (path,) = tmp_path.rglob(first)
    assert path.stat().st_mode & 0o077 == 0
    files.delete(first)
    files.delete(first)
    with pytest.raises(NotFound):
        files.read(first)


@pytest.mark.proves("ASVS 22")
@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "", "a" * 31, "A" * 32, "a" * 32 + "\n", "%2e%2e"]
)
def test_a_key_is_never_a_path(tmp_path: Path, key: str) -> None:
    with pytest.raises(NotFound):
        LocalFiles(tmp_path).read(key)


def test_a_full_disk_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull) as refused:
        LocalFiles(tmp_path).put(b"content")
    assert refused.value.status == 503
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
