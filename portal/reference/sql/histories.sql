-- What was in force stays as it was written.
create or replace trigger rate_history_stays before update or delete on rate_history
  for each row execute function refuse_change();
create or replace trigger config_setting_history_stays before update or delete on config_setting_history
  for each row execute function refuse_change();
