-- The CHECKs of the tables that every payment writes, each table's as one function of the row: PostgreSQL reads the text
-- of every CHECK anew for each statement, a function's once for each connection.

create or replace function ledger_account_holds(r ledger_account) returns boolean
language plpgsql immutable parallel safe as $$
declare
  broken text := case
    when (r.keeps_balance OR r.balance = 0) is false then 'ck_ledger_account_derived_balance'
    when (r.floor IS NULL OR r.balance >= r.floor) is false then 'ck_ledger_account_floor'
    when (r.kind IN ('available', 'held', 'fiat', 'revenue', 'adjustments', 'settlement')) is false then 'ck_ledger_account_kind'
    when (r.mode IN ('live', 'test')) is false then 'ck_ledger_account_mode'
    when ((r.owner_id IS NULL) = (r.owner_kind IN ('platform', 'world'))) is false then 'ck_ledger_account_owner'
    when (r.owner_kind IN ('platform', 'store', 'trader', 'lead', 'world')) is false then 'ck_ledger_account_owner_kind'
    end;
begin
  if broken is null then return true; end if;
  raise exception 'new row for relation "ledger_account" violates check constraint "%"', broken
    using errcode = '23514', constraint = broken, table = 'ledger_account';
end $$;

create or replace function ledger_entry_holds(r ledger_entry) returns boolean
language plpgsql immutable parallel safe as $$
declare
  broken text := case
    when (r.actor_kind IN ('customer', 'merchant', 'trader', 'lead', 'support', 'admin', 'system', 'ops')) is false then 'ck_ledger_entry_actor_kind'
    when (r.kind IN ('deposit', 'payin_matched', 'payin_completed', 'payin_released', 'payout_created', 'payout_completed', 'payout_released', 'withdrawal_asked', 'withdrawal_paid', 'withdrawal_refused', 'adjustment', 'reversal')) is false then 'ck_ledger_entry_kind'
    when (r.mode IN ('live', 'test')) is false then 'ck_ledger_entry_mode'
    when (r.kind NOT IN ('adjustment', 'reversal') OR r.reason IS NOT NULL) is false then 'ck_ledger_entry_reason'
    when ((r.kind = 'reversal') = (r.reverses_entry_id IS NOT NULL)) is false then 'ck_ledger_entry_reversal'
    when (r.subject_kind IN ('order', 'deposit', 'withdrawal', 'adjustment', 'dispute')) is false then 'ck_ledger_entry_subject_kind'
    end;
begin
  if broken is null then return true; end if;
  raise exception 'new row for relation "ledger_entry" violates check constraint "%"', broken
    using errcode = '23514', constraint = broken, table = 'ledger_entry';
end $$;

create or replace function orders_holds(r orders) returns boolean
language plpgsql immutable parallel safe as $$
declare
  broken text := case
    when (r.amount_minor > 0 AND r.amount_minor <= 1000000000000000) is false then 'ck_orders_amount'
    when (r.amount_received_minor > 0) is false then 'ck_orders_amount_received'
    when (r.amount_reported_minor > 0) is false then 'ck_orders_amount_reported'
    when (r.status NOT IN ('awaiting_payment', 'awaiting_payout', 'awaiting_confirmation') OR r.requisite_id IS NOT NULL) is false then 'ck_orders_assigned'
    when (r.direction IN ('payin', 'payout')) is false then 'ck_orders_direction'
    when (r.status NOT IN ('completed', 'cancelled', 'failed') OR (r.due_at IS NULL AND r.hold_minor = 0)) is false then 'ck_orders_final'
    when (r.hold_minor >= 0) is false then 'ck_orders_hold'
    when (r.mode IN ('live', 'test')) is false then 'ck_orders_mode'
    when (r.settlement_minor > 0 AND r.fee_minor >= 0 AND r.rate_micros > 0) is false then 'ck_orders_settlement'
    when (r.status IN ('review', 'matching', 'awaiting_payment', 'awaiting_payout', 'awaiting_confirmation', 'disputed', 'completed', 'expired', 'cancelled', 'failed')) is false then 'ck_orders_status'
    end;
begin
  if broken is null then return true; end if;
  raise exception 'new row for relation "orders" violates check constraint "%"', broken
    using errcode = '23514', constraint = broken, table = 'orders';
end $$;

create or replace function requisite_holds(r requisite) returns boolean
language plpgsql immutable parallel safe as $$
declare
  broken text := case
    when (r.min_amount > 0 AND r.min_amount <= r.max_amount) is false then 'ck_requisite_amounts'
    when (r.open_orders >= 0 AND r.day_count >= 0 AND r.day_amount >= 0 AND r.window_amount >= 0 AND r.total_amount >= 0) is false then 'ck_requisite_counters'
    when (r.max_open_orders BETWEEN 1 AND 1000) is false then 'ck_requisite_max_open_orders'
    when (r.mode IN ('live', 'test')) is false then 'ck_requisite_mode'
    when (r.status IN ('pending', 'approved', 'rejected', 'suspended', 'archived')) is false then 'ck_requisite_status'
    when (r.tier BETWEEN 1 AND 9) is false then 'ck_requisite_tier'
    when (r.decided_by IS NULL OR r.submitted_by IS NULL OR r.decided_by <> r.submitted_by) is false then 'ck_requisite_two_people'
    when (r.weight BETWEEN 1 AND 100) is false then 'ck_requisite_weight'
    when ((r.window_s IS NULL) = (r.window_amount_limit IS NULL)) is false then 'ck_requisite_window'
    end;
begin
  if broken is null then return true; end if;
  raise exception 'new row for relation "requisite" violates check constraint "%"', broken
    using errcode = '23514', constraint = broken, table = 'requisite';
end $$;
