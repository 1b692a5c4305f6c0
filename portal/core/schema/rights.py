"""Who may do what in the database: what is given to the roles, and where that is not what stands there.

Three roles of the whole server: the owner of the tables, whom nobody needs to name, the writer and the reader. Where
the last two do not exist, everything runs as one role: nothing is given then, and nothing of it is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from portal.core.db import hot

# A table's name -> what the writer may do to it, as in GRANT.
Rights = Callable[[str], frozenset[str]]
_READ = frozenset({"SELECT"})
# Of a sequence the writer takes numbers and sees how far it is, and sets nothing back.
_COUNT = frozenset({"SELECT", "USAGE"})


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of the two roles that own nothing."""

    writer: str
    reader: str


_PRESENT = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
_RELATIONS = """
SELECT relname, relkind::text FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S') ORDER BY relkind, relname
"""
_OWNS_TABLES = """
SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
"""
_OWNS_DATABASE = """
SELECT current_database(), pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()
"""


def give_rights(connection: psycopg.Connection[Any], roles: Roles, rights: Rights) -> bool:
    """Make what the roles may do in this database what `rights` says, whatever it was.

    In the caller's transaction, so that nobody sees a moment between. Locks no table. False, and nothing is done,
    where there are no roles or somebody else owns the tables.
    """
    there = {row[0] for row in connection.execute(_PRESENT, [[roles.writer, roles.reader]])}
    given = [(name, of) for name, of in ((roles.writer, rights), (roles.reader, _read)) if name in there]
    owns = connection.execute(_OWNS_TABLES).fetchone()
    if not given or owns is None or not owns[0]:
        return False
    _close_the_database(connection, [name for name, _ in given])
    relations = [(str(name), str(kind)) for name, kind in connection.execute(_RELATIONS)]
    for role, of in given:
        of_sequences = _READ if role == roles.reader else _COUNT
        for name, kind in relations:
            _give(connection, role, name, of_sequences if kind == "S" else of(name), kind)
    return True


def _read(_table: str) -> frozenset[str]:
    return _READ


def _give(
    connection: psycopg.Connection[Any], role: str, name: str, rights: frozenset[str], kind: str
) -> None:
    what = sql.SQL("SEQUENCE" if kind == "S" else "TABLE")
    on = {"what": what, "name": sql.Identifier("public", name), "role": sql.Identifier(role)}
    connection.execute(sql.SQL("REVOKE ALL ON {what} {name} FROM {role}, PUBLIC").format(**on))
    # The rights are constants of ours, a column among them.
    listed = sql.SQL(", ".join(sorted(rights)))
    connection.execute(sql.SQL("GRANT {rights} ON {what} {name} TO {role}").format(rights=listed, **on))


def _close_the_database(connection: psycopg.Connection[Any], names: list[str]) -> None:
    """Nobody but its owner makes anything in it, tables of their own session included."""
    row = connection.execute(_OWNS_DATABASE).fetchone()
    assert row is not None
    if not row[1]:
        return
    database, roles = sql.Identifier(row[0]), sql.SQL(", ").join(map(sql.Identifier, names))
    for statement in (
        "REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC, {roles}",
        "GRANT CONNECT ON DATABASE {database} TO {roles}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC, {roles}",
        "GRANT USAGE ON SCHEMA public TO {roles}",
    ):
        connection.execute(sql.SQL(statement).format(database=database, roles=roles))


_GIVEN = """
WITH ours AS (
  SELECT oid, relname, relkind, relowner, relacl FROM pg_class
   WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')
), given AS (
  SELECT o.relname, o.relkind, o.relowner, a.grantee, a.privilege_type AS privilege
    FROM ours o CROSS JOIN LATERAL aclexplode(o.relacl) a
  UNION ALL
  SELECT o.relname, o.relkind, o.relowner, a.grantee, format('%s (%s)', a.privilege_type, c.attname)
    FROM ours o JOIN pg_attribute c ON c.attrelid = o.oid AND c.attnum > 0 CROSS JOIN LATERAL aclexplode(c.attacl) a
)
SELECT g.relname AS name, g.relkind = 'S' AS is_sequence, coalesce(r.rolname, 'PUBLIC') AS role, g.privilege
  FROM given g LEFT JOIN pg_roles r ON r.oid = g.grantee
 WHERE g.grantee <> g.relowner AND NOT coalesce(r.rolsuper, false)
"""
_TABLES = """
SELECT relname AS name, relkind = 'S' AS is_sequence, pg_get_userbyid(relowner) AS owner FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')
"""
# A role has what the roles have that it belongs to, whatever it was given itself.
_POWERS = """
SELECT r.rolname AS role, array_remove(ARRAY[
         CASE WHEN r.rolsuper THEN 'a superuser' END, CASE WHEN r.rolcreaterole THEN 'allowed to make roles' END,
         CASE WHEN r.rolreplication THEN 'allowed to replicate' END,
         CASE WHEN has_database_privilege(r.oid, current_database(), 'CREATE') THEN 'allowed to make schemas' END,
         CASE WHEN has_database_privilege(r.oid, current_database(), 'TEMP') THEN 'allowed to make temporary tables' END,
         CASE WHEN has_schema_privilege(r.oid, 'public', 'CREATE') THEN 'allowed to make tables and functions' END,
         CASE WHEN has_parameter_privilege(r.oid, 'session_replication_role', 'SET') THEN 'allowed to switch triggers off' END]
         || ARRAY(SELECT 'a member of ' || m.rolname::text FROM pg_roles m
                   WHERE NOT r.rolsuper AND m.oid <> r.oid AND pg_has_role(r.oid, m.oid, 'MEMBER')
                     AND m.rolname <> ALL(%(names)s) AND m.rolname <> 'pg_read_all_data' ORDER BY 1), NULL) AS powers
  FROM pg_roles r WHERE r.rolname = ANY(%(names)s)
"""


def rights_differ(roles: Roles, rights: Rights) -> list[str]:
    """A sentence for each right that is too much or missing, of the two roles and of everybody else. Reads only."""
    names = [roles.writer, roles.reader]
    powers = {str(row["role"]): list(row["powers"]) for row in hot(_POWERS, {"names": names})}
    found = [f"{role} is {power}" for role in names for power in powers.get(role, ())]
    given = {(str(row["role"]), str(row["name"]), str(row["privilege"])) for row in hot(_GIVEN)}
    wanted = set()
    for row in hot(_TABLES):
        name = str(row["name"])
        of_writer = _COUNT if row["is_sequence"] else rights(name)
        wanted |= {(roles.writer, name, right) for right in of_writer if roles.writer in powers}
        wanted |= {(roles.reader, name, "SELECT")} if roles.reader in powers else set()
    # That somebody else reads (statistics, say) is their owner's decision.
    surplus = {one for one in given - wanted if one[0] in names or not one[2].startswith("SELECT")}
    found += [f"{role} may {right} on {name}" for role, name, right in sorted(surplus)]
    return found + [f"{role} may not {right} on {name}" for role, name, right in sorted(wanted - given)]
