-- Who gets a payin: one function tries a single requisite, one walks the candidates, one is asked by the statements that
-- place and assign orders.

-- Lock one requisite and its trader's deposit without waiting, check what only holds under the lock, and
-- reserve. Answers 'taken' or the condition at which it fell.
create or replace function match_try(
  p_requisite uuid, p_account bigint, p_amount bigint, p_hold bigint, p_day date, p_reserve boolean
) returns text language plpgsql as $$
declare
  r record;
  covers boolean;
begin
  if p_reserve then
    select q.can_take_payin, q.day, q.day_amount, q.day_count, q.window_amount, q.total_amount,
           q.day_amount_limit, q.day_count_limit, q.window_amount_limit, q.total_amount_limit
      into r from requisite q where q.id = p_requisite for no key update skip locked;
  else
    select q.can_take_payin, q.day, q.day_amount, q.day_count, q.window_amount, q.total_amount,
           q.day_amount_limit, q.day_count_limit, q.window_amount_limit, q.total_amount_limit
      into r from requisite q where q.id = p_requisite;
  end if;
  if not found then return 'busy'; end if;
  if not r.can_take_payin then return 'just_used_up'; end if;
  -- A transaction that began before midnight may come after one that began the new day: the day never goes back.
  if (case when r.day >= p_day then r.day_amount else 0 end) + p_amount > r.day_amount_limit then
    return 'day_amount';
  end if;
  if r.day >= p_day and r.day_count >= r.day_count_limit then return 'day_count'; end if;
  if r.window_amount + p_amount > r.window_amount_limit then return 'window_amount'; end if;
  if r.total_amount + p_amount > r.total_amount_limit then return 'total_amount'; end if;
  if p_reserve then
    select a.balance >= p_hold into covers from ledger_account a where a.id = p_account
      for no key update skip locked;
    if not found then return 'busy'; end if;
  else
    select a.balance >= p_hold into covers from ledger_account a where a.id = p_account;
  end if;
  if not covers then return 'deposit'; end if;
  -- A statement of its own: under the lock its snapshot sees every order that took this requisite.
  if exists (select 1 from orders o
      where o.requisite_id = p_requisite and o.amount_minor = p_amount and o.direction = 'payin'
        and o.status in ('awaiting_payment', 'awaiting_confirmation'))
    or exists (select 1 from orders o
      where o.requisite_id = p_requisite and o.amount_minor = p_amount and o.status = 'disputed') then
    return 'same_amount';
  end if;
  if p_reserve then
    update requisite set
      open_orders = open_orders + 1,
      day_amount = case when day >= p_day then day_amount else 0 end + p_amount,
      day_count = case when day >= p_day then day_count else 0 end + 1,
      day = greatest(day, p_day),
      window_amount = case when window_s is null then 0 else window_amount + p_amount end,
      total_amount = total_amount + p_amount
    where id = p_requisite;
  end if;
  return 'taken';
end $$;

-- Walk the candidates of one bucket (mode, method, currency): by tier, within a tier around the ring from
-- `p_starts[tier]`. At most 16 rows before and after the start are looked at that way; whoever sits further is found
-- by the index over amounts, from the same start on, so that "nobody fits" costs little more than a hit. With `p_only`
-- just those traders are asked. A row that is locked this millisecond is passed over, and looked at again when nobody
-- else fits.
create or replace function match_requisite(
  p_order uuid, p_round integer, p_mode text, p_method text, p_bank text, p_currency text, p_amount bigint,
  p_hold bigint, p_day date, p_starts integer[], p_only uuid[], p_never uuid[], p_reserve boolean
) returns table (chosen uuid, counted_day date, trace jsonb) language plpgsql rows 1 as $$
declare
  candidates refcursor;
  c record;
  this_tier smallint;
  source text;
  verdict text;
  looked_at integer := 0;
  fell jsonb := '{}';
