-- Another payin of the amount is open, or an order of it in dispute: whose money comes in could not be told. The reason
-- is 'same_amount'. A dispute over an expired payin is about what came before: it keeps the amount from nobody, as it did
-- not while it was expired. Asked under the requisite's lock by a statement that began after it, it sees every order that
-- took the requisite.
create or replace function has_open_amount(p_requisite uuid, p_amount bigint, p_order uuid) returns boolean
language plpgsql stable as $$
begin
  return exists (select 1 from orders o
      where o.requisite_id = p_requisite and o.amount_minor = p_amount and o.direction = 'payin'
        and o.status in ('awaiting_payment', 'awaiting_confirmation') and o.id is distinct from p_order)
    or exists (select 1 from orders o
      where o.requisite_id = p_requisite and o.amount_minor = p_amount and o.status = 'disputed'
        and o.status_before_dispute is distinct from 'expired' and o.id is distinct from p_order);
end $$;
