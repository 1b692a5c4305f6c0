-- What was decided on an order stays as it was written.
create or replace trigger risk_decision_stays before update or delete on risk_decision
  for each row execute function refuse_change();
