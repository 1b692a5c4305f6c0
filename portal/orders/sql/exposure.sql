-- Limits of exposure: what one store, one customer and one network of it may hold and be shown at once.

-- A network that counts as one: an IPv4 /24 (also written as an IPv6 address), an IPv6 /48.
create or replace function customer_network(p_ip inet) returns cidr language sql immutable parallel safe as $$
  select network(case when family(p_ip) = 4 then set_masklen(p_ip, 24)
                      when p_ip << '::ffff:0:0/96' then set_masklen('0.0.0.0'::inet + (p_ip - '::ffff:0.0.0.0'::inet), 24)
                      else set_masklen(p_ip, 48) end)
$$;

-- A store's figures are spread over eight rows by the order's id, so that its orders do not queue behind one lock.
create or replace function exposure_slot(p_order uuid) returns smallint language sql immutable parallel safe as $$
  select (get_byte(uuid_send(p_order), 15) & 7)::smallint
$$;

-- Carry a store's figures along with its payins, whoever changes them. A trigger before the row, so that the lock
-- order is order, exposure, requisite, accounts. Claimed is what the customer, or their shop, says they paid: what a
-- receiver alone says of an order that nobody claimed takes nothing of the store's claims.
create or replace function count_exposure() returns trigger language plpgsql as $$
declare
  this_hour timestamptz := date_trunc('hour', now());
  d_open bigint := new.hold_minor;
  d_claimed bigint := case when new.status in ('awaiting_confirmation', 'disputed') and new.claimed_at is not null
                           then new.hold_minor else 0 end;
  d_shown integer := (new.requisite_id is not null)::integer;
  d_paid integer := (new.status = 'completed')::integer;
begin
  if new.direction <> 'payin' then return new; end if;
  if tg_op = 'UPDATE' then
    d_open := d_open - old.hold_minor;
    d_claimed := d_claimed - case when old.status in ('awaiting_confirmation', 'disputed') and old.claimed_at is not null
                                  then old.hold_minor else 0 end;
    d_shown := (new.requisite_id is not null and new.requisite_id is distinct from old.requisite_id)::integer;
    d_paid := (new.status = 'completed' and old.status <> 'completed')::integer;
  end if;
  if d_open = 0 and d_claimed = 0 and d_shown = 0 and d_paid = 0 then return new; end if;
  update exposure e set
         open_minor = e.open_minor + d_open, claimed_minor = e.claimed_minor + d_claimed,
         shown = case when e.hour = this_hour then e.shown else 0 end + d_shown,
         paid = case when e.hour = this_hour then e.paid else 0 end + d_paid,
         paid_before = case when e.hour = this_hour then e.paid_before
                            when e.hour = this_hour - interval '1 hour' then e.paid else 0 end,
         hour = this_hour
   where e.store_id = new.store_id and e.mode = new.mode and e.currency = new.settlement_currency
     and e.slot = exposure_slot(new.id);
  if not found then
    insert into exposure as e (store_id, mode, currency, slot, open_minor, claimed_minor, hour, shown, paid)
    values (new.store_id, new.mode, new.settlement_currency, exposure_slot(new.id), d_open, d_claimed, this_hour,
            d_shown, d_paid)
    on conflict (store_id, mode, currency, slot) do update
       set open_minor = e.open_minor + excluded.open_minor, claimed_minor = e.claimed_minor + excluded.claimed_minor,
           shown = e.shown + excluded.shown, paid = e.paid + excluded.paid;
  end if;
  return new;
end $$;

create or replace trigger count_new_exposure before insert on orders
  for each row execute function count_exposure();
create or replace trigger count_moved_exposure before update of status, hold_minor, requisite_id on orders
  for each row execute function count_exposure();

