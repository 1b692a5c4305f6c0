-- What a second person approves is what the first one asked; a decision is taken once.
create or replace trigger permission_request_as_asked before update on permission_request
  for each row when (
    old.state <> 'waiting' or old.id <> new.id or old.user_id <> new.user_id or old.payload <> new.payload
    or old.payload_hash <> new.payload_hash or old.requested_by <> new.requested_by or old.reason <> new.reason
    or old.created_at <> new.created_at or old.expires_at <> new.expires_at)
  execute function refuse_change();
create or replace trigger permission_request_stays before delete on permission_request
  for each row execute function refuse_change();
