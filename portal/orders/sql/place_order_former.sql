-- As programs of before call it, which go on serving while a new version is put in: they ask for limits of exposure themselves.
-- The version after drops it.
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
) language sql set enable_seqscan = off as $$
  select n.verdict, n.fingerprint, n.kept_status, n.kept_body, n.answer, n.secret_row_id, n.secret, n.trader_id,
    n.tier, n.ring, n.weight, n.is_by_ring
    from place_order(row(
    p_lock, p_path, p_key, p_fingerprint, p_id, p_mode, p_direction, p_store, p_external, p_status, p_reason,
    p_amount, p_currency, p_method, p_bank, p_settlement_currency, p_settlement, p_fee, p_rate, p_rate_source,
    p_rate_at, p_store_fee_bps, p_fixed_fee, p_trader_bps, p_lead_bps, p_recipient_number, p_recipient_index,
    p_recipient_masked, p_recipient_holder, p_customer_ref, p_customer_ip, p_customer, p_return_url, p_description,
    p_locale, p_metadata, p_token, p_search, null, p_day_timezone, p_starts, p_split_to, p_only, p_never, p_match_s,
    p_pay_s, 1, 'created', 'matched', 'awaiting_payment', 'order.matched', p_entry, p_hold, p_from_account,
    p_to_account, p_actor_kind, p_actor, p_event, p_event_type, p_answer, p_requisite_shown
  )::new_order) n
$$;
