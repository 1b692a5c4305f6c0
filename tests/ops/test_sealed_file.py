"""A sealed file gives back what was written, or says that it can't: never a changed byte."""

from __future__ import annotations

import io
import os

import pytest

from portal.ops.sealed_file import CHUNK, MAGIC, SealBroken, SealedReader, SealedWriter

SECRET = b"s" * 40
HEADER = len(MAGIC) + 32
SEALED = CHUNK + 16


def sealed(content: bytes, secret: bytes = SECRET) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, secret)
    for start in range(0, len(content), 300_000):
        writer.write(content[start : start + 300_000])
    writer.finish()
    return file.getvalue()


def opened(file: bytes, secret: bytes = SECRET) -> bytes:
    return SealedReader(io.BytesIO(file), secret).read()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])
def test_any_length_comes_back(size: int) -> None:
    content = os.urandom(size)
    file = sealed(content)
    assert opened(file) == content
    assert size < 16 or content[:64] not in file
    reader = SealedReader(io.BytesIO(file), SECRET)
    assert b"".join(iter(lambda: reader.read(777_777), b"")) == content


def test_equal_contents_look_different() -> None:
    assert sealed(b"x" * 100)[HEADER:] != sealed(b"x" * 100)[HEADER:]


def changed(file: bytes, at: int) -> bytes:
    return file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]


CONTENT = os.urandom(3 * CHUNK)
FILE = sealed(CONTENT)
OTHER = sealed(CONTENT)
CHUNKS = [FILE[HEADER + n * SEALED : HEADER + (n + 1) * SEALED] for n in range(3)]
DAMAGES = {
    "a bit of the salt": changed(FILE, len(MAGIC)),
    "a bit of the first chunk": changed(FILE, HEADER + 5),
    "a bit of the last chunk": changed(FILE, len(FILE) - 1),
    "cut off in a chunk": FILE[:-100],
    "cut off after a chunk": FILE[: HEADER + 2 * SEALED],
    "a chunk dropped": FILE[:HEADER] + CHUNKS[0] + CHUNKS[2],
    "chunks swapped": FILE[:HEADER] + CHUNKS[1] + CHUNKS[0] + CHUNKS[2],
    "a chunk twice": FILE[:HEADER] + CHUNKS[0] + CHUNKS[0] + CHUNKS[2],
    "more after the end": FILE + CHUNKS[2],
    "a chunk of another file": FILE[: HEADER + SEALED] + OTHER[HEADER + SEALED :],
    "nothing after the header": FILE[:HEADER],
    "not a sealed file": b"PK" + FILE,
    "empty": b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_was_changed_is_noticed(damage: str) -> None:
    with pytest.raises(SealBroken):
        opened(DAMAGES[damage])


def test_another_key_opens_nothing() -> None:
    with pytest.raises(SealBroken, match="key is another one"):
        opened(FILE, b"t" * 40)
