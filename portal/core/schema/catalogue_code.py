"""What runs code in a database beside PostgreSQL itself: functions, aggregates, operators, casts, languages, schemas.

Whoever makes an operator `<>` of two types decides what each comparison of these says, this proof's own included. So the
statements here compare values of one type alone and call functions with exactly the types that they are declared with:
PostgreSQL's own schema answers these before any other. The rest is Python's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from portal.core.db import hot

# A lower number was given when the server was made.
_FUNCTIONS = """
SELECT n.nspname AS schema, p.proname AS name, l.lanname AS language, p.prosrc AS source, p.probin AS library,
       pg_catalog.pg_get_function_arguments(p.oid) AS arguments, pg_catalog.pg_get_function_result(p.oid) AS result,
       pg_catalog.pg_get_function_sqlbody(p.oid) AS body, p.provolatile::text AS volatility, p.prosecdef AS is_definer,
       p.proisstrict AS is_strict, p.proconfig AS settings, s.proname AS support, e.extname AS extension
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_catalog.pg_proc s ON s.oid = p.prosupport::oid
  LEFT JOIN (pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid)
    ON d.classid = 'pg_catalog.pg_proc'::regclass::oid AND d.objid = p.oid AND d.deptype = 'e'
 WHERE p.oid >= '16384'::oid OR (n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema')
"""
_OPERATORS = """
SELECT n.nspname AS schema, o.oprname AS name, pg_catalog.format_type(o.oprleft, NULL::integer) AS before,
       pg_catalog.format_type(o.oprright, NULL::integer) AS behind, m.nspname AS does_in, p.proname AS does
  FROM pg_catalog.pg_operator o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
  LEFT JOIN (pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace m ON m.oid = p.pronamespace) ON p.oid = o.oprcode::oid
 WHERE o.oid >= '16384'::oid OR o.oprcode::oid >= '16384'::oid
    OR (n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema')
"""
_CASTS = """
SELECT pg_catalog.format_type(c.castsource, NULL::integer) AS of, pg_catalog.format_type(c.casttarget, NULL::integer) AS into,
       c.castcontext::text AS context, p.proname AS does
  FROM pg_catalog.pg_cast c LEFT JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc
 WHERE c.oid >= '16384'::oid OR c.castfunc >= '16384'::oid
"""
# Functions of other languages are found themselves.
_LANGUAGES = """
SELECT l.lanname AS name, n.nspname AS schema, p.proname AS handler
  FROM pg_catalog.pg_language l
  LEFT JOIN (pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace) ON p.oid = l.lanplcallfoid
 WHERE l.lanname = 'internal' OR l.lanname = 'c' OR l.lanname = 'sql' OR l.lanname = 'plpgsql'
"""
_SCHEMAS = "SELECT nspname AS name FROM pg_catalog.pg_namespace"

# Names in a session's temporary schema are looked up for tables and types, never for functions and operators.
_TEMPORARY = re.compile(r"pg_(toast_)?temp_[0-9]+")
_POSTGRES = frozenset({"pg_catalog", "pg_toast", "information_schema"})


def read_code() -> Iterator[tuple[str, str]]:
    """Each object that may run code and is not PostgreSQL's own, with its definition.

    Of functions, those that an extension brings from the library of its own name are left out: versions differ in them.
    """
    for row in hot(_FUNCTIONS):
        if not _TEMPORARY.fullmatch(row["schema"]) and not _is_brought(row):
            prefix = "" if row["schema"] == "public" else f"{row['schema']}."
            yield f"function {prefix}{row['name']}({row['arguments']})", _function(row)
    for row in hot(_OPERATORS):
        if not _TEMPORARY.fullmatch(row["schema"]):
            name = f"operator {row['schema']}.{row['name']}({row['before']}, {row['behind']})"
            yield name, f"{row['does_in']}.{row['does']}"
    for row in hot(_CASTS):
        yield f"cast ({row['of']} AS {row['into']})", f"{row['context']} {row['does'] or ''}"
    for row in hot(_LANGUAGES):
        yield f"language {row['name']}", f"{row['schema']}.{row['handler']}" if row["handler"] else ""
    for row in hot(_SCHEMAS):
        if row["name"] not in _POSTGRES and not _TEMPORARY.fullmatch(row["name"]):
            yield f"schema {row['name']}", ""


def _is_brought(row: dict[str, Any]) -> bool:
    """Whether an extension's library has it: any function can be called an extension's afterwards."""
    return bool(row["language"] == "c" and row["library"] == f"$libdir/{row['extension']}")


def _function(row: dict[str, Any]) -> str:
    parts = (
        row["result"],
        row["language"],
        row["volatility"],
        "definer" if row["is_definer"] else None,
        "strict" if row["is_strict"] else None,
        f"planned by {row['support']}" if row["support"] else None,
        ",".join(row["settings"] or ()),
        hashlib.sha256(row["source"].encode()).hexdigest(),
        row["body"],
    )
    return " ".join(part for part in parts if part)
