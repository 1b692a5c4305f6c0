"""what is seen of an upload is kept as a digest, so that a file with something behind its end is no other file

Old code leaves the columns empty; such rows are compared by their bytes, as before. A receipt gets its new note only
when it stands as it was noted last (see 0032).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0033"

_WATCHED = (
    "order_id,kind,file_key,content_type,size_bytes,sha256,look,actor_kind,actor_id,"
    "picture_key,width,height,pages,is_blank,created_at"
)
_WITH_SEEN = f"{_WATCHED},seen_sha256"
_TRIGGERS = """
CREATE OR REPLACE TRIGGER note_new_receipt AFTER INSERT OR DELETE ON receipt
  FOR EACH ROW EXECUTE FUNCTION note_change('id', '{columns}');
CREATE OR REPLACE TRIGGER note_changed_receipt AFTER UPDATE OF {columns} ON receipt
  FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION note_change('id', '{columns}');
"""
_NOTE = """
INSERT INTO change_image (table_name, row_key, digest)
SELECT 'receipt', t.id::text, {digest} FROM receipt t
 WHERE {former} = (SELECT i.digest FROM change_image i WHERE i.table_name = 'receipt' AND i.row_key = t.id::text
                    ORDER BY i.id DESC LIMIT 1)
"""


def upgrade() -> None:
    for table in ("receipt", "trader_document"):
        op.add_column(table, sa.Column("seen_sha256", sa.LargeBinary()))
    op.create_index(
        "ix_receipt_seen_sha256", "receipt", ["seen_sha256"], postgresql_where=sa.text("seen_sha256 IS NOT NULL")
    )
    _watch(_WITH_SEEN, _WATCHED)


def downgrade() -> None:
    _watch(_WATCHED, _WITH_SEEN)
    op.drop_index("ix_receipt_seen_sha256", "receipt")
    for table in ("receipt", "trader_document"):
        op.drop_column(table, "seen_sha256")


def _watch(columns: str, former: str) -> None:
    op.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL bytea_output = 'hex'")
    old, new = (", ".join(f"{row}.{name}" for name in columns.split(",")) for row in ("OLD", "NEW"))
    op.execute(_TRIGGERS.format(columns=columns, old=old, new=new))
    op.execute(_NOTE.format(digest=_digest(columns), former=_digest(former)))


def _digest(columns: str) -> str:
    return (
        "sha256(convert_to((SELECT jsonb_object_agg(c, to_jsonb(t) -> c)::text"
        f" FROM unnest(string_to_array('{columns}', ',')) AS c), 'UTF8'))"
    )
