"""Small disks that can be full: a tmpfs of their own in a private namespace of mounts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

FILLER = "filler"
_WHY = "mounting a small disk takes root and a namespace of its own (make faults, as root)"
needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or os.environ.get("MOUNTS_ARE_PRIVATE") != "1", reason=_WHY
)


@contextmanager
def small_disk(folder: Path, mb: int) -> Iterator[Path]:
    """A file system of that size at `folder` while this lasts."""
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mb}m,mode=711", "nostro-faults", folder], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """Not a byte is left."""
    with (folder / FILLER).open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)


def free(folder: Path) -> None:
    (folder / FILLER).unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """With owners and modes, over the borders of file systems."""
    subprocess.run(["cp", "-a", "--", source, target], check=True)
    subprocess.run(["rm", "-rf", "--", source], check=True)


def megabytes(folder: Path) -> int:
    done = subprocess.run(["du", "-sm", "--", folder], capture_output=True, check=True)
    return int(done.stdout.split()[0])
