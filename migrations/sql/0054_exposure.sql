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
