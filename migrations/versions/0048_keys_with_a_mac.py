"""an API key's row says with a key from outside the database whose it is and what it may do

Keys that stand get it and go on working. Old code finds keys as it did; one that it makes meanwhile has none, and new
code lets nobody in with it. A row gets its new note only when it stands as it was noted last.
"""

from __future__ import annotations

import hmac

import sqlalchemy as sa
from alembic import op

from portal.settings import get_settings

revision = "0048"
down_revision = "0047"

_FORMER = "store_id,mode,name,secret_hash,scopes,allowed_networks,expires_at,revoked_at,last4,created_at"
_WATCH = """
CREATE OR REPLACE TRIGGER note_new_api_key AFTER INSERT OR DELETE ON api_key
  FOR EACH ROW EXECUTE FUNCTION note_change('id', '{columns}');
CREATE OR REPLACE TRIGGER note_changed_api_key AFTER UPDATE OF {of} ON api_key
  FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION note_change('id', '{columns}');
"""
_NOTE = """
INSERT INTO change_image (table_name, row_key, digest)
SELECT 'api_key', t.id::text, {digest} FROM api_key t
 WHERE {former} = (SELECT i.digest FROM change_image i WHERE i.table_name = 'api_key' AND i.row_key = t.id::text
                    ORDER BY i.id DESC LIMIT 1)
"""


def upgrade() -> None:
    op.add_column("api_key", sa.Column("mac", sa.LargeBinary(), nullable=True))
    connection = op.get_bind()
    keys = connection.execute(sa.text("SELECT id, store_id, mode, scopes, secret_hash FROM api_key"))
    macs = [{"key": key.id, "mac": _mac(key)} for key in keys]
    if macs:
        connection.execute(sa.text("UPDATE api_key SET mac = :mac WHERE id = :key"), macs)
    _watch(f"{_FORMER},mac", _FORMER)


def downgrade() -> None:
    _watch(_FORMER, f"{_FORMER},mac")
    op.drop_column("api_key", "mac")


def _mac(key: sa.Row[tuple[object, ...]]) -> bytes:
    secret = get_settings().blind_index_key.get_secret_value().encode()
    said = ("api_key", str(key.id), str(key.store_id), key.mode, ",".join(sorted(key.scopes)), bytes(key.secret_hash).hex())
    return hmac.digest(secret, "\0".join(said).encode(), "sha256")


def _watch(columns: str, former: str) -> None:
    op.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL bytea_output = 'hex'")
    old, new = (", ".join(f"{row}.{name}" for name in columns.split(",")) for row in ("OLD", "NEW"))
    op.execute(_WATCH.format(columns=columns, of=columns.replace(",", ", "), old=old, new=new))
    op.execute(_NOTE.format(digest=_digest(columns), former=_digest(former)))


def _digest(columns: str) -> str:
    return (
        "sha256(convert_to((SELECT jsonb_object_agg(c, to_jsonb(t) -> c)::text"
        f" FROM unnest(string_to_array('{columns}', ',')) AS c), 'UTF8'))"
    )
