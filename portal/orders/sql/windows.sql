-- What lies in a requisite's rolling window, in minor units: each order that counts for the requisite from its matching
-- until the window's length has passed. It counts while it is open and once it is completed; in dispute after its time
-- was up it takes no limits, so that nothing would be given back either when it is decided. Writes into these orders
-- when they leave, for a window that was `p_was_s` long and is `p_window_s` long now (null: none). The caller holds the
-- requisite's lock, which comes after the orders' in the one order of locks: an order that somebody works on is not
-- waited for but ends the transaction (55P03), which is tried again.
create or replace function recount_window(p_requisite uuid, p_trader uuid, p_was_s integer, p_window_s integer) returns bigint
language plpgsql set enable_seqscan = off as $$
declare
  o record;
  leaves timestamptz;
  in_window bigint := 0;
begin
  for o in
    select id, amount_minor, window_leaves_at,
           coalesce(window_leaves_at - make_interval(secs => p_was_s), assigned_at) as entered_at
      from orders
     where trader_id = p_trader and requisite_id = p_requisite
       and (status in ('awaiting_payment', 'awaiting_payout', 'awaiting_confirmation')
            or (status = 'disputed' and status_before_dispute is distinct from 'expired')
            or (status = 'completed' and ended_at > now() - make_interval(secs => greatest(p_was_s, p_window_s, 0)) - interval '1 hour'))
     order by id for no key update nowait
  loop
    leaves := o.entered_at + make_interval(secs => p_window_s);
    if leaves <= now() then leaves := null; end if;
    if leaves is not null then in_window := in_window + o.amount_minor; end if;
    if leaves is distinct from o.window_leaves_at then
      update orders set window_leaves_at = leaves, version = version + 1, updated_at = now() where id = o.id;
    end if;
  end loop;
  return in_window;
end $$;

-- A window that is set, taken off or made longer counts what lies in it: nobody resets their own counter.
create or replace function requisite_window_changes() returns trigger language plpgsql as $$
begin
  new.window_amount := recount_window(new.id, new.trader_id, old.window_s, new.window_s);
  return new;
end $$;

create or replace trigger requisite_window_changes before update of window_s on requisite
  for each row when (old.window_s is distinct from new.window_s) execute function requisite_window_changes();
