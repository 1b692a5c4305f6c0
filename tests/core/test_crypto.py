"""A ciphertext is bound to its row; an index finds without revealing."""

from __future__ import annotations

import pytest

from portal.core.crypto import DecryptionFailed, blind_index, decrypt, derived_token, encrypt
from portal.core.ids import new_id


def test_a_value_moved_to_another_row_column_or_table_does_not_decrypt() -> None:
    row, other = new_id(), new_id()
    sealed = encrypt("requisite", "number", row, "4111111111111111")
    assert decrypt("requisite", "number", row, sealed) == "4111111111111111"
    for table, column, row_id in (
        ("requisite", "number", other),
        ("requisite", "holder", row),
        ("orders", "number", row),
    ):
        with pytest.raises(DecryptionFailed):
            decrypt(table, column, row_id, sealed)


def test_the_same_text_is_sealed_differently_each_time_and_indexed_the_same() -> None:
    row = new_id()
    assert encrypt("t", "c", row, "x") != encrypt("t", "c", row, "x")
    assert (
        blind_index("requisite", "4111") == blind_index("requisite", "4111") != blind_index("other", "4111")
    )


def test_a_payment_token_has_128_bits_and_belongs_to_one_order() -> None:
    order, other = new_id(), new_id()
    assert len(derived_token("payment", order)) == 26
    assert (
        derived_token("payment", order) == derived_token("payment", order) != derived_token("payment", other)
    )
