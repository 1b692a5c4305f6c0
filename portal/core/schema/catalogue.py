"""What the database's catalogue holds, object by object, compared with what this release ships.

`catalogue.json` is made from a migrated database (`make catalogue`); a test finds it stale. A definition is text that
PostgreSQL 15 and 18 give alike, and a restored database as the migrated one did: without the parentheses that mean
nothing, for reading a dump nests conditions otherwise. Tables are read in our own schema alone, what runs code in each.
"""

from __future__ import annotations

import json
from functools import cache
from itertools import chain
from pathlib import Path

from alembic.script import ScriptDirectory

from portal.core.db import hot
from portal.core.schema.catalogue_code import read_code

FILE = Path(__file__).with_name("catalogue.json")
MIGRATIONS = Path(__file__).parents[3] / "migrations"

# What does not hold in somebody's session although it stands in the catalogue.
_SWITCHES = ("session_replication_role", "search_path", "role")

_OBJECTS = """
WITH ours AS (
  SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
)
-- What a table is said not to have, PostgreSQL doesn't look for.
SELECT format('table %s', t.relname) AS name,
       concat_ws(' ', relkind, relpersistence, CASE WHEN relrowsecurity THEN 'hides rows' END,
                 CASE WHEN NOT relhastriggers AND EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = t.oid)
                      THEN 'triggers unread' END,
                 CASE WHEN NOT relhasindex AND EXISTS (SELECT 1 FROM pg_index WHERE indrelid = t.oid)
                      THEN 'indexes unread' END,
                 CASE WHEN relchecks <> (SELECT count(*) FROM pg_constraint WHERE conrelid = t.oid AND contype = 'c')
                      THEN 'checks unread' END) AS definition
  FROM ours t
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
                 (SELECT format('by %s', string_agg(w.what, ', ' ORDER BY w.what COLLATE "C"))
                    FROM pg_trigger g JOIN pg_class r ON r.oid = g.tgrelid
                    CROSS JOIN LATERAL concat_ws(' ', g.tgfoid::regproc, 'on', r.relname, g.tgtype, nullif(g.tgattr::text, ''),
                                                 CASE WHEN g.tgqual IS NOT NULL THEN 'at times' END,
                                                 CASE WHEN g.tgenabled <> 'O' THEN 'off' END) AS w (what)
                   WHERE g.tgconstraint = c.oid AND g.tgisinternal HAVING count(*) > 0))
  FROM ours t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT format('%s %s.%s', CASE WHEN x.indisunique THEN 'unique index' ELSE 'index' END, t.relname, i.relname),
       concat_ws(' ', pg_get_indexdef(x.indexrelid, 0, true),
                 CASE WHEN NOT x.indisvalid OR NOT x.indisready OR NOT x.indislive THEN 'not valid' END,
                 CASE WHEN NOT x.indimmediate THEN 'deferrable' END)
  FROM ours t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class i ON i.oid = x.indexrelid
UNION ALL
-- A constraint's own triggers are told with it; each other one could be called internal afterwards.
SELECT format('trigger %s.%s', t.relname, g.tgname),
       concat_ws(' ', pg_get_triggerdef(g.oid, true), CASE g.tgenabled WHEN 'O' THEN NULL WHEN 'D' THEN 'off'
                                                               ELSE 'fires when ' || g.tgenabled::text END)
  FROM ours t JOIN pg_trigger g ON g.tgrelid = t.oid
 WHERE NOT (g.tgisinternal AND g.tgfoid < '16384'::oid
            AND EXISTS (SELECT 1 FROM pg_constraint c
                         WHERE c.oid = g.tgconstraint AND t.oid IN (c.conrelid, c.confrelid)
                           AND CASE WHEN c.contype = 'f' THEN g.tgfoid::regproc::text LIKE '"RI\\_FKey\\_%'
                                    ELSE c.contype IN ('p', 'u', 'x') AND g.tgfoid::regproc::text = 'unique_key_recheck' END))
UNION ALL
SELECT format('rule %s.%s', t.relname, w.rulename),
       concat_ws(' ', pg_get_ruledef(w.oid, true), CASE WHEN w.ev_enabled <> 'O' THEN 'off' END)
  FROM ours t JOIN pg_rewrite w ON w.ev_class = t.oid
UNION ALL
SELECT format('policy %s.%s', t.relname, o.polname), o.polcmd::text FROM ours t JOIN pg_policy o ON o.polrelid = t.oid
UNION ALL
SELECT format('%s %s.%s.%s', CASE WHEN t.oid = h.inhparent THEN 'child' ELSE 'parent' END, t.relname, n.nspname, o.relname), ''
  FROM ours t JOIN pg_inherits h ON t.oid IN (h.inhparent, h.inhrelid)
  JOIN pg_class o ON o.oid IN (h.inhparent, h.inhrelid) AND o.oid <> t.oid JOIN pg_namespace n ON n.oid = o.relnamespace
UNION ALL
SELECT format('event trigger %s', evtname), evtevent FROM pg_event_trigger
"""
_SET_FOR_SESSIONS = """
SELECT coalesce(r.rolname, 'everybody') AS who, split_part(c.setting, '=', 1) AS name, c.setting
  FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c (setting) LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
 ORDER BY 1, 2
"""

