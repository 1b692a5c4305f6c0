"""A file encrypted as it is written and checked as it is read, of any length, in constant memory.

AES-256-GCM over chunks of 1 MiB with a key of the file's own (HKDF of the secret with a random salt). A chunk's
nonce is its number and whether it is the last one: chunks can't be changed, swapped, repeated, dropped or
cut off, nor can another file's be put in.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"nostro sealed 1\n"
CHUNK = 1 << 20
_SALT, _TAG = 32, 16


class SealBroken(Exception):
    """The file is not what was written; the message is one sentence for the person at the terminal."""


def _key(secret: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"nostro sealed file").derive(secret))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


class SealedWriter:
    """Encrypts what is written into `file`, which stays open. Without finish() the file can't be read."""

    def __init__(self, file: BinaryIO, secret: bytes) -> None:
        salt = os.urandom(_SALT)
        self._file, self._cipher, self._header = file, _key(secret, salt), MAGIC + salt
        self._waiting = bytearray()
        self._number = 0
        file.write(self._header)

    def write(self, content: bytes) -> int:
        self._waiting += content
        # The last chunk must be known as such, so a full one waits for what comes after it.
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), is_last=False)
            del self._waiting[:CHUNK]
        return len(content)

    def finish(self) -> None:
        """Write the chunk that says that nothing is missing."""
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        nonce = _nonce(self._number, is_last=is_last)
        self._file.write(self._cipher.encrypt(nonce, chunk, self._header))
        self._number += 1


class SealedReader:
    """Gives back what was written. Each read raises SealBroken rather than give a changed byte."""

    def __init__(self, file: BinaryIO, secret: bytes) -> None:
        self._file = file
        self._header = file.read(len(MAGIC) + _SALT)
        if not self._header.startswith(MAGIC) or len(self._header) != len(MAGIC) + _SALT:
            raise SealBroken("This is not a backup of Nostro.")
        self._cipher = _key(secret, self._header[len(MAGIC) :])
        self._next = self._sealed_chunk()
        self._ready = memoryview(b"")
        self._number = 0
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (all that is left if negative), none at the end."""
        parts, wanted = [], size
        while wanted != 0:
            if not self._ready and not self._open_next():
                break
            part = self._ready[:wanted] if wanted > 0 else self._ready
            self._ready = self._ready[len(part) :]
            parts.append(bytes(part))
            wanted -= len(part) if wanted > 0 else 0
        return b"".join(parts)

    def _open_next(self) -> bool:
        if self._is_over:
            return False
        sealed, self._next = self._next, self._sealed_chunk()
        self._is_over = not self._next
        nonce = _nonce(self._number, is_last=self._is_over)
        try:
            self._ready = memoryview(self._cipher.decrypt(nonce, sealed, self._header))
        except InvalidTag:
            if self._number == 0:
                raise SealBroken("The key is another one, or the file is damaged or cut off.") from None
            raise SealBroken(f"The file is damaged or cut off after {self._number} MiB.") from None
        self._number += 1
        return True

    def _sealed_chunk(self) -> bytes:
        return self._file.read(CHUNK + _TAG)
