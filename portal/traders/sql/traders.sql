-- How many requisites a trader has, archived ones apart, is kept in the trader's row, for the list that is sorted by it.

-- New ones once a statement: by row, each writing walks over the trader's versions that the same transaction has left.
-- Traders are locked in the order of their ids: who adds requisites to several waits for nobody who waits for them.
create or replace function count_new_requisites() returns trigger language plpgsql as $$
DECLARE
  whose uuid[];
  counts integer[];
BEGIN
  SELECT array_agg(trader_id ORDER BY trader_id), array_agg(n ORDER BY trader_id) INTO whose, counts
    FROM (SELECT trader_id, count(*) AS n FROM changed WHERE status <> 'archived' GROUP BY trader_id) c;
  FOR i IN 1 .. coalesce(cardinality(whose), 0) LOOP
    UPDATE trader SET requisites = requisites + counts[i] WHERE id = whose[i];
  END LOOP;
  RETURN NULL;
END $$;

create or replace trigger count_new_requisites after insert on requisite
  referencing new table as changed for each statement execute function count_new_requisites();

-- A change of status by row: a statement's trigger knows no columns, and each match changes counters.
create or replace function count_requisites() returns trigger language plpgsql as $$
BEGIN
  IF OLD.trader_id = NEW.trader_id THEN
    UPDATE trader SET requisites = requisites + CASE WHEN NEW.status = 'archived' THEN -1 ELSE 1 END
     WHERE id = NEW.trader_id;
  ELSE
    UPDATE trader t SET requisites = requisites + CASE WHEN t.id = NEW.trader_id
           THEN (NEW.status <> 'archived')::integer ELSE -(OLD.status <> 'archived')::integer END
      FROM (SELECT id FROM trader WHERE id IN (OLD.trader_id, NEW.trader_id) ORDER BY id FOR NO KEY UPDATE) o
     WHERE t.id = o.id;
  END IF;
  RETURN NULL;
END $$;

create or replace trigger count_requisites after update of status, trader_id on requisite
  for each row when ((old.status = 'archived') <> (new.status = 'archived') or old.trader_id <> new.trader_id)
  execute function count_requisites();

-- Orders refer to both without a foreign key.
create or replace trigger requisite_stays before delete on requisite for each row execute function refuse_change();
create or replace trigger trader_stays before delete on trader for each row execute function refuse_change();
