"""What somebody with every right does to the database, and what the proof says of it."""

from __future__ import annotations

ALIKE = (
    "CREATE SCHEMA elsewhere;"
    "CREATE FUNCTION elsewhere.alike(bigint, numeric) RETURNS boolean LANGUAGE sql RETURN false"
)
A_SKIP = (
    'CREATE TRIGGER "a skip" BEFORE UPDATE ON orders'
    " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
)
SYSTEM_ROWS = "SET LOCAL allow_system_table_mods = on"

# What is done, and what the proof says of it.
TAMPERING = {
    "a dropped trigger": (
        "DROP TRIGGER ledger_posting_apply ON ledger_posting",
        "ledger_posting.ledger_posting_apply is missing",
    ),
    "a disabled trigger": (
        "ALTER TABLE orders DISABLE TRIGGER orders_frozen",
        "trigger orders.orders_frozen was changed",
    ),
    "a trigger for replicas alone": (
        "ALTER TABLE audit_entry ENABLE REPLICA TRIGGER audit_entry_stays",
        "trigger audit_entry.audit_entry_stays was changed",
    ),
    "all triggers of a table off": (
        "ALTER TABLE password_reset DISABLE TRIGGER ALL",
        "constraint password_reset.fk_password_reset_user_id was changed",
    ),
    "a replaced function": (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'",
        "function refuse_change() was changed",
    ),
    "a function with a setting": (
        "ALTER FUNCTION order_status_moves() SET search_path = elsewhere",
        "function order_status_moves() was changed",
    ),
    "a function beside ours": (
        "CREATE FUNCTION ledger_post(p text) RETURNS int LANGUAGE sql RETURN 1",
        "function ledger_post(p text) is not of this release",
    ),
    "a trigger beside ours": (
        "CREATE TRIGGER a_skip BEFORE INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger audit_entry.a_skip is not of this release",
    ),
    "a rule": (
        "CREATE RULE nothing AS ON INSERT TO audit_entry DO INSTEAD NOTHING",
        "rule audit_entry.nothing is not of this release",
    ),
    "a dropped check": (
        "ALTER TABLE chain_link DROP CONSTRAINT ck_chain_link_macs",
        "constraint chain_link.ck_chain_link_macs is missing",
    ),
    "a check of another rule": (
        "ALTER TABLE chain_link DROP CONSTRAINT ck_chain_link_macs, ADD CONSTRAINT ck_chain_link_macs CHECK (true)",
        "constraint chain_link.ck_chain_link_macs was changed",
    ),
    "a dropped foreign key": (
        "ALTER TABLE password_reset DROP CONSTRAINT fk_password_reset_user_id",
        "constraint password_reset.fk_password_reset_user_id is missing",
    ),
    "a dropped unique index": (
        "DROP INDEX uq_webhook_endpoint_store_mode",
        "unique index webhook_endpoint.uq_webhook_endpoint_store_mode is missing",
    ),
    "a column that may be empty": (
        "ALTER TABLE orders ALTER COLUMN rate_micros DROP NOT NULL",
        "column orders.rate_micros was changed",
    ),
    "a column with another default": (
        "ALTER TABLE change_image ALTER COLUMN at SET DEFAULT 'epoch'",
        "column change_image.at was changed",
    ),
    "a table without a log": ("ALTER TABLE heartbeat SET UNLOGGED", "table heartbeat was changed"),
    "rows that hide": (
        "ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY",
        "table audit_entry was changed",
    ),
    "triggers off for everybody": (
        "ALTER ROLE {writer} SET session_replication_role = 'replica'",
        "begin with session_replication_role=replica",
    ),
    "a table in front of ours": (
        "CREATE SCHEMA elsewhere CREATE TABLE ledger_entry (id int)",
        "elsewhere.ledger_entry has the name of one of ours",
    ),
    "an operator that finds nothing unequal": (
        f"{ALIKE}; CREATE OPERATOR public.<> (LEFTARG = bigint, RIGHTARG = numeric, FUNCTION = elsewhere.alike)",
        "operator public.<>(bigint, numeric) is not of this release",
    ),
    "such an operator among PostgreSQL's own": (
        f"{ALIKE}; CREATE OPERATOR pg_catalog.<> (LEFTARG = bigint, RIGHTARG = numeric, FUNCTION = elsewhere.alike)",
        "operator pg_catalog.<>(bigint, numeric) is not of this release",
    ),
    "such an operator said to be an extension's": (
        (
            f"{ALIKE}; CREATE OPERATOR public.<> (LEFTARG = bigint, RIGHTARG = numeric, FUNCTION = elsewhere.alike);"
            "ALTER EXTENSION btree_gist ADD OPERATOR public.<> (bigint, numeric)"
        ),
        "operator public.<>(bigint, numeric) is not of this release",
    ),
    "an operator that hides itself": (
        (
            "CREATE FUNCTION pg_catalog.a_no(oid, integer) RETURNS boolean LANGUAGE sql RETURN false;"
            "CREATE OPERATOR pg_catalog.>= (LEFTARG = oid, RIGHTARG = integer, FUNCTION = pg_catalog.a_no)"
        ),
        "operator pg_catalog.>=(oid, integer) is not of this release",
    ),
    "an operator of PostgreSQL's that asks another": (
        (
            f"{ALIKE}; {SYSTEM_ROWS}; UPDATE pg_operator SET oprcode = 'elsewhere.alike'::regproc"
            " WHERE oid = '<>(bigint,bigint)'::regoperator"
        ),
        "operator pg_catalog.<>(bigint, bigint) is not of this release",
    ),
    "a cast": (
        "CREATE CAST (bigint AS point) WITH INOUT AS IMPLICIT",
        "cast (bigint AS point) is not of this release",
    ),
    "a function elsewhere": (ALIKE, "function elsewhere.alike(bigint, numeric) is not of this release"),
    "a function said to be an extension's": (
        f"{ALIKE}; ALTER EXTENSION pg_trgm ADD FUNCTION elsewhere.alike(bigint, numeric)",
        "function elsewhere.alike(bigint, numeric) is not of this release",
    ),
    "a function among PostgreSQL's own": (
        "CREATE FUNCTION pg_catalog.greatest_of(bigint) RETURNS bigint LANGUAGE sql RETURN 0",
        "function pg_catalog.greatest_of(bigint) is not of this release",
    ),
    "a function that words the findings": (
        "CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE sql RETURN 'table orders'",
        "function format(text, name, name) is not of this release",
    ),
    "an aggregate elsewhere": (
        "CREATE SCHEMA elsewhere; CREATE AGGREGATE elsewhere.sum(bigint) (SFUNC = int8pl, STYPE = bigint)",
        "function elsewhere.sum(bigint) is not of this release",
    ),
    "a function that answers nothing with nothing": (
        "ALTER FUNCTION exposure_slot(uuid) STRICT",
        "function exposure_slot(p_order uuid) was changed",
    ),
    "a language of another handler": (
        f"{SYSTEM_ROWS}; UPDATE pg_language SET lanplcallfoid = 'fmgr_sql_validator'::regproc WHERE lanname = 'plpgsql'",
        "language plpgsql was changed",
    ),
    "a schema": ('CREATE SCHEMA "else where"', "schema else where is not of this release"),
    "a schema named as the server's are": (
        f"{SYSTEM_ROWS}; CREATE SCHEMA pg_more",
        "schema pg_more is not of this release",
    ),
    "a table among PostgreSQL's own": (
        f"{SYSTEM_ROWS}; CREATE TABLE pg_catalog.ledger_posting (id int)",
        "pg_catalog.ledger_posting has the name of one of ours",
    ),
    "a trigger said to be internal": (
        f"{A_SKIP}; {SYSTEM_ROWS}; UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 'a skip'",
        "trigger orders.a skip is not of this release",
    ),
    "a trigger said to be a constraint's": (
        (
            "CREATE CONSTRAINT TRIGGER a_skip AFTER INSERT ON password_reset FOR EACH ROW"
            f" EXECUTE FUNCTION suppress_redundant_updates_trigger(); {SYSTEM_ROWS};"
            "UPDATE pg_trigger SET tgisinternal = true, tgconstraint = c.oid FROM pg_constraint c"
            " WHERE c.conname = 'fk_password_reset_user_id' AND tgname = 'a_skip'"
        ),
        "trigger password_reset.a_skip is not of this release",
    ),
    "a trigger said to be a constraint's that is gone": (
        f"{A_SKIP}; {SYSTEM_ROWS}; UPDATE pg_trigger SET tgisinternal = true, tgconstraint = 1 WHERE tgname = 'a skip'",
        "trigger orders.a skip is not of this release",
    ),
    "a trigger with a space in its name": (A_SKIP, "trigger orders.a skip is not of this release"),
    "a foreign key without its triggers": (
        f"{SYSTEM_ROWS}; DELETE FROM pg_trigger WHERE tgisinternal AND tgrelid = 'password_reset'::regclass",
        "constraint password_reset.fk_password_reset_user_id was changed",
    ),
    "a table said to have no triggers": (
        f"{SYSTEM_ROWS}; UPDATE pg_class SET relhastriggers = false WHERE oid = 'order_event'::regclass",
        "table order_event was changed",
    ),
    "a table said to have no checks": (
        f"{SYSTEM_ROWS}; UPDATE pg_class SET relchecks = 0 WHERE oid = 'ledger_account'::regclass",
        "table ledger_account was changed",
    ),
    "a table said to have no indexes": (
        f"{SYSTEM_ROWS}; UPDATE pg_class SET relhasindex = false WHERE oid = 'password_reset'::regclass",
        "table password_reset was changed",
    ),
    "an index that runs a function": (
        "CREATE INDEX a_look ON orders (api_moment(created_at))",
        "index orders.a_look is not of this release",
    ),
    "a record with a field more": (
        "ALTER TYPE new_order ADD ATTRIBUTE more text",
        "column new_order.more is not of this release",
    ),
    "a dropped index": (
        "DROP INDEX ix_orders_customer_store",
        "index orders.ix_orders_customer_store is missing",
    ),
    "an index of other rows": (
        "DROP INDEX ix_orders_customer_store; CREATE INDEX ix_orders_customer_store ON orders (store_id)",
        "index orders.ix_orders_customer_store was changed",
    ),
    "a table that inherits": (
        "CREATE TABLE more_events () INHERITS (event)",
        "child event.public.more_events is not of this release",
    ),
    "a table that bequeaths": (
        "CREATE TABLE first_orders (id uuid); ALTER TABLE orders INHERIT first_orders",
        "parent orders.public.first_orders is not of this release",
    ),
    "a policy": ("CREATE POLICY none ON orders USING (false)", "policy orders.none is not of this release"),
    "an event trigger": (
        (
            "CREATE FUNCTION a_watch() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';"
            "CREATE EVENT TRIGGER a_watch ON ddl_command_end EXECUTE FUNCTION a_watch()"
        ),
        "event trigger a_watch is not of this release",
    ),
    "a writer who may delete history": (
        "GRANT DELETE ON order_event TO {writer}",
        "_writer may DELETE on order_event",
    ),
    "a writer who may move floors": (
        "GRANT UPDATE (floor) ON ledger_account TO {writer}",
        "_writer may UPDATE (floor) on ledger_account",
    ),
    "everybody may write": ("GRANT INSERT ON deposit TO PUBLIC", "PUBLIC may INSERT on deposit"),
    "a reader who may write": ("GRANT UPDATE ON orders TO {reader}", "_reader may UPDATE on orders"),
    "a writer who may not seal": (
        "REVOKE INSERT ON audit_seal FROM {writer}",
        "_writer may not INSERT on audit_seal",
    ),
    "a writer of every power": ("ALTER ROLE {writer} SUPERUSER", "_writer is a superuser"),
    "a writer who owns": ("GRANT pg_write_all_data TO {writer}", "_writer is a member of pg_write_all_data"),
    "a writer with temporary tables": (
        "GRANT TEMPORARY ON DATABASE {database} TO {writer}",
        "_writer is allowed to make temporary tables",
    ),
    "a writer who may switch triggers off": (
        "GRANT SET ON PARAMETER session_replication_role TO {writer}",
        "_writer is allowed to switch triggers off",
    ),
    "a database of another release": (
        "UPDATE alembic_version SET version_num = '0001'",
        "the database is at 0001",
    ),
}
