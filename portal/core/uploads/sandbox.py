"""Starts the process that reads one file, and hears no more from it than it may say.

It gets no environment, no name of a file, no descriptor but its input, its output and a place for complaints that
nobody reads. It is another program, not a copy of this one: no key or password is in its memory.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

DEADLINE_S = 12.0
LARGEST_ANSWER = 24 * 1024 * 1024
_LONGEST_HEAD = 2000
_HOME = Path(__file__).parent
# `-I`: no environment, no working folder, nobody's own packages.
_START = "import sys; sys.path.insert(0, sys.argv[1]); from sandboxed.main import main; main(sys.argv[2])"
_CHUNK = 1 << 18
_JPEG_BEGINS = b"\xff\xd8\xff"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    IMAGE = "image"
    PDF = "pdf"


class Killed(Exception):
    """It did not come to an end by itself. `reason` is `time`, `memory` or `crash`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file shows: a JPEG, and what is known of it (see CleanFile)."""

    picture: bytes
    look: int | None
    seen_sha256: bytes
    width: int
    height: int
    pages: int
    is_blank: bool


def read_file(kind: Kind, raw: bytes) -> Facts | str:
    """What the file shows, or the code of its refusal. Raises Killed. Takes DEADLINE_S at most."""
    answer, head = _ask(kind.value, raw)
    if answer.get("refused") == "memory":
        raise Killed("memory")
    if "refused" in answer:
        return str(answer["refused"])[:40]
    return _facts(answer, head)


def probe() -> dict[str, bool]:
    """What would be possible in there on this machine (see sandboxed.isolation). Raises Killed."""
    answer, _rest = _ask("probe", b"")
    return {name: bool(value) for name, value in answer.items()}


def _facts(answer: dict[str, Any], picture: bytes) -> Facts:
    """Taken over with suspicion: whoever has conquered the reader may say what he likes."""
    look, seen = answer.get("look"), answer.get("seen")
    numbers = [answer.get(name) for name in ("width", "height", "pages")]
    good = (
        picture.startswith(_JPEG_BEGINS)
        and (look is None or (type(look) is int and -(1 << 63) <= look < 1 << 63))
        and type(seen) is str
        and _DIGEST.fullmatch(seen) is not None
        and all(type(number) is int and 0 < number < 1 << 31 for number in numbers)
        and type(answer.get("is_blank")) is bool
    )
    if not good:
        raise Killed("crash")
    width, height, pages = (int(number or 0) for number in numbers)
    return Facts(picture, look, bytes.fromhex(str(seen)), width, height, pages, answer["is_blank"])


def _ask(job: str, raw: bytes) -> tuple[dict[str, Any], bytes]:
    with _in_memory(raw) as source:
        said, code = _run(job, source)
    if code == 0:
        head, _, rest = said.partition(b"\n")
        try:
            answer = json.loads(head) if len(head) <= _LONGEST_HEAD else None
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer, rest
    raise Killed(_reason(code))


def _reason(code: int) -> str:
    """SIGKILL that we did not send is the kernel's, out of memory; a library without memory aborts or stumbles."""
    if code == -signal.SIGXCPU:
        return "time"
    return "memory" if code == -signal.SIGKILL else "crash"


@contextmanager
def _in_memory(raw: bytes) -> Iterator[IO[bytes]]:
    """A file without a name that can be read from its beginning."""
    with os.fdopen(os.memfd_create("upload"), "wb+") as file:
        file.write(raw)
        file.seek(0)
        yield file


def _run(job: str, source: IO[bytes]) -> tuple[bytes, int]:
    """Everything that it wrote, and how it ended. Raises Killed for too long and too much."""
    until = time.monotonic() + DEADLINE_S
    process = subprocess.Popen(  # noqa: S603 - our own program, no shell, no word from outside
        [sys.executable, "-I", "-c", _START, str(_HOME), job],
        stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/", close_fds=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = _hear(process.stdout, until)
        return said, process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise Killed("time") from None
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _hear(output: IO[bytes], until: float) -> bytes:
    heard = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while selector.select(max(0.0, until - time.monotonic())):
            part = os.read(output.fileno(), _CHUNK)
            if not part:
                return bytes(heard)
            heard += part
            if len(heard) > LARGEST_ANSWER:
                raise Killed("memory")
    raise Killed("time")
