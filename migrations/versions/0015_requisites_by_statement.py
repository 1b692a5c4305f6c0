"""a trader's requisites are counted once a statement, not once a row

A row's trigger wrote the trader anew for each requisite, and each writing, and each foreign key's look at the trader,
walked over the versions that the same transaction had left: copying a hundred thousand took minutes. Old code is not
concerned. A change of status stays by row: a statement's trigger knows no columns, and each match changes counters.
The database refuses to delete requisites.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"

# Traders are locked in the order of their ids: who adds requisites to several waits for nobody who waits for them.
_BY_STATEMENT = """
DROP TRIGGER count_requisites ON requisite;
CREATE FUNCTION count_new_requisites() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER count_new_requisites AFTER INSERT ON requisite
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_new_requisites();
CREATE OR REPLACE FUNCTION count_requisites() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER count_requisites AFTER UPDATE OF status, trader_id ON requisite
  FOR EACH ROW WHEN ((OLD.status = 'archived') <> (NEW.status = 'archived') OR OLD.trader_id <> NEW.trader_id)
  EXECUTE FUNCTION count_requisites();
UPDATE trader t SET requisites = r.n
  FROM (SELECT t.id, count(q.id) AS n FROM trader t
        LEFT JOIN requisite q ON q.trader_id = t.id AND q.status <> 'archived' GROUP BY t.id) r
 WHERE r.id = t.id AND t.requisites <> r.n;
"""
_BY_ROW = """
DROP TRIGGER count_new_requisites ON requisite;
DROP TRIGGER count_requisites ON requisite;
DROP FUNCTION count_new_requisites();
CREATE OR REPLACE FUNCTION count_requisites() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before integer := CASE WHEN TG_OP <> 'INSERT' AND OLD.status <> 'archived' THEN 1 ELSE 0 END;
  after integer := CASE WHEN TG_OP <> 'DELETE' AND NEW.status <> 'archived' THEN 1 ELSE 0 END;
BEGIN
  IF before <> after THEN
    UPDATE trader SET requisites = requisites + after - before WHERE id = coalesce(NEW.trader_id, OLD.trader_id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER count_requisites AFTER INSERT OR DELETE OR UPDATE OF status ON requisite
  FOR EACH ROW EXECUTE FUNCTION count_requisites();
"""


def upgrade() -> None:
    op.execute(_BY_STATEMENT)


def downgrade() -> None:
    op.execute(_BY_ROW)
