-- What a second person approves is what the first one proposed; it begins waiting and ends once.
create or replace trigger approval_request_begins before insert on approval_request
  for each row when (new.state <> 'waiting') execute function refuse_change();
create or replace trigger approval_request_as_proposed before update on approval_request
  for each row when (
    old.state <> 'waiting' or old.id <> new.id or old.kind <> new.kind or old.subject_kind <> new.subject_kind
    or old.subject_id <> new.subject_id or old.subject_version <> new.subject_version or old.payload <> new.payload
    or old.payload_hash <> new.payload_hash or old.mac <> new.mac or old.reason <> new.reason
    or old.proposed_by <> new.proposed_by or old.created_at <> new.created_at or old.expires_at <> new.expires_at)
  execute function refuse_change();
create or replace trigger approval_request_stays before delete on approval_request
  for each row execute function refuse_change();
create or replace trigger approval_request_stays_whole before truncate on approval_request
  for each statement execute function refuse_change();
