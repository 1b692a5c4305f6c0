-- Whether a payin that would hold `p_amount` of a deposit may be given a requisite now: nulls when it may, else
-- which limit is reached, how much is used and allowed, and in how many seconds something is likely to be free.
--
-- p_limits: a store's open volume, its claimed volume, requisites shown in an hour, as many more for each paid one;
-- then of a customer, then of a network: open payins, their volume, requisites shown in an hour, unpaid in a row.
--
-- Exact, for the open volume too: while none of a store's rows is above an eighth of the limit, each may grow to it with
-- its own lock alone; else, as after a limit was lowered, all are locked, added up, and levelled. Of one customer and one
-- network of a store one payin is placed at a time. Locks: the customer, the network, then the store's row (or rows);
-- keep them before requisites and accounts.
--
-- Planning the payer's payins anew each time would cost more than the rest of it: hence the generic plans, which can only
-- look rows up by their keys, so that what they cost does not grow with the history until the table is analysed.
create or replace function exposure_refusal(
  p_mode text, p_store uuid, p_currency text, p_order uuid, p_amount bigint, p_customer text, p_ip text,
  p_limits bigint[],
  out limit_name text, out used bigint, out allowed bigint, out retry_s integer
) language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
  this_hour timestamptz := date_trunc('hour', now());
  is_locked boolean;
  own smallint;
  net cidr;
  payer record;
  s record;
  mine bigint;
begin
  if p_limits is null then return; end if;
  -- Assignments of single expressions, here and below, are computed without a statement.
  if p_customer is not null then
    is_locked := pg_advisory_xact_lock(hashtextextended(p_customer, uuid_hash_extended(p_store, 1))) is not null;
    payer := exposure_of_payer(p_mode, p_store, p_customer, null, p_order, p_amount, p_limits[5:8]);
    if payer.limit_name is not null then
      limit_name := 'customer_' || payer.limit_name;
      used := payer.used; allowed := payer.allowed; retry_s := payer.retry_s;
      return;
    end if;
  end if;
  if p_ip is not null then
    net := customer_network(p_ip::inet);
    is_locked := pg_advisory_xact_lock(hashtextextended(net::text, uuid_hash_extended(p_store, 2))) is not null;
    payer := exposure_of_payer(p_mode, p_store, null, net, p_order, p_amount, p_limits[9:12]);
    if payer.limit_name is not null then
      limit_name := 'network_' || payer.limit_name;
      used := payer.used; allowed := payer.allowed; retry_s := payer.retry_s;
      return;
    end if;
  end if;

  own := exposure_slot(p_order);
  select count(*) as rows, coalesce(sum(claimed_minor), 0)::bigint as claimed,
         coalesce(sum(open_minor) filter (where slot = own), 0)::bigint as own,
         coalesce(max(open_minor), 0) as fullest,
         coalesce(sum(shown) filter (where hour = this_hour), 0) as shown,
         coalesce(sum(case when hour = this_hour then paid + paid_before
                           when hour = this_hour - interval '1 hour' then paid else 0 end), 0) as paid
    into s from exposure where store_id = p_store and mode = p_mode and currency = p_currency;
  if s.rows < 8 then
    insert into exposure (store_id, mode, currency, slot)
    select p_store, p_mode, p_currency, n from generate_series(0, 7) n on conflict do nothing;
  end if;
  if s.claimed + p_amount > p_limits[2] then
    limit_name := 'store_claimed'; used := s.claimed; allowed := p_limits[2]; retry_s := 60;
  elsif s.shown >= p_limits[3] + s.paid * p_limits[4] then
    limit_name := 'store_requisites'; used := s.shown; allowed := p_limits[3] + s.paid * p_limits[4];
    retry_s := extract(epoch from this_hour + interval '1 hour' - now())::integer + 1;
  elsif greatest(s.own + p_amount, s.fullest) <= (p_limits[1] - 8) / 8 then
    select open_minor into mine from exposure
     where store_id = p_store and mode = p_mode and currency = p_currency and slot = own for no key update;
    if coalesce(mine, 0) + p_amount > (p_limits[1] - 8) / 8 then
      -- Somebody else filled the row meanwhile: from the start, rather than lock the others while holding this one.
      raise exception 'the store''s exposure has moved on' using errcode = 'serialization_failure';
    end if;
  else
    perform 1 from exposure where store_id = p_store and mode = p_mode and currency = p_currency
     order by slot for no key update;
    select sum(open_minor)::bigint as open into s
      from exposure where store_id = p_store and mode = p_mode and currency = p_currency;
    if s.open + p_amount > p_limits[1] then
      limit_name := 'store_open'; used := s.open; allowed := p_limits[1]; retry_s := 60;
      return;
    end if;
    -- Level, with what the order is about to add.
    update exposure set open_minor = (s.open + p_amount) / 8
                                   + case when slot = own then (s.open + p_amount) % 8 - p_amount else 0 end
     where store_id = p_store and mode = p_mode and currency = p_currency;
  end if;
end $$;
