"""Statements of the ORM say which route and which request sent them, as sqlcommenter has it.

`pg_stat_activity`, the server's log and lock reports can then be read. Reads carry the route alone, so that
their texts stay few and the driver goes on preparing them; what locks or writes carries the request as well.
The hot statements, whose text must never change, carry nothing and are counted all the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event

from portal.core.observability.trace import count_query, current


def comment(statement: str, *, reads_only: bool) -> str:
    """The statement with its comment, or as it is where nobody is known to have sent it."""
    trace = current.get()
    if trace is None:
        return statement
    # Routes and ids are made of safe characters; the driver would take a per cent sign for a placeholder.
    route = trace.route.replace("*/", "").replace("'", "").replace("%", "")
    if reads_only:
        return f"{statement} /*route='{route}'*/"
    return f"{statement} /*request_id='{trace.request_id}',route='{route}'*/"


def install(engine: Engine) -> None:
    """Comment and count what this engine executes from now on."""

    def before(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        count_query()
        is_read = statement.startswith("SELECT") and "FOR " not in statement[-60:]
        return comment(statement, reads_only=is_read), parameters

    event.listen(engine, "before_cursor_execute", before, retval=True)
