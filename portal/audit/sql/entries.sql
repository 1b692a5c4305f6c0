-- The audit log only grows; every new entry waits in a queue for the one sealer.
create or replace function audit_entry_waits() returns trigger language plpgsql as $$
begin
  insert into audit_unsealed (entry_id) values (new.id);
  return null;
end $$;

create or replace trigger audit_entry_waits after insert on audit_entry
  for each row execute function audit_entry_waits();

create or replace trigger audit_entry_stays before update or delete on audit_entry
  for each row execute function refuse_change();
create or replace trigger audit_entry_stays_whole before truncate on audit_entry
  for each statement execute function refuse_change();
create or replace trigger audit_seal_stays before update or delete on audit_seal
  for each row execute function refuse_change();
create or replace trigger audit_seal_stays_whole before truncate on audit_seal
  for each statement execute function refuse_change();
