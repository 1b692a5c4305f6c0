-- An order moves only along these edges, whoever writes; a final one stays as it is.
create or replace function order_status_moves() returns trigger language plpgsql as $$
begin
  if (old.direction, old.status, new.status) in (
    ('payin', 'review', 'matching'), ('payin', 'review', 'failed'), ('payin', 'review', 'cancelled'),
    ('payin', 'matching', 'awaiting_payment'), ('payin', 'matching', 'failed'), ('payin', 'matching', 'cancelled'),
    ('payin', 'awaiting_payment', 'awaiting_confirmation'), ('payin', 'awaiting_payment', 'completed'),
    ('payin', 'awaiting_payment', 'expired'), ('payin', 'awaiting_payment', 'cancelled'),
    ('payin', 'awaiting_payment', 'matching'), ('payin', 'awaiting_payment', 'disputed'),
    ('payin', 'awaiting_confirmation', 'completed'), ('payin', 'awaiting_confirmation', 'disputed'),
    ('payin', 'expired', 'completed'), ('payin', 'expired', 'disputed'),
    ('payin', 'disputed', 'completed'), ('payin', 'disputed', 'cancelled'),
    ('payout', 'review', 'matching'), ('payout', 'review', 'failed'), ('payout', 'review', 'cancelled'),
    ('payout', 'matching', 'awaiting_payout'), ('payout', 'matching', 'failed'), ('payout', 'matching', 'cancelled'),
    ('payout', 'awaiting_payout', 'awaiting_confirmation'), ('payout', 'awaiting_payout', 'matching'),
    ('payout', 'awaiting_payout', 'disputed'),
    ('payout', 'awaiting_confirmation', 'completed'), ('payout', 'awaiting_confirmation', 'disputed'),
    ('payout', 'disputed', 'completed'), ('payout', 'disputed', 'cancelled')
  ) then
    return new;
  end if;
  raise exception 'order %: % can not become %', old.id, old.status, new.status using errcode = '23514';
end $$;

create or replace trigger order_status_moves before update of status on orders
  for each row when (old.status is distinct from new.status) execute function order_status_moves();

-- Every change of an order raises its version by one, whoever writes it: the statement that confirms without having
-- locked the row trusts in that. What the search for a trader keeps for itself (when it looks again, where it has
-- looked) is no change of the order.
create or replace function order_version_grows() returns trigger language plpgsql as $$
declare
  seen orders := new;
begin
  if new.version <> old.version then
    raise exception 'order %: version % can not follow on %', old.id, new.version, old.version using errcode = '23514';
  end if;
  seen.retry_at := old.retry_at;
  seen.match_trace := old.match_trace;
  if seen *<> old then
    new.version := old.version + 1;
  end if;
  return new;
end $$;

create or replace trigger order_version_grows before update on orders
  for each row when (new.version <> old.version + 1) execute function order_version_grows();

-- What was agreed with the customer and the store stays. Only a statement that names one of these columns is asked.
create or replace trigger orders_frozen
  before update of id, mode, direction, store_id, external_id, amount_minor, currency, settlement_currency, rate_micros,
    store_fee_bps, fixed_fee_minor, trader_commission_bps, lead_commission_bps on orders
  for each row when (
    old.id <> new.id or old.mode <> new.mode or old.direction <> new.direction or old.store_id <> new.store_id
    or old.external_id is distinct from new.external_id or old.amount_minor <> new.amount_minor
    or old.currency <> new.currency or old.settlement_currency <> new.settlement_currency
    or old.rate_micros <> new.rate_micros or old.store_fee_bps <> new.store_fee_bps
    or old.fixed_fee_minor <> new.fixed_fee_minor or old.trader_commission_bps <> new.trader_commission_bps
    or old.lead_commission_bps <> new.lead_commission_bps)
  execute function refuse_change();

create or replace trigger orders_stay before delete on orders for each row execute function refuse_change();
create or replace trigger order_event_stays before update or delete on order_event
  for each row execute function refuse_change();
create or replace trigger order_event_stays_whole before truncate on order_event
  for each statement execute function refuse_change();
