-- Creating an order is one statement: one round trip, one snapshot of the clock, one commit.

-- A moment as the API writes it: RFC 3339 in UTC with milliseconds, as a JSON string.
create or replace function api_moment(p_moment timestamptz) returns text language sql immutable as $$
  select '"' || to_char(p_moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"'
$$;

-- Replay or refuse a call that was made before; else write one order with its timeline, event, hold and the
-- answer kept under the key. `p_answer` is the order object with marks ("\u0000status" ...) where only the
-- database knows the value; no text of a client can hold one, since NUL is refused in every request.
-- Locks: the key (advisory), the requisite, then accounts by id.
-- It looks rows up by their keys alone: with enable_seqscan = off a connection keeps no plan that scans a table which was
-- small when it was made.
create or replace function place_order(
  p_lock bigint, p_path text, p_key text, p_fingerprint bytea,
  p_id uuid, p_mode text, p_direction text, p_store uuid, p_external text, p_status text, p_reason text,
  p_amount bigint, p_currency text, p_method text, p_bank text, p_settlement_currency text, p_settlement bigint,
  p_fee bigint, p_rate bigint, p_rate_source text, p_rate_at timestamptz, p_store_fee_bps bigint,
  p_fixed_fee bigint, p_trader_bps bigint, p_lead_bps bigint, p_recipient_number bytea,
  p_recipient_index bytea, p_recipient_masked text, p_recipient_holder text, p_customer_ref text,
  p_customer_ip text, p_customer bytea, p_return_url text, p_description text, p_locale text, p_metadata jsonb,
  p_token bytea, p_match_s bigint, p_pay_s bigint, p_search boolean, p_day_timezone text, p_starts integer[],
  p_split_to uuid, p_only uuid[], p_never uuid[], p_entry text, p_hold bigint, p_from_account bigint,
  p_to_account bigint, p_actor_kind text, p_actor uuid, p_event uuid, p_event_type text, p_answer text,
  p_requisite_shown text,
  out verdict text, out fingerprint bytea, out kept_status smallint, out kept_body bytea, out answer text,
  out secret_row_id uuid, out secret bytea, out trader_id uuid, out tier smallint, out ring integer,
  out weight smallint, out is_by_ring boolean
) language plpgsql set enable_seqscan = off as $$
declare
  k record;
  r record;
  moment timestamptz := now();
  told text;
  trace jsonb;
  is_matched boolean := false;
  final_status text := p_status;
  pays_by timestamptz;
begin
  if p_key is not null then
    if not pg_try_advisory_xact_lock(p_lock) then
      verdict := 'in_progress';
      return;
    end if;
    select i.fingerprint, i.status, i.body_encrypted, i.answer, i.secret_row_id, i.secret into k
      from idempotency_key i
     where i.store_id = p_store and i.mode = p_mode and i.path = p_path and i.key = p_key;
    if found then
      verdict := 'replay';
      fingerprint := k.fingerprint;
      kept_status := k.status;
      kept_body := k.body_encrypted;
      answer := k.answer;
      secret_row_id := k.secret_row_id;
      secret := k.secret;
      return;
    end if;
  end if;

  if p_search then
    select * into r from pick_requisite(p_id, 0, p_mode, p_method, p_bank, p_currency, p_amount, p_settlement,
      p_day_timezone, p_starts, p_split_to, p_only, p_never, true);
    is_matched := r.requisite_id is not null;
    trace := r.trace;
  end if;
  if is_matched then
    final_status := 'awaiting_payment';
    pays_by := moment + make_interval(secs => p_pay_s);
    secret_row_id := r.requisite_id;
    secret := r.number_encrypted;
    trader_id := r.trader_id;
    tier := r.tier;
    ring := r.ring;
    weight := r.weight;
    is_by_ring := r.is_by_ring;
  end if;

  told := replace(p_answer, '"\u0000status"', '"' || final_status || '"');
  told := replace(told, '"\u0000now"', api_moment(moment));
  told := replace(told, '"\u0000match_by"', api_moment(moment + make_interval(secs => p_match_s)));
  told := replace(told, '"\u0000pay_by"', coalesce(api_moment(pays_by), 'null'));
  if is_matched then
    told := replace(told, '"\u0000requisite"', p_requisite_shown);
    told := replace(told, '"\u0000bank"', coalesce(to_json(r.bank)::text, 'null'));
    told := replace(told, '"\u0000holder"', to_json(r.holder)::text);
  else
    told := replace(told, '"\u0000requisite"', 'null');
  end if;
  answer := told;
  if is_matched then
    told := replace(told, '"\u0000number"', to_json(r.number_masked)::text);
  end if;

  if is_matched then
    insert into orders (
      id, mode, direction, status, store_id, external_id, amount_minor, currency, method, bank,
      settlement_currency, settlement_minor, fee_minor, rate_micros, rate_source, rate_at, store_fee_bps,
      fixed_fee_minor, trader_commission_bps, lead_commission_bps, requisite_id, trader_id, requisite_bank,
      requisite_masked, requisite_holder, round, hold_minor, assigned_at, counted_day, window_leaves_at,
      customer_ref, customer_ip, customer_encrypted, return_url, description, locale, metadata, token_hash,
      match_by, pay_by, due_at, match_trace, created_at, updated_at
    ) values (
      p_id, p_mode, p_direction, final_status, p_store, p_external, p_amount, p_currency, p_method, p_bank,
      p_settlement_currency, p_settlement, p_fee, p_rate, p_rate_source, p_rate_at, p_store_fee_bps,
      p_fixed_fee, p_trader_bps, p_lead_bps, r.requisite_id, r.trader_id, r.bank,
      r.number_masked, r.holder, 1, p_settlement, moment, r.counted_day,
      moment + make_interval(secs => r.window_s),
      p_customer_ref, p_customer_ip::inet, p_customer, p_return_url, p_description, p_locale, p_metadata, p_token,
      moment + make_interval(secs => p_match_s), pays_by, pays_by, trace, moment, moment
    );
    insert into order_event (order_id, event, from_status, to_status, actor_kind, actor_id)
    values (p_id, 'created', null, 'matching', p_actor_kind, p_actor),
           (p_id, 'matched', 'matching', final_status, p_actor_kind, p_actor);
  else
    insert into orders (
      id, mode, direction, status, status_reason, store_id, external_id, amount_minor, currency, method, bank,
      settlement_currency, settlement_minor, fee_minor, rate_micros, rate_source, rate_at, store_fee_bps,
      fixed_fee_minor, trader_commission_bps, lead_commission_bps, hold_minor, recipient_number_encrypted,
      recipient_number_index, recipient_masked, recipient_holder, customer_ref, customer_ip,
      customer_encrypted, return_url, description, locale, metadata, token_hash, match_by, due_at, retry_at,
      match_trace, created_at, updated_at, ended_at
    ) values (
      p_id, p_mode, p_direction, p_status, p_reason, p_store, p_external, p_amount, p_currency, p_method, p_bank,
      p_settlement_currency, p_settlement, p_fee, p_rate, p_rate_source, p_rate_at, p_store_fee_bps,
      p_fixed_fee, p_trader_bps, p_lead_bps, case when p_from_account is null then 0 else p_hold end,
      p_recipient_number, p_recipient_index, p_recipient_masked, p_recipient_holder, p_customer_ref,
      p_customer_ip::inet, p_customer, p_return_url, p_description, p_locale, p_metadata, p_token,
      moment + make_interval(secs => p_match_s),
      case when p_status <> 'failed' then moment + make_interval(secs => p_match_s) end,
      case when p_search then moment + interval '1 second' end,
      trace, moment, moment, case when p_status = 'failed' then moment end
    );
    insert into order_event (order_id, event, from_status, to_status, actor_kind, actor_id, reason)
    values (p_id, 'created', null, p_status, p_actor_kind, p_actor, p_reason);
  end if;

  if is_matched or p_event_type is not null then
    insert into event (id, type, mode, store_id, trader_id, subject_kind, subject_id, version, requisite_id, data)
    values (p_event, case when is_matched then 'order.matched' else p_event_type end, p_mode, p_store,
            place_order.trader_id, 'order', p_id, 1, place_order.secret_row_id, told::jsonb);
  end if;
  if p_key is not null then
    insert into idempotency_key (store_id, mode, path, key, fingerprint, status, answer, secret_row_id, secret)
    values (p_store, p_mode, p_path, p_key, p_fingerprint, 201, place_order.answer, place_order.secret_row_id,
            place_order.secret);
  end if;
  if is_matched then
    perform ledger_post(p_entry, p_mode, 'order', p_id, 1, p_actor_kind, p_actor, null, null,
      array[r.available_account_id, r.held_account_id], array[p_settlement_currency, p_settlement_currency],
      array[-p_settlement, p_settlement]);
  elsif p_from_account is not null then
    perform ledger_post(p_entry, p_mode, 'order', p_id, 0, p_actor_kind, p_actor, null, null,
      array[p_from_account, p_to_account], array[p_settlement_currency, p_settlement_currency],
      array[-p_hold, p_hold]);
  end if;
  verdict := 'placed';
end $$;
