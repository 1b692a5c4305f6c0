-- A deposit's record, with its outside reference, stays as it was written.
create or replace trigger deposit_stays before update or delete on deposit
  for each row execute function refuse_change();
create or replace trigger deposit_stays_whole before truncate on deposit
  for each statement execute function refuse_change();
