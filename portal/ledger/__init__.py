"""Double entry: accounts, entries, postings, roll-up, verification."""