-- The limit that another payin of this customer of a store, or of this network in it (the other one is null), would
-- pass. Of each kind 200 rows are looked at, which is beyond every limit.
-- p_limits: open payins, what they hold; of those shown a requisite within an hour, different requisites, and the latest
-- in a row that are not paid, open ones too: else a few requisites shown again and again would use up the store's.
-- Cursors, because nearly everybody has few payins or none: adding up in one statement takes longer to begin.
-- Rows are asked for in the order of the one index that is meant, and by comparing its whole key, which begins with the
-- payer: an index that begins with the store would do for a plan that was made for a small table, and that plan reads all
-- of the store's orders for each of its payins.
create or replace function exposure_of_payer(
  p_mode text, p_store uuid, p_customer text, p_network cidr, p_order uuid, p_amount bigint, p_limits bigint[],
  out limit_name text, out used bigint, out allowed bigint, out retry_s integer
) language plpgsql as $$
declare
  an_hour_ago timestamptz := now() - interval '1 hour';
  -- Ids begin with their time in milliseconds. An order waits for its method for less than a day.
  day_ago uuid := lpad(to_hex((extract(epoch from now() - interval '1 day') * 1000)::bigint), 12, '0') || repeat('0', 20);
  last_id constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  held refcursor;
  latest refcursor;
  o record;
  open_orders bigint := 0;
  open_minor bigint := 0;
  first_end timestamptz;
  shown uuid[] := '{}';
  first_shown timestamptz;
  unpaid bigint := 0;
  has_paid boolean := false;
begin
  if p_network is null then
    open held no scroll for
      select hold_minor, due_at from orders
       where (customer_ref, store_id) >= (p_customer, p_store) and (customer_ref, store_id) <= (p_customer, p_store)
         and customer_ref is not null and mode = p_mode and direction = 'payin' and hold_minor > 0 and id <> p_order
       order by customer_ref, store_id limit 200;
    open latest no scroll for
      select status, requisite_id, assigned_at from orders
       where (customer_ref, store_id, id) > (p_customer, p_store, day_ago)
         and (customer_ref, store_id, id) <= (p_customer, p_store, last_id)
         and customer_ref is not null and mode = p_mode and direction = 'payin' and assigned_at > an_hour_ago
         and id <> p_order
       order by customer_ref desc, store_id desc, id desc limit 200;
  else
    open held no scroll for
      select hold_minor, due_at from orders
       where (customer_network(customer_ip), store_id) >= (p_network, p_store)
         and (customer_network(customer_ip), store_id) <= (p_network, p_store)
         and customer_ip is not null and mode = p_mode and direction = 'payin' and hold_minor > 0 and id <> p_order
       order by customer_network(customer_ip), store_id limit 200;
    open latest no scroll for
      select status, requisite_id, assigned_at from orders
       where (customer_network(customer_ip), store_id, id) > (p_network, p_store, day_ago)
         and (customer_network(customer_ip), store_id, id) <= (p_network, p_store, last_id)
         and customer_ip is not null and mode = p_mode and direction = 'payin' and assigned_at > an_hour_ago
         and id <> p_order
       order by customer_network(customer_ip) desc, store_id desc, id desc limit 200;
  end if;
  loop
    fetch held into o;
    exit when not found;
    open_orders := open_orders + 1;
    open_minor := open_minor + o.hold_minor;
    first_end := least(first_end, o.due_at);
  end loop;
  close held;
  loop
    fetch latest into o;
    exit when not found;
    first_shown := least(first_shown, o.assigned_at);
    if not o.requisite_id = any (shown) then shown := shown || o.requisite_id; end if;
    if o.status = 'completed' then
      has_paid := true;
    elsif not has_paid then
      unpaid := unpaid + 1;
    end if;
  end loop;
  close latest;
  if open_orders >= p_limits[1] then
    limit_name := 'open_orders'; used := open_orders; allowed := p_limits[1];
  elsif open_minor + p_amount > p_limits[2] then
    limit_name := 'open_volume'; used := open_minor; allowed := p_limits[2];
  elsif cardinality(shown) >= p_limits[3] then
    limit_name := 'requisites'; used := cardinality(shown); allowed := p_limits[3];
  elsif unpaid >= p_limits[4] then
    limit_name := 'unpaid'; used := unpaid; allowed := p_limits[4];
  else
    return;
  end if;
  retry_s := greatest(1, coalesce(extract(epoch from case when limit_name like 'open%' then first_end - now()
                                                          else first_shown - an_hour_ago end), 3600));
end $$;

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
