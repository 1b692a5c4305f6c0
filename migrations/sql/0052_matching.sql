-- Pick a requisite by the store's split (if there is one), else among `p_only` or all, and reserve it. What the order keeps of
-- the one taken comes back; without one all columns but `trace` are null.
-- The candidates of one bucket (mode, method, currency) are walked by tier, within a tier around the ring from
-- `p_starts[tier]`. At most 16 rows before and after the start are looked at that way; whoever sits further is found by
-- the index over amounts, from the same start on, so that "nobody fits" costs little more than a hit. With `p_only` just
-- those traders are asked. A row that is locked this millisecond is passed over, and looked at again when nobody else fits.
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
  asked uuid[];
  before jsonb;
  candidates refcursor;
  c record;
  r requisite;
  this_tier smallint;
  source text;
  verdict text;
  is_good boolean;
  looked_at integer;
  fell jsonb;
begin
  for pass in case when p_split_to is null then 2 else 1 end..2 loop
    asked := case pass when 1 then array[p_split_to] else p_only end;
    is_by_ring := asked is null;
    looked_at := 0;
    fell := '{}';
    for attempt in 1..3 loop
      this_tier := 0;
      source := case when is_by_ring then 'after' else 'traders' end;
      loop
        if source = 'after' then
          select q.tier into this_tier from requisite q
           where q.mode = p_mode and q.method = p_method and q.currency = p_currency and q.can_take_payin
             and q.tier > this_tier order by q.tier limit 1;
          if not found then source := 'amounts'; end if;
        end if;
        if source = 'after' then
          open candidates no scroll for
            select q.id, q.ctid as seen, q.trader_id, q.available_account_id,
                   requisite_verdict(q, 'payin', p_amount, p_bank, today) as verdict from requisite q
             where q.mode = p_mode and q.method = p_method and q.currency = p_currency and q.can_take_payin
               and q.tier = this_tier and q.ring >= p_starts[this_tier] order by q.ring limit 16;
        elsif source = 'before' then
          open candidates no scroll for
            select q.id, q.ctid as seen, q.trader_id, q.available_account_id,
                   requisite_verdict(q, 'payin', p_amount, p_bank, today) as verdict from requisite q
             where q.mode = p_mode and q.method = p_method and q.currency = p_currency and q.can_take_payin
               and q.tier = this_tier and q.ring < p_starts[this_tier] order by q.ring limit 16;
        elsif source = 'amounts' then
          open candidates no scroll for
            select f.* from (
              select q.id, q.ctid as seen, q.trader_id, q.available_account_id,
                     requisite_verdict(q, 'payin', p_amount, p_bank, today) as verdict, q.tier, q.ring from requisite q
               where q.mode = p_mode and q.method = p_method and q.currency = p_currency and q.can_take_payin
                 and q.amounts @> p_amount and (p_bank is null or q.bank = p_bank)
               limit 256) f
             order by f.tier, (f.ring < p_starts[f.tier]), f.ring;
        else
          open candidates no scroll for
            select q.id, q.ctid as seen, q.trader_id, q.available_account_id,
                   requisite_verdict(q, 'payin', p_amount, p_bank, today) as verdict from requisite q
             where q.trader_id = any (asked) and q.mode = p_mode and q.method = p_method
               and q.currency = p_currency and q.can_take_payin
             order by q.tier, (q.ring < p_starts[q.tier]), q.ring limit 256;
        end if;
        loop
          fetch candidates into c;
          exit when not found;
          looked_at := looked_at + 1;
          verdict := c.verdict;
          if verdict = 'fits' then
            verdict := coalesce((traffic_refusals(c.trader_id, null, p_never))[1], 'fits');
          end if;
          -- A first search need not ask.
          if verdict = 'fits' and p_round > 0 and had_requisite(p_order, c.id) then verdict := 'had_it_before'; end if;
          if verdict = 'fits' and p_reserve then
            select q.ctid = c.seen into is_good from requisite q where q.id = c.id for no key update skip locked;
            if not found then
              verdict := 'busy';
            elsif not is_good then
              -- Another order has written the row since: only under the lock it stays as it is.
              select case when q.can_take_payin then requisite_verdict(q, 'payin', p_amount, p_bank, today)
                          else 'just_used_up' end
                into verdict from requisite q where q.id = c.id;
            end if;
          end if;
          if verdict = 'fits' then
            if p_reserve then
              select deposit_covers(a, p_hold) into is_good from ledger_account a where a.id = c.available_account_id
                for no key update skip locked;
            else
              select deposit_covers(a, p_hold) into is_good from ledger_account a where a.id = c.available_account_id;
            end if;
            if not found then
              verdict := 'busy';
            elsif not is_good then
              verdict := 'deposit';
            elsif has_open_amount(c.id, p_amount, p_order) then
              verdict := 'same_amount';
            end if;
          end if;
          if verdict = 'fits' then
            close candidates;
            if p_reserve then
              r := reserve_requisite(c.id, p_amount, today);
            else
              select q.* into r from requisite q where q.id = c.id;
            end if;
            requisite_id := r.id;
            trader_id := r.trader_id;
            bank := r.bank;
            holder := r.holder;
            number_masked := r.number_masked;
            number_encrypted := r.number_encrypted;
            window_s := r.window_s;
            counted_day := r.day;
            tier := r.tier;
            ring := r.ring;
            weight := r.weight;
            available_account_id := r.available_account_id;
            held_account_id := r.held_account_id;
            trace := jsonb_build_object('looked_at', looked_at, 'fell', fell, 'found_by', source, 'taken',
              jsonb_build_object('requisite', r.id, 'tier', r.tier, 'weight', r.weight));
            if pass = 1 then trace := trace || jsonb_build_object('split_to', p_split_to); end if;
            if before is not null then trace := trace || jsonb_build_object('before', before); end if;
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
    trace := jsonb_build_object('looked_at', looked_at, 'fell', fell, 'found_by', null);
    if pass = 1 then
      before := trace || jsonb_build_object('split_to', p_split_to);
    elsif before is not null then
      trace := trace || jsonb_build_object('before', before);
    end if;
  end loop;
end $$;

drop function match_requisite(uuid, integer, text, text, text, text, bigint, bigint, date, integer[], uuid[], uuid[], boolean);
drop function match_try(uuid, bigint, bigint, bigint, date, boolean);
