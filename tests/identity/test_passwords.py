"""What a stored password costs whoever stole it; all other tests hash with less."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from portal.identity.proofs.passwords import hash_password, is_password_right, needs_rehash


@pytest.mark.proves("ASVS 36")
def test_a_password_is_kept_as_argon2id_of_19_mib_in_two_passes(real_passwords: None) -> None:
    stored = hash_password("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_password_right(stored, "correct horse battery")
    assert not is_password_right(stored, "correct horse")
    assert not needs_rehash(stored)


@pytest.mark.proves("ASVS 36")
def test_a_cheaper_hash_is_made_anew(real_passwords: None) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse battery")
    assert is_password_right(cheap, "correct horse battery")
    assert needs_rehash(cheap)