begin
  for attempt in 1..3 loop
    this_tier := 0;
    source := case when p_only is null then 'after' else 'traders' end;
    loop
      if source = 'after' then
        select min(q.tier) into this_tier from requisite q
         where q.mode = p_mode and q.method = p_method and q.currency = p_currency and q.can_take_payin
           and q.tier > this_tier;
        if this_tier is null then source := 'amounts'; end if;
      end if;
      if source = 'after' then
        open candidates for
          select q.id, q.bank, q.amounts, q.trader_id, q.available_account_id from requisite q
           where q.mode = p_mode and q.method = p_method and q.currency = p_currency and q.can_take_payin
             and q.tier = this_tier and q.ring >= p_starts[this_tier] order by q.ring limit 16;
      elsif source = 'before' then
        open candidates for
          select q.id, q.bank, q.amounts, q.trader_id, q.available_account_id from requisite q
           where q.mode = p_mode and q.method = p_method and q.currency = p_currency and q.can_take_payin
             and q.tier = this_tier and q.ring < p_starts[this_tier] order by q.ring limit 16;
      elsif source = 'amounts' then
        open candidates for
          select f.* from (
            select q.id, q.bank, q.amounts, q.trader_id, q.available_account_id, q.tier, q.ring from requisite q
             where q.mode = p_mode and q.method = p_method and q.currency = p_currency and q.can_take_payin
               and q.amounts @> p_amount and (p_bank is null or q.bank = p_bank)
             limit 256) f
           order by f.tier, (f.ring < p_starts[f.tier]), f.ring;
      else
        open candidates for
          select q.id, q.bank, q.amounts, q.trader_id, q.available_account_id from requisite q
           where q.trader_id = any (p_only) and q.mode = p_mode and q.method = p_method
             and q.currency = p_currency and q.can_take_payin
           order by q.tier, (q.ring < p_starts[q.tier]), q.ring limit 256;
      end if;
      loop
        fetch candidates into c;
        exit when not found;
        looked_at := looked_at + 1;
        verdict := case
          when p_bank is not null and c.bank is distinct from p_bank then 'bank'
          when not c.amounts @> p_amount then 'amount'
          when c.trader_id = any (p_never) then 'trader_excluded' end;
        -- By statements of their own only when they are needed: a first search needs none.
        if verdict is null and p_round > 0 then
          select 'had_it_before' into verdict from past_assignment a
           where a.order_id = p_order and a.requisite_id = c.id;
        end if;
        if verdict is null then
          verdict := match_try(c.id, c.available_account_id, p_amount, p_hold, p_day, p_reserve);
        end if;
        if verdict = 'taken' then
          close candidates;
          chosen := c.id;
          select q.day into counted_day from requisite q where q.id = c.id;
          trace := jsonb_build_object('looked_at', looked_at, 'fell', fell, 'found_by', source);
          return next;
          return;
        end if;
        fell := jsonb_set(fell, array[verdict], to_jsonb(coalesce((fell ->> verdict)::int, 0) + 1));
      end loop;
      close candidates;
      exit when source in ('amounts', 'traders');
      source := case source when 'after' then 'before' else 'after' end;
    end loop;
    exit when not fell ? 'busy';
    perform pg_sleep(0.004 * attempt);
  end loop;
  chosen := null;
  trace := jsonb_build_object('looked_at', looked_at, 'fell', fell, 'found_by', null);
  return next;
end $$;

-- Pick a requisite by the store's split (if there is one), else among `p_only` or all, and reserve it.
-- The one taken comes back with what the order keeps of it; without one all columns but `trace` are null.
create or replace function pick_requisite(
  p_order uuid, p_round integer, p_mode text, p_method text, p_bank text, p_currency text, p_amount bigint,
  p_hold bigint, p_day_timezone text, p_starts integer[], p_split_to uuid, p_only uuid[], p_never uuid[],
  p_reserve boolean,
  out requisite_id uuid, out trader_id uuid, out bank text, out holder text, out number_masked text,
  out number_encrypted bytea, out window_s integer, out counted_day date, out tier smallint, out ring integer,
  out weight smallint, out is_by_ring boolean, out available_account_id bigint, out held_account_id bigint,
  out trace jsonb
) language plpgsql as $$
declare
  today date := (now() at time zone p_day_timezone)::date;
  chosen uuid;
  before jsonb;
begin
  is_by_ring := false;
  if p_split_to is not null then
    select m.chosen, m.counted_day, m.trace || jsonb_build_object('split_to', p_split_to)
      into chosen, counted_day, trace
      from match_requisite(p_order, p_round, p_mode, p_method, p_bank, p_currency, p_amount, p_hold, today,
                           p_starts, array[p_split_to], p_never, p_reserve) m;
  end if;
  if chosen is null then
    before := trace;
    is_by_ring := p_only is null;
    select m.chosen, m.counted_day, m.trace into chosen, counted_day, trace
      from match_requisite(p_order, p_round, p_mode, p_method, p_bank, p_currency, p_amount, p_hold, today,
                           p_starts, p_only, p_never, p_reserve) m;
    if before is not null then trace := trace || jsonb_build_object('before', before); end if;
  end if;
  if chosen is null then return; end if;
  select r.id, r.trader_id, r.bank, r.holder, r.number_masked, r.number_encrypted, r.window_s, r.tier, r.ring,
         r.weight, r.available_account_id, r.held_account_id
    into requisite_id, trader_id, bank, holder, number_masked, number_encrypted, window_s, tier, ring,
         weight, available_account_id, held_account_id
    from requisite r where r.id = chosen;
  trace := trace || jsonb_build_object(
    'taken', jsonb_build_object('requisite', requisite_id, 'tier', tier, 'weight', weight));
end $$;
