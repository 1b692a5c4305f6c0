-- What was in force, and what was decided on it, stays as it was written.
create trigger rate_history_stays before update or delete on rate_history
  for each row execute function refuse_change();
create trigger config_setting_history_stays before update or delete on config_setting_history
  for each row execute function refuse_change();
create trigger risk_decision_stays before update or delete on risk_decision
  for each row execute function refuse_change();
