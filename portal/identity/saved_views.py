"""Saved views of lists: a person's own, a bounded number for each list."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from portal.core.db import hot
from portal.core.errors import Conflict, NotFound, ValidationFailed
from portal.core.ids import new_id
from portal.core.text_rules import name_of

MOST_VIEWS = 20
MOST_NAME, MOST_QUERY = 40, 2000

_OF_LIST = (
    "SELECT id, name, query FROM saved_view WHERE user_id = %(user)s AND list = %(list)s ORDER BY name, id"
)
# Two saves of one person wait for each other, so that the bound holds.
_LOCK = "SELECT 1 FROM users WHERE id = %(user)s FOR NO KEY UPDATE"
_OTHERS = (
    "SELECT count(*) AS n FROM saved_view WHERE user_id = %(user)s AND list = %(list)s AND name <> %(name)s"
)
_SAVE = """
INSERT INTO saved_view (id, user_id, list, name, query) VALUES (%(id)s, %(user)s, %(list)s, %(name)s, %(query)s)
ON CONFLICT (user_id, list, name) DO UPDATE SET query = excluded.query
"""
_DELETE = "DELETE FROM saved_view WHERE id = %(id)s AND user_id = %(user)s RETURNING id"


class TooManyViews(Conflict):
    code, title = "too_many_views", "There are as many saved views of this list as there can be"


@dataclass(frozen=True, slots=True)
class ViewLine:
    """A saved view: its name, and the query of the list's address."""

    id: uuid.UUID
    name: str
    query: str


def list_views(user_id: uuid.UUID, list_name: str) -> list[ViewLine]:
    """This person's views of this list, by name."""
    return [ViewLine(**row) for row in hot(_OF_LIST, {"user": user_id, "list": list_name})]


def save_view(user_id: uuid.UUID, list_name: str, name: str, query: str) -> None:
    """Keep the view; one of the same name is replaced. Locks the person's row. Needs transaction().

    Raises ValidationFailed (name, query), TooManyViews at MOST_VIEWS of the list.
    """
    name = name_of(name, most=MOST_NAME)
    if len(query) > MOST_QUERY:
        raise ValidationFailed.of("query", "too_long", f"A query has at most {MOST_QUERY} characters.")
    values = {"id": new_id(), "user": user_id, "list": list_name, "name": name, "query": query}
    hot(_LOCK, {"user": user_id})
    if hot(_OTHERS, values)[0]["n"] >= MOST_VIEWS:
        raise TooManyViews()
    hot(_SAVE, values)


def delete_view(user_id: uuid.UUID, view_id: uuid.UUID) -> None:
    """Forget one's own view. Raises NotFound for another's. Needs transaction()."""
    if not hot(_DELETE, {"id": view_id, "user": user_id}):
        raise NotFound("There is no such view.")
