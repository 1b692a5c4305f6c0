"""Putting a checked upload into the file store: the file, and the picture that stands for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from portal.core.files import get_files
from portal.core.uploads.check import CleanFile


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Keys in the file store; `picture_key` is None where the file itself is the picture."""

    file_key: str
    picture_key: str | None


@contextmanager
def kept(upload: CleanFile) -> Iterator[KeptFile]:
    """Keep it for as long as the block writes the row that names it; what fails there leaves no file behind.

    Raises StorageFull.
    """
    files, keys = get_files(), []
    try:
        keys.append(files.put(upload.content))
        if upload.picture is not None:
            keys.append(files.put(upload.picture))
        yield KeptFile(keys[0], keys[1] if len(keys) > 1 else None)
    except BaseException:
        for key in keys:
            files.delete(key)
        raise
