"""A store's API keys: issued once, kept as a hash, scoped, revocable at once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from sqlalchemy import func, select

from portal.audit.service import record_audit
from portal.core.actors import SYSTEM, Actor
from portal.core.cache import Cache
from portal.core.crypto import blind_index
from portal.core.db import after_commit, db, hot, transaction
from portal.core.errors import NotFound, ValidationFailed
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.identity.models import ApiKey, Scope

PREFIXES = {Mode.LIVE: "nst_live_", Mode.TEST: "nst_test_"}
ROTATION_OVERLAP = timedelta(hours=24)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 43  # 256 bits in base 62

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class StoreKey:
    """What a key may do, as an immutable value; the key itself is not in it."""

    id: uuid.UUID
    store_id: uuid.UUID
    mode: Mode
    scopes: frozenset[Scope]
    networks: tuple[Network, ...]
    expires_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def allows_address(self, address: str | None) -> bool:
        """True when the key is bound to no network, or to one with this address in it."""
        if not self.networks:
            return True
        try:
            parsed: IPv4Address | IPv6Address = ip_address(address or "")
        except ValueError:
            return False
        mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
        return any((mapped or parsed) in network for network in self.networks)


_memory: Cache[StoreKey] = Cache("api_keys")

_COLUMNS = "id, store_id, mode, scopes, allowed_networks::text[] AS networks, expires_at, secret_hash, mac"
_BY_HASH = f"SELECT {_COLUMNS} FROM api_key WHERE secret_hash = %(value)s AND revoked_at IS NULL"  # noqa: S608
_BY_ID = f"SELECT {_COLUMNS} FROM api_key WHERE id = %(value)s AND revoked_at IS NULL"  # noqa: S608
# Written once a minute at most: a busy key must not become a hot row.
_USED = """
UPDATE api_key SET last_used_at = now()
 WHERE id = %(id)s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""


def hash_of(secret: str) -> bytes:
    """How a key is stored and found: SHA-256, since 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).digest()


def mac_of(
    key_id: uuid.UUID, store_id: uuid.UUID, mode: str, scopes: Iterable[str], secret_hash: bytes
) -> bytes:
    """What a row has that the house made: a key written by somebody else, or moved to another store, has it not.

    By BLIND_INDEX_KEY, which never changes: keys live longer than a SECRET_KEY.
    """
    said = (str(key_id), str(store_id), mode, ",".join(sorted(scopes)), bytes(secret_hash).hex())
    return blind_index("api_key", "\0".join(said))


def looks_like_key(text: str) -> bool:
    return text.startswith(tuple(PREFIXES.values()))


def find_key(secret: str, max_age_s: float) -> StoreKey | None:
    """The key of a secret unless it was revoked; whether it is expired or fits is the caller's to ask.

    Costs no query when it was found in the last `max_age_s` seconds and no key has changed since.
    """
    digest = hash_of(secret)
    return _find(digest, _BY_HASH, digest, max_age_s)


def find_key_by_id(key_id: uuid.UUID, max_age_s: float) -> StoreKey | None:
    """As `find_key`, for the key behind an access token."""
    return _find(key_id.bytes, _BY_ID, key_id, max_age_s)


def _find(remembered_as: bytes, sql: str, value: object, max_age_s: float) -> StoreKey | None:
    page = _memory.page()
    known = _memory.find(page, remembered_as, max_age_s)
    if known is not None:
        return known
    with transaction():
        rows = hot(sql, {"value": value})
        if not rows or not _is_ours(rows[0]):
            return None
        hot(_USED, {"id": rows[0]["id"]})
    key = _key_of(rows[0])
    _memory.put(page, remembered_as, key)
    return key


def _is_ours(row: dict[str, Any]) -> bool:
    mac = mac_of(row["id"], row["store_id"], row["mode"], row["scopes"], row["secret_hash"])
    return hmac.compare_digest(bytes(row["mac"] or b""), mac)


def _key_of(row: dict[str, Any]) -> StoreKey:
    return StoreKey(
        row["id"], row["store_id"], Mode(row["mode"]), frozenset(Scope(name) for name in row["scopes"]),
        tuple(ip_network(text) for text in row["networks"]), row["expires_at"],
    )  # fmt: skip


def issue_api_key(
    store_id: uuid.UUID,
    mode: Mode,
    name: str,
    scopes: Iterable[Scope] | None = None,
    *,
    allowed_networks: Sequence[str] = (),
    expires_at: datetime | None = None,
    actor: Actor = SYSTEM,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret, which is shown this once. Needs transaction().

    `scopes` None means all. Raises ValidationFailed for a network or an expiry in the past.
    """
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise ValidationFailed.of("expires_at", "in_the_past", "The expiry is in the past.")
    secret = PREFIXES[mode] + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    granted = [scope.value for scope in sorted(set(Scope if scopes is None else scopes))]
    key_id = new_id()
    key = ApiKey(
        id=key_id,
        store_id=store_id,
        mode=mode.value,
        name=name,
        secret_hash=hash_of(secret),
        mac=mac_of(key_id, store_id, mode.value, granted, hash_of(secret)),
        last4=secret[-4:],
        scopes=granted,
        allowed_networks=[str(network) for network in _networks(allowed_networks)],
        expires_at=expires_at,
    )
    db.session.add(key)
    db.session.flush()
    _audit(key, "issued", actor, after=_described(key))
    return key, secret


