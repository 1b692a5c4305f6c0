"""Passkeys (WebAuthn): added, used as a second step or a fresh proof, set aside when one looks copied.

A challenge is random, good for five minutes, for one session and purpose, and gone with the first answer.
The authenticator must have checked its holder (PIN, finger, face).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import generate_challenge, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal.core.db import db, hot
from portal.core.errors import Conflict, NotFound, ValidationFailed
from portal.core.text_rules import name_of, one_line
from portal.identity.proofs.models import ChallengePurpose, Passkey
from portal.settings import get_settings

_LIFETIME_S = 300
_MAX_KEYS = 20
_MAX_ANSWER = 20_000

_PUT = """
INSERT INTO passkey_challenge (session_id, purpose, challenge, expires_at)
VALUES (%(session)s, %(purpose)s, %(challenge)s, now() + make_interval(secs => %(lifetime)s))
ON CONFLICT (session_id, purpose) DO UPDATE
   SET challenge = excluded.challenge, expires_at = excluded.expires_at
"""
_TAKE = """
DELETE FROM passkey_challenge WHERE session_id = %(session)s AND purpose = %(purpose)s
RETURNING challenge, expires_at > now() AS is_valid
"""
_FIND = """
SELECT id, public_key, sign_count FROM passkey
 WHERE user_id = %(user)s AND credential_id = %(credential)s AND set_aside_at IS NULL FOR UPDATE
"""
# Keys that count (not all do) count upwards.
_USED = """
UPDATE passkey SET sign_count = %(count)s, last_used_at = now()
 WHERE id = %(id)s AND (sign_count < %(count)s OR (sign_count = 0 AND %(count)s = 0)) RETURNING id
"""
_SET_ASIDE = "UPDATE passkey SET set_aside_at = now() WHERE id = %(id)s"
_REMOVE = "DELETE FROM passkey WHERE id = %(id)s AND user_id = %(user)s RETURNING id"


def relying_party_id() -> str:
    """The host that keys are bound to."""
    return urlsplit(get_settings().public_url).hostname or "localhost"


def list_passkeys(user_id: uuid.UUID) -> Sequence[Passkey]:
    """The person's keys, oldest first, those that were set aside too."""
    return db.session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)).all()


def begin_enrolment(session_id: uuid.UUID, user_id: uuid.UUID, email: str, name: str) -> str:
    """What `navigator.credentials.create()` is to be asked, as JSON. Needs transaction()."""
    challenge = _new_challenge(session_id, ChallengePurpose.ENROL)
    options = generate_registration_options(
        rp_id=relying_party_id(),
        rp_name="Nostro",
        user_id=user_id.bytes,
        user_name=email,
        user_display_name=name,
        challenge=challenge,
        timeout=_LIFETIME_S * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(user_id),
    )
    return options_to_json(options)


def finish_enrolment(session_id: uuid.UUID, user_id: uuid.UUID, answer: str, name: str) -> Passkey:
    """Add the key that the browser made. Needs transaction().

    Raises ValidationFailed for a name, and for an answer to another challenge, origin or host, or without its holder checked;
    Conflict `duplicate_passkey`, `too_many_passkeys`.
    """
    words = name_of(one_line(name) or "Passkey")
    challenge = _take_challenge(session_id, ChallengePurpose.ENROL)
    if challenge is None or len(answer) > _MAX_ANSWER:
        raise _not_accepted()
    if len(list_passkeys(user_id)) >= _MAX_KEYS:
        raise Conflict("Remove a passkey before you add another one.", code="too_many_passkeys")
    try:
        verified = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=relying_party_id(),
            expected_origin=get_settings().public_url,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise _not_accepted() from None
    return _add_key(
        user_id, words, verified.credential_id, verified.credential_public_key, verified.sign_count
    )


def _add_key(
    user_id: uuid.UUID, name: str, credential_id: bytes, public_key: bytes, sign_count: int
) -> Passkey:
    key = Passkey(
        user_id=user_id,
        name=name,
        credential_id=credential_id,
        public_key=public_key,
        sign_count=sign_count,
    )
    try:
        with db.session.begin_nested():
            db.session.add(key)
            db.session.flush()
    except IntegrityError:
        raise Conflict("This passkey is in use already.", code="duplicate_passkey") from None
    return key


def begin_assertion(session_id: uuid.UUID, user_id: uuid.UUID, purpose: ChallengePurpose) -> str:
    """What `navigator.credentials.get()` is to be asked, as JSON. Needs transaction()."""
    challenge = _new_challenge(session_id, purpose)
    options = generate_authentication_options(
        rp_id=relying_party_id(),
        challenge=challenge,
        timeout=_LIFETIME_S * 1000,
        allow_credentials=_descriptors(user_id),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


class Outcome(Enum):
    RIGHT = auto()
    WRONG = auto()
    SET_ASIDE = auto()


def check_assertion(
    session_id: uuid.UUID, user_id: uuid.UUID, purpose: ChallengePurpose, answer: str
) -> Outcome:
    """Whether one of the person's keys signed the challenge of this session and purpose.

    The challenge is gone either way. A key that signs rightly but counts backwards is set aside.
    Needs transaction(), which must be committed whatever the outcome is.
    """
    challenge = _take_challenge(session_id, purpose)
    if challenge is None or len(answer) > _MAX_ANSWER:
        return Outcome.WRONG
    try:
        credential = parse_authentication_credential_json(answer)
        rows = hot(_FIND, {"user": user_id, "credential": credential.raw_id})
        if not rows:
            return Outcome.WRONG
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=relying_party_id(),
            expected_origin=get_settings().public_url,
            credential_public_key=bytes(rows[0]["public_key"]),
            # Its counter is compared below, once the signature has proved that the answer is the key's.
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return Outcome.WRONG
    return _note_use(rows[0], verified.new_sign_count)


def _note_use(key: dict[str, Any], sign_count: int) -> Outcome:
    if hot(_USED, {"id": key["id"], "count": sign_count}):
        return Outcome.RIGHT
    hot(_SET_ASIDE, {"id": key["id"]})
    return Outcome.SET_ASIDE


def remove_passkey(user_id: uuid.UUID, key_id: uuid.UUID) -> None:
    """Take one of the person's own keys away. Raises NotFound. Needs transaction()."""
    if not hot(_REMOVE, {"id": key_id, "user": user_id}):
        raise NotFound("There is no such passkey.")


def _descriptors(user_id: uuid.UUID) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(id=key.credential_id)
        for key in list_passkeys(user_id)
        if key.set_aside_at is None
    ]


def _new_challenge(session_id: uuid.UUID, purpose: ChallengePurpose) -> bytes:
    challenge = generate_challenge()
    values = {
        "session": session_id, "purpose": purpose.value, "challenge": challenge, "lifetime": float(_LIFETIME_S),
    }  # fmt: skip
    hot(_PUT, values)
    return challenge


def _take_challenge(session_id: uuid.UUID, purpose: ChallengePurpose) -> bytes | None:
    rows = hot(_TAKE, {"session": session_id, "purpose": purpose.value})
    return bytes(rows[0]["challenge"]) if rows and rows[0]["is_valid"] else None


def _not_accepted() -> ValidationFailed:
    return ValidationFailed.of("answer", "not_accepted", "The passkey was not accepted. Try again.")
