-- Entries and postings: the ledger's rules, kept by the database against every writer, hand-written SQL included.
-- Statements in functions keep the plan that was made when a connection met them first, which for an empty table is a
-- scan of all of it. These look rows up by their keys alone: hence enable_seqscan = off where nothing else says so.

-- One entry with its postings in one round trip. Rows of accounts are locked in ascending id.
-- Movements of zero are left out.
create or replace function ledger_post(
  p_kind text, p_mode text, p_subject_kind text, p_subject_id uuid, p_round integer,
  p_actor_kind text, p_actor_id uuid, p_reason text, p_reverses bigint,
  p_accounts bigint[], p_currencies text[], p_amounts bigint[]
) returns bigint language plpgsql set enable_seqscan = off as $$
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

-- One posting: move the running balance, or queue the amount for the roll-up.
-- The id is drawn again under the account's lock: of two that wait for the account, the one that moves it first
-- has the smaller id, so that the ids of an account follow its balances.
create or replace function ledger_posting_apply() returns trigger language plpgsql as $$
begin
  update ledger_account set balance = balance + new.amount
   where id = new.account_id and currency = new.currency and mode = new.mode and keeps_balance
  returning balance into new.balance_after;
  if found then
    new.id := nextval('ledger_posting_id_seq');
    return new;
  end if;
  perform 1 from ledger_account
    where id = new.account_id and currency = new.currency and mode = new.mode and not keeps_balance;
  if not found then
    raise exception 'ledger: account % is not a % account of mode %', new.account_id, new.currency, new.mode
      using errcode = '23503';
  end if;
  new.balance_after := null;
  insert into ledger_unfolded (posting_id, account_id, amount) values (new.id, new.account_id, new.amount);
  return new;
end $$;

create or replace trigger ledger_posting_apply before insert on ledger_posting
  for each row execute function ledger_posting_apply();

-- All postings of an entry: in one statement, two or more, of the entry's mode, zero in every currency.
-- Because they come in one statement, an entry that was written before is sealed.
create or replace function ledger_postings_balance() returns trigger language plpgsql as $$
declare
  bad record;
begin
  select a.entry_id, a.is_off into bad
    from (select c.entry_id, sum(c.n) as n, min(c.low) as low, max(c.high) as high, bool_or(c.total <> 0) as is_off
            from (select entry_id, currency, count(*) as n, sum(amount) as total, min(mode) as low, max(mode) as high
                    from added group by entry_id, currency) c
           group by c.entry_id) a
   where a.is_off or a.n < 2 or a.low <> a.high
      or a.low is distinct from (select e.mode from ledger_entry e where e.id = a.entry_id)
      or a.n <> (select count(*) from ledger_posting p where p.entry_id = a.entry_id)
   limit 1;
  if found and bad.is_off then
    raise exception 'ledger: entry % does not sum to zero in every currency', bad.entry_id using errcode = '23514';
  elsif found then
    raise exception 'ledger: the postings of entry % are not one complete set (or the entry is sealed)', bad.entry_id
      using errcode = '23514';
  end if;
  return null;
end $$;

create or replace trigger ledger_postings_balance after insert on ledger_posting
  referencing new table as added for each statement execute function ledger_postings_balance();

create or replace function ledger_entry_has_postings() returns trigger language plpgsql set enable_seqscan = off as $$
begin
  if not exists (select 1 from ledger_posting where entry_id = new.id) then
    raise exception 'ledger: entry % has no postings', new.id using errcode = '23514';
  end if;
  return null;
end $$;

create constraint trigger ledger_entry_has_postings after insert on ledger_entry
  deferrable initially deferred for each row execute function ledger_entry_has_postings();

create or replace trigger ledger_entry_stays before update or delete on ledger_entry
  for each row execute function refuse_change();
create or replace trigger ledger_entry_stays_whole before truncate on ledger_entry
  for each statement execute function refuse_change();
create or replace trigger ledger_posting_stays before update or delete on ledger_posting
  for each row execute function refuse_change();
create or replace trigger ledger_posting_stays_whole before truncate on ledger_posting
  for each statement execute function refuse_change();
