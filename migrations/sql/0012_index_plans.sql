-- Statements in functions keep the plan that was made when a connection met them first: for an empty table that is a
-- scan of all of it, and it stays one while the table grows, until somebody analyses it. The ledger's rules look
-- rows up by key alone, so that they may as well never scan.
alter function ledger_post set enable_seqscan = off;
alter function ledger_entry_has_postings set enable_seqscan = off;
