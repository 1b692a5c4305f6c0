-- Limits of exposure: networks are counted for each store, an IPv6 /48 is one, and what is counted costs less.

-- A network that counts as one: an IPv4 /24 (also written as an IPv6 address), an IPv6 /48.
create function customer_network(p_ip inet) returns cidr language sql immutable parallel safe as $$
  select network(case when family(p_ip) = 4 then set_masklen(p_ip, 24)
                      when p_ip << '::ffff:0:0/96' then set_masklen('0.0.0.0'::inet + (p_ip - '::ffff:0.0.0.0'::inet), 24)
                      else set_masklen(p_ip, 48) end)
$$;

-- The limit that another payin of this customer of a store, or of this network in it, would pass, by their latest
-- hundred there. One of `p_customer` and `p_network` is null, and finds nothing.
-- p_limits: open payins, what they hold; of those shown a requisite within an hour, different requisites, and the latest
-- in a row that are not paid, open ones too: else a few requisites shown again and again would use up the store's.
create function exposure_of_payer(
  p_mode text, p_store uuid, p_customer text, p_network cidr, p_order uuid, p_amount bigint, p_limits bigint[],
  out limit_name text, out used bigint, out allowed bigint, out retry_s integer
) language plpgsql as $$
declare
  an_hour_ago timestamptz := now() - interval '1 hour';
  o record;
begin
  -- An outcome is a letter, the newest first: p paid, u not (yet).
  select count(*) filter (where hold_minor > 0) as open_orders, coalesce(sum(hold_minor), 0)::bigint as open_minor,
         min(due_at) filter (where hold_minor > 0) as first_end,
         array_agg(requisite_id) filter (where assigned_at > an_hour_ago) as shown,
         min(assigned_at) filter (where assigned_at > an_hour_ago) as first_shown,
         string_agg(case when status = 'completed' then 'p' else 'u' end, '' order by id desc) filter (
           where assigned_at > an_hour_ago) as outcomes
    into o
    from ((select id, status, hold_minor, requisite_id, assigned_at, due_at from orders
            where store_id = p_store and customer_ref = p_customer and mode = p_mode and direction = 'payin'
              and id <> p_order
            order by id desc limit 100)
          union all
          (select id, status, hold_minor, requisite_id, assigned_at, due_at from orders
            where store_id = p_store and customer_network(customer_ip) = p_network and customer_ip is not null
              and mode = p_mode and direction = 'payin' and id <> p_order
            order by id desc limit 100)) latest;
  if o.open_orders >= p_limits[1] then
    limit_name := 'open_orders'; used := o.open_orders; allowed := p_limits[1];
  elsif o.open_minor + p_amount > p_limits[2] then
    limit_name := 'open_volume'; used := o.open_minor; allowed := p_limits[2];
  elsif cardinality(o.shown) >= p_limits[3] then
    used := (select count(distinct s) from unnest(o.shown) s);
    if used >= p_limits[3] then limit_name := 'requisites'; allowed := p_limits[3]; else used := null; end if;
  end if;
  if limit_name is null and length(o.outcomes) >= p_limits[4] then
    used := length(split_part(o.outcomes, 'p', 1));
    if used >= p_limits[4] then limit_name := 'unpaid'; allowed := p_limits[4]; else used := null; end if;
  end if;
  if limit_name is not null then
    retry_s := greatest(1, coalesce(extract(epoch from case when limit_name like 'open%' then o.first_end - now()
                                                            else o.first_shown - an_hour_ago end), 3600));
  end if;
end $$;

-- Whether a payin that would hold `p_amount` of a deposit may be given a requisite now: nulls when it may, else
-- which limit is reached, how much is used and allowed, and in how many seconds something is likely to be free.
--
-- p_limits: a store's open volume, its claimed volume, requisites shown in an hour, as many more for each paid one;
-- then of a customer, then of a network: open payins, their volume, requisites shown in an hour, unpaid in a row.
--
-- Exact, for the open volume too: each of a store's rows may grow to an eighth of the limit with its own lock alone;
-- beyond it all are locked, added up, and levelled. Of one customer and one network of a store one payin is placed at
-- a time. Locks: the customer, the network, then the store's row (or rows); keep them before requisites and accounts.
--
-- Planning the payer's payins anew each time would cost more than the rest of it: hence the generic plans.
create function exposure_refusal(
  p_mode text, p_store uuid, p_currency text, p_order uuid, p_amount bigint, p_customer text, p_ip text,
  p_limits bigint[],
  out limit_name text, out used bigint, out allowed bigint, out retry_s integer
) language plpgsql set plan_cache_mode = force_generic_plan as $$
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
  elsif s.own + p_amount <= (p_limits[1] - 8) / 8 then
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
