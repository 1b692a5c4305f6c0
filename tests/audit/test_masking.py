"""What of a value stands in the log, and over what exactly the chain's hash goes."""

from __future__ import annotations

import hashlib

from portal.audit.masking import masked
from portal.audit.sealing import FIRST, hash_of


def test_numbers_keep_their_last_four_whatever_their_length() -> None:
    kept = masked({"number": "12345678", "phone": "+7 900 123-45-67", "iban": "DE89 3704", "card": "123"})
    assert kept == {"number": "***5678", "phone": "***4567", "iban": "***3704", "card": "***"}


def test_secrets_are_hidden_by_their_names_however_deep() -> None:
    kept = masked({"new": {"password": "hunter2", "totp_secret": "JBSW", "name": "Ada"}, "codes": ["1", "2"]})
    assert kept == {"new": {"password": "***", "totp_secret": "***", "name": "Ada"}, "codes": "***"}


def test_the_hash_goes_over_canonical_json_whatever_order_a_program_reads_columns_in() -> None:
    entry = {"id": 7, "action": "thing.done", "reason": "ё"}
    turned = dict(reversed(entry.items()))
    text = (
        '{"entry":{"action":"thing.done","id":7,"reason":"ё"},"previous_hash":"'
        + "0" * 64
        + '","sequence":1}'
    )
    assert hash_of(1, FIRST, entry) == hash_of(1, FIRST, turned) == hashlib.sha256(text.encode()).digest()
