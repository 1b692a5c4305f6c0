-- The ledger's rules, kept by the database against every writer, hand-written SQL included.

-- One posting: move the running balance, or queue the amount for the roll-up.
create function ledger_posting_apply() returns trigger language plpgsql as $$
begin
  update ledger_account set balance = balance + new.amount
   where id = new.account_id and currency = new.currency and mode = new.mode and keeps_balance
  returning balance into new.balance_after;
  if not found then
    perform 1 from ledger_account
      where id = new.account_id and currency = new.currency and mode = new.mode and not keeps_balance;
    if not found then
      raise exception 'ledger: account % is not a % account of mode %', new.account_id, new.currency, new.mode
        using errcode = '23503';
    end if;
    new.balance_after := null;
    insert into ledger_unfolded (posting_id, account_id, amount) values (new.id, new.account_id, new.amount);
  end if;
  return new;
end $$;

create trigger ledger_posting_apply before insert on ledger_posting
  for each row execute function ledger_posting_apply();

-- All postings of an entry: in one statement, two or more, of the entry's mode, zero in every currency.
-- Because they come in one statement, an entry that was written before is sealed.
create function ledger_postings_balance() returns trigger language plpgsql as $$
declare
  bad bigint;
begin
  select entry_id into bad from added group by entry_id, currency having sum(amount) <> 0 limit 1;
  if found then
    raise exception 'ledger: entry % does not sum to zero in every currency', bad using errcode = '23514';
  end if;
  select a.entry_id into bad
    from (select entry_id, count(*) as n, min(mode) as low, max(mode) as high from added group by entry_id) a
    left join ledger_entry e on e.id = a.entry_id
   where e.id is null or a.n < 2 or a.low <> e.mode or a.high <> e.mode
      or a.n <> (select count(*) from ledger_posting p where p.entry_id = a.entry_id)
   limit 1;
  if found then
    raise exception 'ledger: the postings of entry % are not one complete set (or the entry is sealed)', bad
      using errcode = '23514';
  end if;
  return null;
end $$;

create trigger ledger_postings_balance after insert on ledger_posting
  referencing new table as added for each statement execute function ledger_postings_balance();

create function ledger_entry_has_postings() returns trigger language plpgsql as $$
begin
  if not exists (select 1 from ledger_posting where entry_id = new.id) then
    raise exception 'ledger: entry % has no postings', new.id using errcode = '23514';
  end if;
  return null;
end $$;

create constraint trigger ledger_entry_has_postings after insert on ledger_entry
  deferrable initially deferred for each row execute function ledger_entry_has_postings();

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% on % is refused: its rows stay as they were written', tg_op, tg_table_name
    using errcode = '42501';
end $$;

create trigger ledger_entry_stays before update or delete on ledger_entry
  for each row execute function refuse_change();
create trigger ledger_entry_stays_whole before truncate on ledger_entry
  for each statement execute function refuse_change();
create trigger ledger_posting_stays before update or delete on ledger_posting
  for each row execute function refuse_change();
create trigger ledger_posting_stays_whole before truncate on ledger_posting
  for each statement execute function refuse_change();

-- A balance moves by postings alone (depth 0 is a statement of a client, not of a trigger).
create trigger ledger_account_balance_moves_by_postings before update on ledger_account
  for each row when (pg_trigger_depth() = 0 and old.balance is distinct from new.balance)
  execute function refuse_change();
create trigger ledger_account_starts_empty before insert on ledger_account
  for each row when (new.balance <> 0) execute function refuse_change();
create trigger ledger_account_keeps_identity before update on ledger_account
  for each row when (
    old.id <> new.id or old.owner_kind <> new.owner_kind or old.owner_id is distinct from new.owner_id
    or old.kind <> new.kind or old.currency <> new.currency or old.mode <> new.mode
    or old.keeps_balance <> new.keeps_balance)
  execute function refuse_change();
create trigger ledger_account_stays before delete on ledger_account
  for each row execute function refuse_change();
create trigger ledger_account_stays_whole before truncate on ledger_account
  for each statement execute function refuse_change();

-- One entry with its postings in one round trip. Rows of accounts are locked in ascending id.
-- Movements of zero are left out.
create function ledger_post(
  p_kind text, p_mode text, p_subject_kind text, p_subject_id uuid, p_round integer,
  p_actor_kind text, p_actor_id uuid, p_reason text, p_reverses bigint,
  p_accounts bigint[], p_currencies text[], p_amounts bigint[]
) returns bigint language plpgsql as $$
declare
  new_entry bigint;
begin
  insert into ledger_entry
    (kind, mode, subject_kind, subject_id, round, reverses_entry_id, actor_kind, actor_id, reason)
  values
    (p_kind, p_mode, p_subject_kind, p_subject_id, p_round, p_reverses, p_actor_kind, p_actor_id, p_reason)
  returning id into new_entry;
  insert into ledger_posting (entry_id, account_id, currency, mode, amount)
  select new_entry, m.account_id, m.currency, p_mode, m.amount
    from unnest(p_accounts, p_currencies, p_amounts) as m (account_id, currency, amount)
   where m.amount <> 0
   order by m.account_id;
  return new_entry;
end $$;
