"""A busy table's CHECKs as one: they stand in the model, and the database keeps them by one function of the row.

For every statement that writes a table PostgreSQL reads the text of each of its CHECKs anew. That was a sixth of what
it did for a payment. The function's text is read once for each connection; the constraint that calls it holds as any
other, and what is refused is refused under the name of the rule that was broken.
"""

from __future__ import annotations

import re

from sqlalchemy import CheckConstraint, Table

# For the models of the tables that every payment writes.
ONE_CHECK = {"info": {"one_check": True}}
_WORDS = re.compile(r"'[^']*'|\w+")


def rules_of(table: Table) -> dict[str, str]:
    """The CHECKs of a model by their name in the database: conditions over the table's columns."""
    return {
        str(check.name): str(check.sqltext)
        for check in sorted(table.constraints, key=lambda one: str(one.name))
        if isinstance(check, CheckConstraint)
    }


def has_one_check(table: Table) -> bool:
    return bool(table.info.get("one_check"))


def function_of(table: Table) -> str:
    """SQL of the function that keeps the rules of this table's rows.

    As a CHECK it holds where a condition is unknown. It raises check_violation (23514) in the name of the broken rule.
    """
    columns = {column.name for column in table.columns}

    def of_row(match: re.Match[str]) -> str:
        return f"r.{match[0]}" if match[0] in columns else match[0]

    cases = "\n".join(
        f"    when ({_WORDS.sub(of_row, condition)}) is false then '{name}'"
        for name, condition in rules_of(table).items()
    )
    return f"""\
create or replace function {table.name}_holds(r {table.name}) returns boolean
language plpgsql immutable parallel safe as $$
declare
  broken text := case
{cases}
    end;
begin
  if broken is null then return true; end if;
  raise exception 'new row for relation "{table.name}" violates check constraint "%"', broken
    using errcode = '23514', constraint = broken, table = '{table.name}';
end $$;
"""
