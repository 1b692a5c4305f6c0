"""Encryption of single fields, blind indexes, and tokens that only the holder of SECRET_KEY can make.

A field is AES-256-GCM with a key id in front and the table, column and row bound as associated data,
so that a ciphertext moved to another row does not decrypt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import uuid
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.settings import get_settings

_NONCE = 12
_RANDOM_LENGTH = 43  # 256 bits in base 64


class DecryptionFailed(Exception):
    """The value was written with a key that is not configured, or for another row."""


@lru_cache(maxsize=4)
def _keys(configured: tuple[str, ...]) -> dict[str, AESGCM]:
    keys = {}
    for pair in configured:
        key_id, secret = pair.split(":", 1)
        keys[key_id] = AESGCM(hashlib.sha256(b"nostro field key\0" + secret.encode()).digest())
    return keys


def _bound_to(table: str, column: str, row_id: uuid.UUID) -> bytes:
    return f"{table}\0{column}\0{row_id}".encode()


def encrypt(table: str, column: str, row_id: uuid.UUID, plain: str) -> bytes:
    """Encrypt a text for one column of one row with the newest key."""
    keys = _keys(get_settings().field_keys)
    key_id = next(iter(keys))
    nonce = os.urandom(_NONCE)
    sealed = keys[key_id].encrypt(nonce, plain.encode(), _bound_to(table, column, row_id))
    return key_id.encode() + b"\0" + nonce + sealed


def decrypt(table: str, column: str, row_id: uuid.UUID, stored: bytes) -> str:
    """The text behind `encrypt`. Raises DecryptionFailed."""
    key_id, _, body = bytes(stored).partition(b"\0")
    key = _keys(get_settings().field_keys).get(key_id.decode("ascii", "replace"))
    if key is None:
        raise DecryptionFailed(f"no key {key_id!r} is configured")
    try:
        return key.decrypt(body[:_NONCE], body[_NONCE:], _bound_to(table, column, row_id)).decode()
    except (InvalidTag, ValueError):  # ValueError: what is left of it is shorter than a nonce
        raise DecryptionFailed("the value does not belong to this row or is damaged") from None


def newest_key_id() -> str:
    """The id of the key that encrypts what is written from now on."""
    return next(iter(_keys(get_settings().field_keys)))


def key_id_of(stored: bytes) -> str:
    """The id of the key that a stored value was encrypted with."""
    return bytes(stored).partition(b"\0")[0].decode("ascii", "replace")


class UnknownChainKey(Exception):
    """A link was sealed with a key that is not configured."""


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod=hashlib.sha256)


def _digest(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256. A copy of what has the key already: looking the algorithm up took 60 microseconds each time."""
    started = _keyed(key).copy()
    started.update(message)
    return started.digest()


def newest_chain_key_id() -> str:
    """The id of the key that seals from now on."""
    return get_settings().chain_keys[0].partition(":")[0]


def chain_mac(key_id: str, message: bytes) -> bytes:
    """HMAC-SHA256 of a chain's link. Raises UnknownChainKey."""
    for pair in get_settings().chain_keys:
        known, _, secret = pair.partition(":")
        if known == key_id:
            return _digest(hashlib.sha256(b"nostro chain key\0" + secret.encode()).digest(), message)
    raise UnknownChainKey(key_id)


def blind_index(purpose: str, text: str) -> bytes:
    """A keyed hash by which an encrypted value can be found and kept unique (HMAC-SHA256)."""
    key = get_settings().blind_index_key.get_secret_value().encode()
    return _digest(key, f"{purpose}\0{text}".encode())


@lru_cache(maxsize=256)
def derived_token(purpose: str, row_id: uuid.UUID) -> str:
    """A 128-bit token that only the holder of SECRET_KEY can compute: 26 base32 characters.

    Kept nowhere: the database has its hash alone, so a copy of the database opens no page.
    """
    key = get_settings().secret_key.get_secret_value().encode()
    digest = _digest(key, f"{purpose}\0{row_id}".encode())[:16]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def is_derived_token(token: str, purpose: str, row_id: uuid.UUID) -> bool:
    """Whether it is the `derived_token` of this row."""
    return hmac.compare_digest(token.encode(), derived_token(purpose, row_id).encode())


def bound_token(purpose: str, *whom: object) -> str:
    """A 256-bit random token that opens something for `whom` alone: 65 characters, the last 22 an HMAC with SECRET_KEY.

    Whoever writes a row with the hash of a token of their own, or moves theirs to somebody else, opens nothing by it.
    """
    random = secrets.token_urlsafe(32)
    return random + _token_mark(purpose, random, whom)


def is_bound_token(token: str, purpose: str, *whom: object) -> bool:
    """Whether the house made the token for this purpose and just `whom`; ask it of every row that a token finds."""
    expected = _token_mark(purpose, token[:_RANDOM_LENGTH], whom)
    return hmac.compare_digest(token[_RANDOM_LENGTH:].encode(), expected.encode())


def _token_mark(purpose: str, random: str, whom: tuple[object, ...]) -> str:
    return mark("bound token", purpose, random, *map(str, whom))


def mark(purpose: str, *texts: str) -> str:
    """22 characters that only the holder of SECRET_KEY can make for these texts, none of which has a NUL (HMAC-SHA256)."""
    key = get_settings().secret_key.get_secret_value().encode()
    message = "\0".join((purpose, *texts))
    return base64.urlsafe_b64encode(_digest(key, message.encode())[:16]).decode().rstrip("=")


def is_marked(given: str, purpose: str, *texts: str) -> bool:
    """Whether `given` is the `mark` of these texts."""
    return hmac.compare_digest(given.encode(), mark(purpose, *texts).encode())


def token_hash(token: str) -> bytes:
    """How a token is stored and found: SHA-256, since it cannot be guessed in the first place."""
    return hashlib.sha256(token.encode()).digest()
