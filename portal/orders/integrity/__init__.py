"""Proving that orders, holds and the ledger agree."""
