"""What the database's catalogue holds, object by object, compared with what this release ships.

`catalogue.json` is made from a migrated database (`make catalogue`); a test finds it stale. A definition is text that
PostgreSQL 15 and 18 give alike, and a restored database as the migrated one did: without the parentheses that mean
nothing, for reading a dump nests conditions otherwise. Only our own schema is read, and of functions only those that no extension brought.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from alembic.script import ScriptDirectory

from portal.core.db import hot

FILE = Path(__file__).with_name("catalogue.json")
MIGRATIONS = Path(__file__).parents[2] / "migrations"

# What does not hold in somebody's session although it stands in the catalogue.
_SWITCHES = ("session_replication_role", "search_path", "role")

_OBJECTS = """
WITH ours AS (
  SELECT oid, relname, relkind, relpersistence, relrowsecurity FROM pg_class
   WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
), brought AS (
  SELECT objid FROM pg_depend WHERE deptype = 'e' AND classid = 'pg_proc'::regclass
)
SELECT 'table ' || relname AS name,
       concat_ws(' ', relkind, relpersistence, CASE WHEN relrowsecurity THEN 'hides rows' END) AS definition FROM ours
UNION ALL
SELECT format('column %s.%s', t.relname, a.attname),
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
                 nullif(a.attidentity, ''), nullif(a.attgenerated, ''), pg_get_expr(d.adbin, d.adrelid, true))
  FROM ours t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
UNION ALL
-- From version 18 on NOT NULL is a constraint too, and a constraint may be there without being enforced.
SELECT format('constraint %s.%s', t.relname, c.conname),
       concat_ws(' ', pg_get_constraintdef(c.oid, true), CASE WHEN NOT c.convalidated THEN 'not valid' END,
                 CASE WHEN to_jsonb(c) ->> 'conenforced' = 'false' THEN 'not enforced' END,
                 (SELECT 'triggers off' FROM pg_trigger g WHERE g.tgconstraint = c.oid AND g.tgenabled <> 'O' LIMIT 1))
  FROM ours t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT 'unique index ' || i.relname,
       concat_ws(' ', pg_get_indexdef(x.indexrelid, 0, true), CASE WHEN NOT x.indisvalid OR NOT x.indisready THEN 'not valid' END)
  FROM ours t JOIN pg_index x ON x.indrelid = t.oid AND x.indisunique JOIN pg_class i ON i.oid = x.indexrelid
UNION ALL
SELECT format('trigger %s.%s', t.relname, g.tgname),
       concat_ws(' ', pg_get_triggerdef(g.oid, true), CASE g.tgenabled WHEN 'O' THEN NULL WHEN 'D' THEN 'off'
                                                               ELSE 'fires when ' || g.tgenabled::text END)
  FROM ours t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
UNION ALL
SELECT format('rule %s.%s', t.relname, w.rulename), pg_get_ruledef(w.oid, true)
  FROM ours t JOIN pg_rewrite w ON w.ev_class = t.oid
UNION ALL
SELECT format('policy %s.%s', t.relname, o.polname), o.polcmd::text FROM ours t JOIN pg_policy o ON o.polrelid = t.oid
UNION ALL
SELECT format('function %s(%s)', p.proname, pg_get_function_arguments(p.oid)),
       concat_ws(' ', pg_get_function_result(p.oid), l.lanname, p.provolatile, CASE WHEN p.prosecdef THEN 'definer' END,
                 array_to_string(p.proconfig, ','), encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'))
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'public'::regnamespace AND p.oid NOT IN (SELECT objid FROM brought)
UNION ALL
SELECT 'event trigger ' || evtname, evtevent FROM pg_event_trigger
"""
_SET_FOR_SESSIONS = """
SELECT coalesce(r.rolname, 'everybody') AS who, split_part(c.setting, '=', 1) AS name, c.setting
  FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c (setting) LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
 ORDER BY 1, 2
"""

# With one of these names in a schema that is looked into first, ours would not be meant any more.
_SHADOWS = """
WITH elsewhere AS (
  SELECT oid, nspname FROM pg_namespace
   WHERE nspname <> 'public' AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
)
SELECT format('%s.%s', e.nspname, c.relname) AS name FROM elsewhere e JOIN pg_class c ON c.relnamespace = e.oid
 WHERE EXISTS (SELECT 1 FROM pg_class o WHERE o.relname = c.relname AND o.relnamespace = 'public'::regnamespace
                AND o.relkind IN ('r', 'S'))
UNION
SELECT format('%s.%s()', e.nspname, p.proname) FROM elsewhere e JOIN pg_proc p ON p.pronamespace = e.oid
 WHERE EXISTS (SELECT 1 FROM pg_proc o WHERE o.proname = p.proname AND o.pronamespace = 'public'::regnamespace)
 ORDER BY 1
"""


def read_catalogue() -> dict[str, str]:
    """Every object of ours with its definition, as it is now."""
    rows = hot(_OBJECTS)
    return {str(row["name"]): " ".join(str(row["definition"]).split()) for row in rows}


@cache
def shipped_catalogue() -> dict[str, str]:
    """Every object that the migrations of this release make."""
    found: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def as_file(catalogue: dict[str, str]) -> str:
    """One object a line in one order, so that two branches' changes seldom meet."""
    return json.dumps(dict(sorted(catalogue.items())), indent=1, ensure_ascii=False) + "\n"


def differences() -> list[str]:
    """A sentence for each object that is missing, was changed, or is there without being shipped. Reads only.

    A database of another release can't be compared: that is one sentence of its own. Tables beside ours are nobody's
    business; what somebody hung on one of ours is.
    """
    shipped = ScriptDirectory(str(MIGRATIONS)).get_heads()
    at = sorted(str(row["version_num"]) for row in hot("SELECT version_num FROM alembic_version"))
    if at != sorted(shipped):
        return [f"the database is at {', '.join(at) or 'nothing'}, this release ships {', '.join(shipped)}"]
    return _told(shipped_catalogue(), read_catalogue()) + _switched()


def _told(shipped: dict[str, str], present: dict[str, str]) -> list[str]:
    found = []
    for name, definition in shipped.items():
        now = present.get(name)
        if now is None:
            found.append(f"{name} is missing")
        elif now != definition:
            found.append(f"{name} was changed: {now[:300]}")
    tables = {name.removeprefix("table ") for name in shipped if name.startswith("table ")}
    for name in sorted(present.keys() - shipped.keys()):
        kind, _, rest = name.rpartition(" ") if "(" not in name else name.partition(" ")
        if kind in {"function", "event trigger", "unique index"} or rest.partition(".")[0] in tables:
            found.append(f"{name} is not of this release")
    return found


def _switched() -> list[str]:
    begun = [
        f"sessions of {row['who']} begin with {row['setting']}"
        for row in hot(_SET_FOR_SESSIONS)
        if row["name"] in _SWITCHES
    ]
    return begun + [f"{row['name']} has the name of one of ours" for row in hot(_SHADOWS)]
