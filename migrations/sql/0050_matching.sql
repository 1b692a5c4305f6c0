-- Walk the candidates of one bucket (mode, method, currency): by tier, within a tier around the ring from
-- `p_starts[tier]`. At most 16 rows before and after the start are looked at that way; whoever sits further is found
-- by the index over amounts, from the same start on, so that "nobody fits" costs little more than a hit. With `p_only` just those traders
-- are asked. A row that is locked this millisecond is passed over, and looked at again when nobody else fits.
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
