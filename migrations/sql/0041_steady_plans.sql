-- A connection keeps the plan that it made for a small table. These can only look rows up by their keys, so that what
-- they cost does not grow with the history until the table is analysed.

-- All postings of an entry: in one statement, two or more, of the entry's mode, zero in every currency.
-- Because they come in one statement, an entry that was written before is sealed.
create or replace function ledger_postings_balance() returns trigger language plpgsql as $$
declare
  bad record;
begin
  select a.entry_id, a.is_off into bad
    from (select c.entry_id, sum(c.n) as n, min(c.low) as low, max(c.high) as high, bool_or(c.total <> 0) as is_off
            from (select entry_id, currency, count(*) as n, sum(amount) as total, min(mode) as low, max(mode) as high
                    from added group by entry_id, currency) c
           group by c.entry_id) a
   where a.is_off or a.n < 2 or a.low <> a.high
      or a.low is distinct from (select e.mode from ledger_entry e where e.id = a.entry_id)
      or a.n <> (select count(*) from ledger_posting p where p.entry_id = a.entry_id)
   limit 1;
  if found and bad.is_off then
    raise exception 'ledger: entry % does not sum to zero in every currency', bad.entry_id using errcode = '23514';
  elsif found then
    raise exception 'ledger: the postings of entry % are not one complete set (or the entry is sealed)', bad.entry_id
      using errcode = '23514';
  end if;
  return null;
end $$;

-- The limit that another payin of this customer of a store, or of this network in it (the other one is null), would
-- pass, by their latest hundred there.
-- p_limits: open payins, what they hold; of those shown a requisite within an hour, different requisites, and the latest
-- in a row that are not paid, open ones too: else a few requisites shown again and again would use up the store's.
-- A cursor, because nearly everybody has few payins or none: adding up in one statement takes longer to begin.
create or replace function exposure_of_payer(
  p_mode text, p_store uuid, p_customer text, p_network cidr, p_order uuid, p_amount bigint, p_limits bigint[],
  out limit_name text, out used bigint, out allowed bigint, out retry_s integer
) language plpgsql as $$
declare
  an_hour_ago timestamptz := now() - interval '1 hour';
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
    open latest no scroll for
      select status, hold_minor, requisite_id, assigned_at, due_at from orders
       where store_id = p_store and customer_ref = p_customer and mode = p_mode and direction = 'payin' and id <> p_order
       order by id desc limit 100;
  else
    open latest no scroll for
      select status, hold_minor, requisite_id, assigned_at, due_at from orders
       where store_id = p_store and customer_network(customer_ip) = p_network and customer_ip is not null
         and mode = p_mode and direction = 'payin' and id <> p_order
       order by id desc limit 100;
  end if;
  loop
    fetch latest into o;
    exit when not found;
    if o.hold_minor > 0 then
      open_orders := open_orders + 1;
      open_minor := open_minor + o.hold_minor;
      first_end := least(first_end, o.due_at);
    end if;
    continue when o.assigned_at is null or o.assigned_at <= an_hour_ago;
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
