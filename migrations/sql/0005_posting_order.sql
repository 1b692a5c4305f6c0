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
