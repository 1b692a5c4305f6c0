-- The floor: the least SQL that keeps the promises of creating and confirming a payin. Its own few tables,
-- the ledger's own rules (run into this schema from portal/ledger/sql), one function for each of the two verbs.
create table ledger_account (
  id bigint generated always as identity primary key, owner_kind text not null, owner_id uuid, kind text not null,
  currency text not null, mode text not null, balance bigint not null default 0, floor bigint,
  keeps_balance boolean not null, check (floor is null or balance >= floor)) with (fillfactor = 50);
create table ledger_entry (
  id bigint generated always as identity primary key, kind text not null, mode text not null,
  subject_kind text not null, subject_id uuid not null, round integer not null, reverses_entry_id bigint,
  actor_kind text not null, actor_id uuid, reason text, created_at timestamptz not null default clock_timestamp(),
  unique (subject_id, kind, round));
create table ledger_posting (
  account_id bigint not null, id bigint generated always as identity, entry_id bigint not null,
  currency text not null, mode text not null, amount bigint not null check (amount <> 0), balance_after bigint,
  primary key (account_id, id));
create index on ledger_posting (entry_id);
create table ledger_unfolded (posting_id bigint primary key, account_id bigint not null, amount bigint not null);

create table requisite (
  id uuid primary key, trader_id uuid not null, available_id bigint not null, held_id bigint not null,
  fiat_id bigint not null, lead_id bigint not null, number bytea not null,
  ring integer not null, min_amount bigint not null, max_amount bigint not null,
  open_orders integer not null default 0, max_open_orders integer not null,
  day date not null default '1970-01-01', day_amount bigint not null default 0, day_limit bigint not null,
  is_free boolean generated always as (open_orders < max_open_orders and day_amount + min_amount <= day_limit) stored
) with (fillfactor = 70);
create index on requisite (ring) where is_free;
create table orders (
  id uuid primary key, store_id uuid not null, external_id text not null, status text not null,
  amount bigint not null, settlement bigint not null, fee bigint not null, rate bigint not null,
  requisite_id uuid, trader_id uuid, token_hash bytea not null unique, due_at timestamptz,
  created_at timestamptz not null default now(), unique (store_id, external_id)) with (fillfactor = 80);
create index on orders (store_id, id);
create index on orders (due_at) where due_at is not null;
create unique index on orders (requisite_id, amount) where status in ('awaiting_payment', 'awaiting_confirmation');
create table idempotency_key (
  store_id uuid, key text, fingerprint bytea not null, body bytea not null, primary key (store_id, key));
create table event (
  id uuid primary key, order_id uuid not null, type text not null, data jsonb not null,
  state text not null default 'pending', next_at timestamptz not null default now());
create index on event (next_at) where state = 'pending';

-- Key, order, match, hold and event of one payin; the requisite's number comes back.
create function create_payin(
  p_id uuid, p_store uuid, p_external text, p_key text, p_fingerprint bytea, p_amount bigint, p_settlement bigint,
  p_fee bigint, p_rate bigint, p_start integer, p_token bytea, p_event uuid, p_data jsonb, p_body bytea
) returns bytea language plpgsql as $$
declare
  r record;
begin
  insert into idempotency_key values (p_store, p_key, p_fingerprint, p_body) on conflict do nothing;
  if not found then
    return (select body from idempotency_key where store_id = p_store and key = p_key);
  end if;
  for attempt in 1..3 loop
    select q.* into r from requisite q join ledger_account a on a.id = q.available_id
     where q.is_free and q.ring >= p_start and p_amount between q.min_amount and q.max_amount
       and a.balance >= p_settlement
       and not exists (select 1 from orders o where o.requisite_id = q.id and o.amount = p_amount
                         and o.status in ('awaiting_payment', 'awaiting_confirmation'))
     order by q.ring limit 1 for no key update skip locked;
    exit when found;
    p_start := 0;
  end loop;
  if r.id is not null then
    update requisite set open_orders = open_orders + 1, day = current_date,
           day_amount = case when day = current_date then day_amount else 0 end + p_amount
     where id = r.id;
  end if;
  insert into orders values (p_id, p_store, p_external,
    case when r.id is null then 'matching' else 'awaiting_payment' end, p_amount, p_settlement, p_fee, p_rate,
    r.id, r.trader_id, p_token, now() + interval '15 minutes', now());
  insert into event (id, order_id, type, data) values (p_event, p_id, 'order.matched', p_data);
  if r.id is not null then
    perform ledger_post('payin_matched', 'live', 'order', p_id, 1, 'merchant', p_store, null, null,
      array[r.available_id, r.held_id], array['USDT', 'USDT'], array[-p_settlement, p_settlement]);
  end if;
  return r.number;
end $$;

-- Transition, six postings and event of one confirmation.
create function confirm_payin(
  p_id uuid, p_trader uuid, p_store_available bigint, p_revenue bigint, p_world bigint, p_event uuid, p_data jsonb
) returns text language plpgsql as $$
declare
  o record;
  r record;
begin
  select * into o from orders where id = p_id and trader_id = p_trader for no key update;
  if not found or o.status not in ('awaiting_payment', 'awaiting_confirmation') then return 'refused'; end if;
  update orders set status = 'completed', due_at = null where id = p_id;
  -- 1 % and 0.5 %, half-up: what our pricing gives for the bench's plan, whose margin of 1.5 % no rounding uses up.
  update requisite set open_orders = open_orders - 1 where id = o.requisite_id
    returning *, (o.settlement * 200 + 10000) / 20000 as trader_part, (o.settlement * 100 + 10000) / 20000 as lead_part
    into r;
  insert into event (id, order_id, type, data) values (p_event, p_id, 'order.completed', p_data);
  perform ledger_post('payin_completed', 'live', 'order', p_id, 0, 'trader', o.trader_id, null, null,
    array[r.held_id, p_store_available, r.available_id, r.lead_id, p_revenue, r.fiat_id, p_world],
    array['USDT', 'USDT', 'USDT', 'USDT', 'USDT', 'RUB', 'RUB'],
    array[-o.settlement, o.settlement - o.fee, r.trader_part, r.lead_part, o.fee - r.trader_part - r.lead_part, o.amount, -o.amount]);
  return 'completed';
end $$;
