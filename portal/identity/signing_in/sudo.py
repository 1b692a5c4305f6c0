"""A fresh proof of who one is, before what grants power or moves money.

Whoever has a second factor proves that, others their password: a stolen session alone does neither.
"""

from __future__ import annotations

from portal.core.actors import Origin
from portal.core.db import transaction
from portal.identity.proofs.models import ChallengePurpose
from portal.identity.proofs.second_factor import FactorLimits, verify_passkey, verify_second_factor
from portal.identity.queries import SignedIn
from portal.identity.signing_in.sign_in import SignInLimits, check_credentials
from portal.identity.tokens.sessions import NewSession, SessionTimes, raise_session


def prove_by_password(
    who: SignedIn, password: str, origin: Origin, limits: SignInLimits, times: SessionTimes
) -> NewSession | None:
    """The raised session under another token, or None; also None for who has a second factor to prove.

    Attempts count as attempts to sign in. It opens its own transactions. Raises TooManySignIns, Unavailable.
    """
    if who.has_second_factor or check_credentials(who.email, password, origin.ip, limits) != who.user_id:
        return None
    with transaction():
        return raise_session(who.session_id, who.user_id, times, with_factor=False, is_proof=True)


def prove_by_code(
    who: SignedIn, code: str, origin: Origin, limits: FactorLimits, times: SessionTimes
) -> NewSession | None:
    """As `prove_by_password`, by a code of the app or a recovery code. Raises TooManyCodes."""
    if not verify_second_factor(who.user_id, code, origin=origin, limits=limits):
        return None
    with transaction():
        return raise_session(who.session_id, who.user_id, times, with_factor=True, is_proof=True)


def prove_by_passkey(who: SignedIn, answer: str, origin: Origin, times: SessionTimes) -> NewSession | None:
    """As `prove_by_password`, by a passkey's answer to the challenge of this session."""
    with transaction():
        if verify_passkey(who.session_id, who.user_id, ChallengePurpose.SUDO, answer, origin):
            return raise_session(who.session_id, who.user_id, times, with_factor=True, is_proof=True)
    return None
