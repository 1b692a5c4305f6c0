"""Where uploaded files live: a folder behind three verbs, under names nobody can guess."""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from portal.core.errors import NotFound, Unavailable
from portal.settings import get_settings

_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)


class StorageFull(Unavailable):
    code, title = "storage_full", "Files can't be stored right now"


class FileStore(Protocol):
    """A place for bytes. A key is all there is to a file: 128 random bits, no name of its owner's choice."""

    def put(self, content: bytes) -> str:
        """Keep the bytes durably and give their key. Raises StorageFull; leaves nothing half-written."""

    def read(self, key: str) -> bytes:
        """The bytes. Raises NotFound, also for what is not a key."""

    def delete(self, key: str) -> None:
        """Forget the bytes; nothing happens when they are gone already."""


class LocalFiles:
    """Files in a local folder, readable by this user only, spread over 256 subfolders."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, content: bytes) -> str:
        key = secrets.token_hex(16)
        path = self._path(key)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_whole(path, content)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
                raise StorageFull("The file can't be stored right now. Try again later.") from error
            raise
        return key

    def read(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise NotFound("There is no such file.") from None

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise NotFound("There is no such file.")
        return self._root / key[:2] / key


def _write_whole(path: Path, content: bytes) -> None:
    """All of the bytes under the name, on disk, or no such name at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # created with mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@lru_cache(maxsize=4)
def _local(root: Path) -> LocalFiles:
    return LocalFiles(root)


def get_files() -> FileStore:
    """The store that the settings name."""
    return _local(get_settings().uploads_dir.resolve())
