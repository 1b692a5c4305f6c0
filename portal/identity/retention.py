"""Forgetting what signing in leaves behind, once it protects nobody any more."""

from __future__ import annotations

from portal.core.db import hot

# Sign-in looks back 30 days for addresses that somebody got in from; a device is known for 90 days longer
# than its session could last.
_OLD = (
    """DELETE FROM sign_in_attempt WHERE id = ANY(ARRAY(
         SELECT id FROM sign_in_attempt WHERE at < now() - interval '31 days' LIMIT %(limit)s)) RETURNING 1""",
    """DELETE FROM factor_attempt WHERE id = ANY(ARRAY(
         SELECT id FROM factor_attempt WHERE at < now() - interval '31 days' LIMIT %(limit)s)) RETURNING 1""",
    """DELETE FROM password_reset WHERE id = ANY(ARRAY(
         SELECT id FROM password_reset WHERE created_at < now() - interval '31 days' LIMIT %(limit)s)) RETURNING 1""",
    """DELETE FROM passkey_challenge WHERE (session_id, purpose) IN (
         SELECT session_id, purpose FROM passkey_challenge WHERE expires_at < now() LIMIT %(limit)s) RETURNING 1""",
    """DELETE FROM user_session WHERE id = ANY(ARRAY(
         SELECT s.id FROM user_session s
          WHERE s.expires_at < now() - interval '90 days'
            AND NOT EXISTS (SELECT 1 FROM passkey_challenge c WHERE c.session_id = s.id)
          LIMIT %(limit)s)) RETURNING 1""",
)


def forget_old_sign_ins(limit: int) -> int:
    """Delete attempts, links, challenges and sessions of long ago, at most `limit` of each: the most of one.

    Needs transaction().
    """
    return max(len(hot(statement, {"limit": limit})) for statement in _OLD)
