"""Payins and payouts: lifecycle, payment sessions, receipts, expiry."""
