-- Creating an order is one statement: one round trip, one snapshot of the clock, one commit. It takes one record, which
-- its parts below hand on. A part gives something back so that the caller can assign it: a single expression is computed
-- without a statement, which `perform` is.

-- What is to be placed, as portal/orders/service/place.py writes it: the call that asks; the order's columns before it has
-- times and a requisite; how a requisite is looked for (what each step is called and becomes is the transition table's);
-- what is held, and by whom it is done; what is told and answered. Minor units; seconds.
create type new_order as (
  lock_key bigint, path text, key text, fingerprint bytea,

  id uuid, mode text, direction text, store_id uuid, external_id text, status text, status_reason text,
  amount_minor bigint, currency text, method text, bank text, settlement_currency text, settlement_minor bigint,
  fee_minor bigint, rate_micros bigint, rate_source text, rate_at timestamptz, store_fee_bps bigint,
  fixed_fee_minor bigint, trader_commission_bps bigint, lead_commission_bps bigint, recipient_number_encrypted bytea,
  recipient_number_index bytea, recipient_masked text, recipient_holder text, customer_ref text, customer_ip text,
  customer_encrypted bytea, return_url text, description text, locale text, metadata jsonb, token_hash bytea,

  is_searched boolean, limits bigint[], day_timezone text, starts integer[], split_to uuid, "only" uuid[],
  never uuid[], match_s bigint, pay_s bigint, retry_s bigint, created_step text, matched_step text,
  matched_status text, matched_event text,

  entry_kind text, hold_minor bigint, from_account bigint, to_account bigint, actor_kind text, actor_id uuid,

  event_id uuid, event_type text, answer text, requisite_shown text
);

-- What pick_requisite gives; all of it null where nobody was looked for.
create type found_requisite as (
  requisite_id uuid, trader_id uuid, bank text, holder text, number_masked text, number_encrypted bytea,
  window_s integer, counted_day date, tier smallint, ring integer, weight smallint, is_by_ring boolean,
  available_account_id bigint, held_account_id bigint, trace jsonb
);

-- A moment as the API writes it: RFC 3339 in UTC with milliseconds, as a JSON string.
create or replace function api_moment(p_moment timestamptz) returns text language sql immutable as $$
  select '"' || to_char(p_moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"'
$$;

-- What a call that was made before is answered with ('replay'), and that its twin is at work ('in_progress'). Locks the
-- key without waiting.
create or replace function place_order_repeated(
  p new_order,
  out verdict text, out fingerprint bytea, out kept_status smallint, out kept_body bytea, out answer text,
  out secret_row_id uuid, out secret bytea
) language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(p.lock_key) then
    verdict := 'in_progress';
    return;
  end if;
  select 'replay', i.fingerprint, i.status, i.body_encrypted, i.answer, i.secret_row_id, i.secret
    into verdict, fingerprint, kept_status, kept_body, answer, secret_row_id, secret
    from idempotency_key i
   where i.store_id = p.store_id and i.mode = p.mode and i.path = p.path and i.key = p.key;
end $$;

-- The order object, with what only the database knows in place of the marks that stand for it ("\u0000status" ...). No
-- text of a client can hold one, since NUL is refused in every request. The mark of the requisite's number stays.
create or replace function place_order_answer(p new_order, r found_requisite) returns text language plpgsql as $$
declare
  told text := replace(p.answer, '"\u0000now"', api_moment(now()));
begin
  told := replace(told, '"\u0000match_by"', api_moment(now() + make_interval(secs => p.match_s)));
  if r.requisite_id is null then
    told := replace(told, '"\u0000status"', '"' || p.status || '"');
    told := replace(told, '"\u0000pay_by"', 'null');
    return replace(told, '"\u0000requisite"', 'null');
  end if;
  told := replace(told, '"\u0000status"', '"' || p.matched_status || '"');
  told := replace(told, '"\u0000pay_by"', api_moment(now() + make_interval(secs => p.pay_s)));
  told := replace(told, '"\u0000requisite"', p.requisite_shown);
  told := replace(told, '"\u0000bank"', coalesce(to_json(r.bank)::text, 'null'));
  return replace(told, '"\u0000holder"', to_json(r.holder)::text);
end $$;

-- The order's row.
create or replace function place_order_row(p new_order, r found_requisite) returns uuid language plpgsql as $$
declare
  is_matched constant boolean := r.requisite_id is not null;
  match_by constant timestamptz := now() + make_interval(secs => p.match_s);
  pay_by constant timestamptz := case when is_matched then now() + make_interval(secs => p.pay_s) end;
  is_failed constant boolean := p.status = 'failed';
begin
  insert into orders (
    id, mode, direction, status, status_reason, store_id, external_id, amount_minor, currency, method, bank,
    settlement_currency, settlement_minor, fee_minor, rate_micros, rate_source, rate_at, store_fee_bps, fixed_fee_minor,
    trader_commission_bps, lead_commission_bps, recipient_number_encrypted, recipient_number_index, recipient_masked,
    recipient_holder, customer_ref, customer_ip, customer_encrypted, return_url, description, locale, metadata,
    token_hash, requisite_id, trader_id, requisite_bank, requisite_masked, requisite_holder, round, hold_minor,
    assigned_at, counted_day, window_leaves_at, match_by, pay_by, due_at, retry_at, match_trace,
    created_at, updated_at, ended_at
  ) values (
    p.id, p.mode, p.direction, case when is_matched then p.matched_status else p.status end, p.status_reason, p.store_id,
    p.external_id, p.amount_minor, p.currency, p.method, p.bank,
    p.settlement_currency, p.settlement_minor, p.fee_minor, p.rate_micros, p.rate_source, p.rate_at, p.store_fee_bps,
    p.fixed_fee_minor, p.trader_commission_bps, p.lead_commission_bps, p.recipient_number_encrypted,
    p.recipient_number_index, p.recipient_masked, p.recipient_holder, p.customer_ref, p.customer_ip::inet,
    p.customer_encrypted, p.return_url, p.description, p.locale, p.metadata,
    p.token_hash, r.requisite_id, r.trader_id, r.bank, r.number_masked, r.holder, case when is_matched then 1 else 0 end,
    case when is_matched then p.settlement_minor when p.from_account is not null then p.hold_minor else 0 end,
    case when is_matched then now() end, r.counted_day, now() + make_interval(secs => r.window_s), match_by, pay_by,
    case when is_matched then pay_by when not is_failed then match_by end,
    case when p.is_searched and not is_matched then now() + make_interval(secs => p.retry_s) end, r.trace,
    now(), now(), case when is_failed then now() end
  );
  return p.id;
end $$;

-- Its timeline: created, and matched at once.
create or replace function place_order_steps(p new_order, r found_requisite) returns uuid language plpgsql as $$
begin
  if r.requisite_id is null then
    insert into order_event (order_id, event, from_status, to_status, actor_kind, actor_id, reason)
    values (p.id, p.created_step, null, p.status, p.actor_kind, p.actor_id, p.status_reason);
  else
    insert into order_event (order_id, event, from_status, to_status, actor_kind, actor_id)
    values (p.id, p.created_step, null, p.status, p.actor_kind, p.actor_id),
           (p.id, p.matched_step, p.status, p.matched_status, p.actor_kind, p.actor_id);
  end if;
  return p.id;
end $$;

-- The event in the outbox, where there is something to tell; it shows the masked number.
create or replace function place_order_event(p new_order, r found_requisite, p_told text) returns uuid language plpgsql as $$
declare
  what constant text := case when r.requisite_id is null then p.event_type else p.matched_event end;
begin
  if what is null then return null; end if;
  insert into event (id, type, mode, store_id, trader_id, subject_kind, subject_id, version, requisite_id, data)
  values (p.event_id, what, p.mode, p.store_id, r.trader_id, 'order', p.id, 1, r.requisite_id,
          replace(p_told, '"\u0000number"', coalesce(to_json(r.number_masked)::text, 'null'))::jsonb);
  return p.event_id;
end $$;

-- The answer, kept under the call's key with the requisite's number as it is encrypted there.
create or replace function place_order_key(p new_order, r found_requisite, p_told text) returns text language plpgsql as $$
begin
  insert into idempotency_key (store_id, mode, path, key, fingerprint, status, answer, secret_row_id, secret)
  values (p.store_id, p.mode, p.path, p.key, p.fingerprint, 201, p_told, r.requisite_id, r.number_encrypted);
  return p.key;
end $$;

-- The entry that holds the deposit of the trader who was found, else the store's balance for a payout.
create or replace function place_order_hold(p new_order, r found_requisite) returns bigint language plpgsql as $$
begin
  if r.requisite_id is not null then
    return ledger_post(p.entry_kind, p.mode, 'order', p.id, 1, p.actor_kind, p.actor_id, null, null,
      array[r.available_account_id, r.held_account_id], array[p.settlement_currency, p.settlement_currency],
      array[-p.settlement_minor, p.settlement_minor]);
  elsif p.from_account is not null then
    return ledger_post(p.entry_kind, p.mode, 'order', p.id, 0, p.actor_kind, p.actor_id, null, null,
      array[p.from_account, p.to_account], array[p.settlement_currency, p.settlement_currency],
      array[-p.hold_minor, p.hold_minor]);
  end if;
  return null;
end $$;

-- Replay or refuse a call that was made before, or one that passes a limit of exposure ('limit'); else write one order
-- with its timeline, event, hold and the answer kept under the key ('placed').
-- Locks: the key (never waiting), what limits are counted by, the requisite, then accounts by id.
-- It looks rows up by their keys alone: with enable_seqscan = off a connection keeps no plan that scans a table which was
-- small when it was made.
create or replace function place_order(
  p new_order,
  out verdict text, out fingerprint bytea, out kept_status smallint, out kept_body bytea, out answer text,
  out secret_row_id uuid, out secret bytea, out trader_id uuid, out tier smallint, out ring integer,
  out weight smallint, out is_by_ring boolean, out limit_name text, out used bigint, out allowed bigint,
  out retry_s integer
) language plpgsql set enable_seqscan = off as $$
declare
  k record;
  x record;
  r found_requisite;
  done_id uuid;
  done_key text;
  entry_id bigint;
begin
  if p.key is not null then
    k := place_order_repeated(p);
    if k.verdict is not null then
      verdict := k.verdict;
      fingerprint := k.fingerprint;
      kept_status := k.kept_status;
      kept_body := k.kept_body;
      answer := k.answer;
      secret_row_id := k.secret_row_id;
      secret := k.secret;
      return;
    end if;
  end if;
  if p.limits is not null then
    x := exposure_refusal(p.mode, p.store_id, p.settlement_currency, p.id, p.settlement_minor, p.customer_ref,
      p.customer_ip, p.limits);
    if x.limit_name is not null then
      verdict := 'limit';
      limit_name := x.limit_name;
      used := x.used;
      allowed := x.allowed;
      retry_s := x.retry_s;
      return;
    end if;
  end if;
  if p.is_searched then
    r := pick_requisite(p.id, 0, p.mode, p.method, p.bank, p.currency, p.amount_minor, p.settlement_minor,
      p.day_timezone, p.starts, p.split_to, p."only", p.never, true);
    secret_row_id := r.requisite_id;
    secret := r.number_encrypted;
    trader_id := r.trader_id;
    tier := r.tier;
    ring := r.ring;
    weight := r.weight;
    is_by_ring := r.is_by_ring;
  end if;

  answer := place_order_answer(p, r);
  done_id := place_order_row(p, r);
  done_id := place_order_steps(p, r);
  done_id := place_order_event(p, r, answer);
  if p.key is not null then done_key := place_order_key(p, r, answer); end if;
  entry_id := place_order_hold(p, r);
  verdict := 'placed';
end $$;
