-- How many stores and people a merchant has is kept in the merchant's row, for the list that is sorted by it.

-- The argument is the column that counts. Merchants are locked in the order of their ids.
create or replace function count_for_merchant() returns trigger language plpgsql as $$
DECLARE
  sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
  one record;
BEGIN
  FOR one IN SELECT merchant_id, count(*) AS n FROM changed GROUP BY merchant_id ORDER BY merchant_id LOOP
    EXECUTE format('UPDATE merchant SET %1$I = %1$I + $1 WHERE id = $2', TG_ARGV[0]) USING sign * one.n, one.merchant_id;
  END LOOP;
  RETURN NULL;
END $$;

create or replace function count_for_other_merchant() returns trigger language plpgsql as $$
BEGIN
  PERFORM 1 FROM merchant WHERE id IN (OLD.merchant_id, NEW.merchant_id) ORDER BY id FOR NO KEY UPDATE;
  EXECUTE format('UPDATE merchant SET %1$I = %1$I + CASE WHEN id = $2 THEN 1 ELSE -1 END WHERE id IN ($1, $2)', TG_ARGV[0])
    USING OLD.merchant_id, NEW.merchant_id;
  RETURN NULL;
END $$;

create or replace trigger count_new_stores after insert on store
  referencing new table as changed for each statement execute function count_for_merchant('stores');
create or replace trigger count_gone_stores after delete on store
  referencing old table as changed for each statement execute function count_for_merchant('stores');
create or replace trigger count_moved_stores after update of merchant_id on store
  for each row when (old.merchant_id <> new.merchant_id) execute function count_for_other_merchant('stores');

create or replace trigger count_new_members after insert on merchant_member
  referencing new table as changed for each statement execute function count_for_merchant('members');
create or replace trigger count_gone_members after delete on merchant_member
  referencing old table as changed for each statement execute function count_for_merchant('members');
create or replace trigger count_moved_members after update of merchant_id on merchant_member
  for each row when (old.merchant_id <> new.merchant_id) execute function count_for_other_merchant('members');

-- Orders refer to it without a foreign key.
create or replace trigger store_stays before delete on store for each row execute function refuse_change();
