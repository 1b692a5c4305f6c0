"""Forgetting what signing in leaves behind, once it protects nobody any more."""

from __future__ import annotations

from portal.core.db import hot

LEAST_DAYS = 31
# Sign-in looks back 30 days for addresses that somebody got in from; a device is known for 90 days longer
# than its session could last.
_OLD = (
    """DELETE FROM sign_in_attempt WHERE id = ANY(ARRAY(
         SELECT id FROM sign_in_attempt WHERE at < now() - make_interval(days => %(days)s::int) LIMIT %(limit)s)) RETURNING 1""",
    """DELETE FROM factor_attempt WHERE id = ANY(ARRAY(
         SELECT id FROM factor_attempt WHERE at < now() - make_interval(days => %(days)s::int) LIMIT %(limit)s)) RETURNING 1""",
    """DELETE FROM password_reset WHERE id = ANY(ARRAY(
         SELECT id FROM password_reset WHERE created_at < now() - make_interval(days => %(days)s::int)
          LIMIT %(limit)s)) RETURNING 1""",
    """DELETE FROM password_reset_ask WHERE id = ANY(ARRAY(
         SELECT id FROM password_reset_ask WHERE at < now() - make_interval(days => %(days)s::int) LIMIT %(limit)s)) RETURNING 1""",
    """DELETE FROM passkey_challenge WHERE (session_id, purpose) IN (
         SELECT session_id, purpose FROM passkey_challenge WHERE expires_at < now() LIMIT %(limit)s) RETURNING 1""",
    """DELETE FROM user_session WHERE id = ANY(ARRAY(
         SELECT s.id FROM user_session s
          WHERE s.expires_at < now() - interval '90 days'
            AND NOT EXISTS (SELECT 1 FROM passkey_challenge c WHERE c.session_id = s.id)
          LIMIT %(limit)s)) RETURNING 1""",
)


def forget_old_sign_ins(limit: int, *, days: int = LEAST_DAYS) -> int:
    """As forget_each_sign_in; the most of one kind. Needs transaction()."""
    return max(forget_each_sign_in(limit, days=days))


def forget_each_sign_in(limit: int, *, days: int) -> list[int]:
    """Delete attempts and links of `days` ago, challenges and sessions of long ago; how many of each kind.

    At most `limit` of each, and nothing younger than LEAST_DAYS. Needs transaction().
    """
    values = {"limit": limit, "days": max(days, LEAST_DAYS)}
    return [len(hot(statement, values)) for statement in _OLD]
