"""Access tokens: short-lived JWTs (RFC 9068), one algorithm, one key, one audience, nothing negotiable."""

from __future__ import annotations

import hmac
import secrets
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt

from portal.identity.models import Audience
from portal.identity.tokens.token_families import TokenFamily, find_family
from portal.settings import get_settings

ALGORITHM = "HS256"
TYPE = "at+jwt"
_CLAIMS = ("iss", "aud", "sub", "fam", "iat", "exp", "jti")


class TokenRefused(Exception):
    """The token is not one of ours, not for this API, altered, or expired."""


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who the token was given to: the `subject` of the family of refresh tokens it hangs on."""

    subject: str
    family_id: uuid.UUID
    expires_at: int


def audience_name(audience: Audience) -> str:
    """What stands in `aud`: a token for one part of the house opens no other."""
    return f"nostro-{audience.value}-api"


@lru_cache(maxsize=2)
def _key(secret: str) -> bytes:
    """A key of its own, so that nothing else signed with SECRET_KEY can pass for a token."""
    return hmac.digest(secret.encode(), b"nostro access token", "sha256")


def _signing_key() -> bytes:
    return _key(get_settings().secret_key.get_secret_value())


def issue_access_token(family: TokenFamily, audience: Audience, ttl_s: int) -> str:
    """A token for the bearer of this family of refresh tokens, valid for `ttl_s` seconds."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": get_settings().public_url,
        "aud": audience_name(audience),
        "sub": family.subject,
        "fam": family.id.hex,
        "iat": now,
        "exp": now + ttl_s,
        "jti": secrets.token_hex(16),
    }
    return jwt.encode(claims, _signing_key(), algorithm=ALGORITHM, headers={"typ": TYPE})


def read_access_token(text: str, audience: Audience) -> AccessClaims:
    """Check signature, algorithm, type, issuer, audience and expiry. Raises TokenRefused."""
    try:
        decoded = jwt.decode_complete(
            text,
            _signing_key(),
            algorithms=[ALGORITHM],
            audience=audience_name(audience),
            issuer=get_settings().public_url,
            options={"require": list(_CLAIMS), "strict_aud": True},
        )
        if decoded["header"].get("typ") != TYPE:
            raise TokenRefused("not an access token")
        claims = decoded["payload"]
        return AccessClaims(str(claims["sub"]), uuid.UUID(hex=claims["fam"]), int(claims["exp"]))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise TokenRefused(type(error).__name__) from None


def family_of_token(text: str, audience: Audience, max_age_s: float) -> TokenFamily | None:
    """The living family of a valid access token; None for any other, also when the family's row names somebody else.

    Costs no query when the family was found in the last `max_age_s` seconds.
    """
    try:
        claims = read_access_token(text, audience)
    except TokenRefused:
        return None
    family = find_family(claims.family_id, max_age_s)
    if family is None or family.audience is not audience or family.subject != claims.subject:
        return None
    return family
