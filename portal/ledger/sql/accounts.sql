-- A balance moves by postings alone (depth 0 is a statement of a client, not of a trigger).
create or replace trigger ledger_account_balance_moves_by_postings before update on ledger_account
  for each row when (pg_trigger_depth() = 0 and old.balance is distinct from new.balance)
  execute function refuse_change();
create or replace trigger ledger_account_starts_empty before insert on ledger_account
  for each row when (new.balance <> 0) execute function refuse_change();

-- Whose account it is stays as it was. Only a statement that names one of these columns can change it, so that one
-- which moves a balance need not be asked.
create or replace trigger ledger_account_keeps_identity
  before update of id, owner_kind, owner_id, kind, currency, mode, keeps_balance on ledger_account
  for each row when (
    old.id <> new.id or old.owner_kind <> new.owner_kind or old.owner_id is distinct from new.owner_id
    or old.kind <> new.kind or old.currency <> new.currency or old.mode <> new.mode
    or old.keeps_balance <> new.keeps_balance)
  execute function refuse_change();

create or replace trigger ledger_account_stays before delete on ledger_account
  for each row execute function refuse_change();
create or replace trigger ledger_account_stays_whole before truncate on ledger_account
  for each statement execute function refuse_change();