def _described(key: ApiKey) -> dict[str, object]:
    """What the audit log says of a key: all but the key itself."""
    names = ("store_id", "mode", "name", "last4", "scopes", "allowed_networks", "expires_at")
    return {name: getattr(key, name) for name in names}


def _audit(
    key: ApiKey,
    what: str,
    actor: Actor,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    record_audit(f"api_key.{what}", actor=actor, subject=("api_key", key.id), before=before, after=after)


def _networks(texts: Sequence[str]) -> list[Network]:
    try:
        return [ip_network(text) for text in texts]
    except ValueError as error:
        message = f"Give networks such as 203.0.113.0/24: {error}."
        raise ValidationFailed.of("allowed_networks", "malformed", message) from None


def revoke_api_key(store_id: uuid.UUID, key_id: uuid.UUID, *, actor: Actor = SYSTEM) -> ApiKey:
    """End a key and every access token it got: here at once, elsewhere within a second of the commit.

    Raises NotFound for a stranger's key. Needs transaction().
    """
    key = _locked(store_id, key_id)
    if key.revoked_at is None:
        key.revoked_at = db.session.scalar(select(func.clock_timestamp()))
        db.session.flush()
        _audit(key, "revoked", actor, before=_described(key))
    after_commit(_memory.forget)
    return key


def rotate_api_key(
    store_id: uuid.UUID, key_id: uuid.UUID, overlap: timedelta = ROTATION_OVERLAP, *, actor: Actor = SYSTEM
) -> tuple[ApiKey, str]:
    """Give the store another key of the same kind; the former one ends after `overlap`.

    Raises NotFound, also for a revoked key. Needs transaction().
    """
    former = _locked(store_id, key_id)
    if former.revoked_at is not None:
        raise NotFound("There is no such key.")
    key, secret = issue_api_key(
        store_id, Mode(former.mode), former.name, [Scope(name) for name in former.scopes],
        allowed_networks=[str(network) for network in former.allowed_networks], actor=actor,
    )  # fmt: skip
    before = {"expires_at": former.expires_at}
    ends_at = datetime.now(UTC) + overlap
    former.expires_at = min(former.expires_at or ends_at, ends_at)
    db.session.flush()
    after = {"expires_at": former.expires_at, "followed_by": key.id}
    _audit(former, "rotated", actor, before=before, after=after)
    after_commit(_memory.forget)
    return key, secret


def list_api_keys(store_id: uuid.UUID) -> Sequence[ApiKey]:
    """The store's keys, newest first, revoked ones too."""
    return db.session.scalars(
        select(ApiKey).where(ApiKey.store_id == store_id).order_by(ApiKey.id.desc())
    ).all()


def find_store_of_key(key_id: uuid.UUID) -> uuid.UUID | None:
    """Whose key it is, revoked or not."""
    return db.session.scalar(select(ApiKey.store_id).where(ApiKey.id == key_id))


def scopes_of_key(store_id: uuid.UUID, key_id: uuid.UUID) -> frozenset[Scope]:
    """What the key may do. Raises NotFound for a stranger's."""
    query = select(ApiKey.scopes).where(ApiKey.id == key_id, ApiKey.store_id == store_id)
    names = db.session.scalar(query)
    if names is None:
        raise NotFound("There is no such key.")
    return frozenset(Scope(name) for name in names)


def _locked(store_id: uuid.UUID, key_id: uuid.UUID) -> ApiKey:
    key = db.session.scalar(
        select(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.store_id == store_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if key is None:
        raise NotFound("There is no such key.")
    return key
