"""The whole life of the process: less and less may be done, then one file is read, then the answer is written.

Standard input is the file; standard output gets a line of JSON and a JPEG. There is nothing else to talk to.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping

from .isolation import close_the_doors, leave_the_network, limit_resources, try_the_doors

Reader = Callable[[bytes], tuple[bytes, dict[str, object]]]


def main(kind: str) -> None:
    """Read a file of this kind (`image`, `pdf`), or say what is possible in here (`probe`). Does not return."""
    limit_resources()
    has_left = leave_the_network()
    reader = _reader(kind)
    raw = sys.stdin.buffer.read()
    is_filtered = close_the_doors()
    if reader is None:
        _answer(try_the_doors() | {"is_filtered": is_filtered, "has_own_network": has_left})
    else:
        _answer(*_read(reader, raw))
    sys.stdout.flush()
    os._exit(0)  # nothing of what the file has left in memory runs at the end


def _reader(kind: str) -> Reader | None:
    """Imports what reading takes, while that can be opened."""
    if kind == "probe":
        return None
    from . import pictures

    pictures.prepare()
    if kind == "image":
        return pictures.read_picture
    from .documents import read_document

    return read_document


def _read(reader: Reader, raw: bytes) -> tuple[dict[str, object], bytes]:
    try:
        picture, facts = reader(raw)
    except ValueError as error:
        return {"refused": str(error)}, b""
    except MemoryError:
        return {"refused": "memory"}, b""
    return facts, picture


def _answer(facts: Mapping[str, object], picture: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n" + picture)
