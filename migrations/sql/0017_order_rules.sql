-- An order moves only along these edges, whoever writes; a final one stays as it is.
create or replace function order_status_moves() returns trigger language plpgsql as $$
begin
  if (old.direction, old.status, new.status) in (
    ('payin', 'review', 'matching'), ('payin', 'review', 'failed'), ('payin', 'review', 'cancelled'),
    ('payin', 'matching', 'awaiting_payment'), ('payin', 'matching', 'failed'), ('payin', 'matching', 'cancelled'),
    ('payin', 'awaiting_payment', 'awaiting_confirmation'), ('payin', 'awaiting_payment', 'completed'),
    ('payin', 'awaiting_payment', 'expired'), ('payin', 'awaiting_payment', 'cancelled'),
    ('payin', 'awaiting_payment', 'matching'), ('payin', 'awaiting_payment', 'disputed'),
    ('payin', 'awaiting_confirmation', 'completed'), ('payin', 'awaiting_confirmation', 'disputed'),
    ('payin', 'expired', 'completed'), ('payin', 'expired', 'disputed'),
    ('payin', 'disputed', 'completed'), ('payin', 'disputed', 'cancelled'),
    ('payout', 'review', 'matching'), ('payout', 'review', 'failed'), ('payout', 'review', 'cancelled'),
    ('payout', 'matching', 'awaiting_payout'), ('payout', 'matching', 'failed'), ('payout', 'matching', 'cancelled'),
    ('payout', 'awaiting_payout', 'awaiting_confirmation'), ('payout', 'awaiting_payout', 'matching'),
    ('payout', 'awaiting_payout', 'disputed'),
    ('payout', 'awaiting_confirmation', 'completed'), ('payout', 'awaiting_confirmation', 'disputed'),
    ('payout', 'disputed', 'completed'), ('payout', 'disputed', 'cancelled')
  ) then
    return new;
  end if;
  raise exception 'order %: % can not become %', old.id, old.status, new.status using errcode = '23514';
end $$;