# With one of these names in a schema that is looked into first, ours would not be meant any more.
_SHADOWS = """
SELECT format('%s.%s', n.nspname, c.relname) AS name FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
 WHERE n.nspname <> 'public' AND c.oid >= '16384'::oid
   AND NOT starts_with(n.nspname, 'pg_temp_') AND NOT starts_with(n.nspname, 'pg_toast_temp_')
   AND EXISTS (SELECT 1 FROM pg_class o WHERE o.relname = c.relname AND o.relnamespace = 'public'::regnamespace
                AND o.relkind IN ('r', 'S'))
 ORDER BY 1
"""
# A name may have spaces and points of its own, but not before that of a table of ours.
_OF_TWO_WORDS = ("unique index", "event trigger")
_ANYWHERE = frozenset({"function", "operator", "cast", "language", "schema", "event trigger"})


def read_catalogue() -> dict[str, str]:
    """Every object of ours with its definition, as it is now."""
    rows = hot(_OBJECTS)
    read = chain(((str(row["name"]), str(row["definition"])) for row in rows), read_code())
    return {name: " ".join(definition.split()) for name, definition in read}


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
    business; what somebody hung on one of ours is, and so is code anywhere.
    """
    shipped = ScriptDirectory(str(MIGRATIONS)).get_heads()
    at = sorted(str(row["version_num"]) for row in hot("SELECT version_num FROM alembic_version"))
    if at != sorted(shipped):
        return [f"the database is at {', '.join(at) or 'nothing'}, this release ships {', '.join(shipped)}"]
    return _told(shipped_catalogue(), read_catalogue()) + _switched()


def _told(shipped: dict[str, str], present: dict[str, str]) -> list[str]:
    changed = []
    for name, definition in shipped.items():
        now = present.get(name)
        if now is None:
            changed.append(f"{name} is missing")
        elif now != definition:
            changed.append(f"{name} was changed: {now[:300]}")
    tables = {name.removeprefix("table ") for name in shipped if name.startswith("table ")}
    code, hung = [], []
    for name in sorted(present.keys() - shipped.keys()):
        kind = next(
            (words for words in _OF_TWO_WORDS if name.startswith(f"{words} ")), name.partition(" ")[0]
        )
        if kind in _ANYWHERE:
            code.append(f"{name} is not of this release")
        elif name[len(kind) + 1 :].partition(".")[0] in tables:
            hung.append(f"{name} is not of this release")
    # A foreign function or operator may answer for any of the rest, and the readers of a long list see its beginning.
    return code + changed + hung


def _switched() -> list[str]:
    begun = [
        f"sessions of {row['who']} begin with {row['setting']}"
        for row in hot(_SET_FOR_SESSIONS)
        if row["name"] in _SWITCHES
    ]
    return begun + [f"{row['name']} has the name of one of ours" for row in hot(_SHADOWS)]
