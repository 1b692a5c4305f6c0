-- What makes a requisite fit an order, and what an order takes of it: whoever picks, offers, accepts, counts or explains
-- asks these. portal/matching/verdicts.py lists what they can say.

-- What a requisite's counters of the day say on `p_day`. A transaction that began before midnight may come after one that
-- began the new day: the day never goes back.
create or replace function requisite_day_amount(r requisite, p_day date) returns bigint language sql immutable parallel safe as $$
  select case when r.day >= p_day then r.day_amount else 0 end
$$;

create or replace function requisite_day_count(r requisite, p_day date) returns integer language sql immutable parallel safe as $$
  select case when r.day >= p_day then r.day_count else 0 end
$$;

-- Every reason in the row itself why a requisite can't take an order, in the order in which they are told; an order that
-- names no bank takes any. In a query over requisites PostgreSQL puts the text in place of the call.
create or replace function requisite_refusals(r requisite, p_direction text, p_amount bigint, p_bank text, p_day date)
returns text[] language sql immutable parallel safe as $$
  select array_remove(array[
    case when r.status <> 'approved' then 'not_approved' end,
    case when not case p_direction when 'payin' then r.payin_on else r.payout_on end then 'switched_off' end,
    case when not case p_direction when 'payin' then r.trader_payin_on else r.trader_payout_on end
      then 'trader_not_working' end,
    case when r.bank is distinct from coalesce(p_bank, r.bank) then 'bank' end,
    case when p_amount not between r.min_amount and r.max_amount then 'amount' end,
    case when r.open_orders >= r.max_open_orders then 'open_orders' end,
    case when requisite_day_amount(r, p_day) + p_amount > r.day_amount_limit then 'day_amount' end,
    case when requisite_day_count(r, p_day) >= r.day_count_limit then 'day_count' end,
    case when r.window_amount + p_amount > r.window_amount_limit then 'window_amount' end,
    case when r.total_amount + p_amount > r.total_amount_limit then 'total_amount' end
  ], null)
$$;

-- The first of them, or that there is none.
create or replace function requisite_verdict(r requisite, p_direction text, p_amount bigint, p_bank text, p_day date)
returns text language sql immutable parallel safe as $$
  select coalesce((requisite_refusals(r, p_direction, p_amount, p_bank, p_day))[1], 'fits')
$$;

-- The greatest amount that the row's limits leave room for.
create or replace function requisite_room(r requisite, p_day date) returns bigint language sql immutable parallel safe as $$
  select least(r.max_amount, r.day_amount_limit - requisite_day_amount(r, p_day),
               r.window_amount_limit - r.window_amount, r.total_amount_limit - r.total_amount)
$$;

-- Why a store's orders may not go to a trader; without `p_only` they go to all but `p_never`.
create or replace function traffic_refusals(p_trader uuid, p_only uuid[], p_never uuid[])
returns text[] language sql immutable parallel safe as $$
  select array_remove(array[
    case when p_trader = any (p_never) then 'trader_excluded' end,
    case when cardinality(p_only) > 0 and p_trader <> all (p_only) then 'trader_not_pinned' end
  ], null)
$$;

-- A payin's hold is taken from what the trader's account has; else the reason is 'deposit'.
create or replace function deposit_covers(a ledger_account, p_hold bigint) returns boolean language sql immutable parallel safe as $$
  select a.balance >= p_hold
$$;

-- Another payin of the amount is open, or an order of it in dispute: whose money comes in could not be told. The reason
-- is 'same_amount'. A dispute over an expired payin is about what came before: it keeps the amount from nobody, as it did
-- not while it was expired. Asked under the requisite's lock by a statement that began after it, it sees every order that
-- took the requisite.
create or replace function has_open_amount(p_requisite uuid, p_amount bigint, p_order uuid) returns boolean
language plpgsql stable as $$
begin
  return exists (select 1 from orders o
      where o.requisite_id = p_requisite and o.amount_minor = p_amount and o.direction = 'payin'
        and o.status in ('awaiting_payment', 'awaiting_confirmation') and o.id is distinct from p_order)
    or exists (select 1 from orders o
      where o.requisite_id = p_requisite and o.amount_minor = p_amount and o.status = 'disputed'
        and o.status_before_dispute is distinct from 'expired' and o.id is distinct from p_order);
end $$;

-- Who had an order before, and lost it, does not get it again: 'had_it_before'. Of a payin it is the requisite, of a
-- payout, which is offered to people, the trader.
create or replace function had_requisite(p_order uuid, p_requisite uuid) returns boolean language plpgsql stable as $$
begin
  return exists (select 1 from past_assignment a where a.order_id = p_order and a.requisite_id = p_requisite);
end $$;

create or replace function had_trader(p_order uuid, p_trader uuid) returns boolean language plpgsql stable as $$
begin
  return exists (select 1 from past_assignment a where a.order_id = p_order and a.trader_id = p_trader);
end $$;

-- Take a requisite's place and limits for an order. The caller holds its lock and has asked for the verdict.
create or replace function reserve_requisite(p_requisite uuid, p_amount bigint, p_day date) returns requisite language plpgsql as $$
declare
  reserved requisite;
begin
  update requisite q set
    open_orders = q.open_orders + 1,
    day_amount = requisite_day_amount(q, p_day) + p_amount,
    day_count = requisite_day_count(q, p_day) + 1,
    day = greatest(q.day, p_day),
    window_amount = case when q.window_s is null then 0 else q.window_amount + p_amount end,
    total_amount = q.total_amount + p_amount
  where q.id = p_requisite returning q.* into reserved;
  return reserved;
end $$;
