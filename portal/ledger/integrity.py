"""Proof over the whole history: each check is a query that must find nothing."""

from __future__ import annotations

from dataclasses import dataclass

from portal.audit.findings import Finding
from portal.core.db import hot


@dataclass(frozen=True, slots=True)
class Check:
    """`sql` yields one text column `example` for each violation."""

    name: str
    sql: str


CHECKS = (
    Check(
        "every entry sums to zero in every currency",
        "SELECT format('entry %s: %s %s', entry_id, sum(amount), currency) AS example FROM ledger_posting"
        " GROUP BY entry_id, currency HAVING sum(amount) <> 0",
    ),
    Check(
        "every entry has two postings or more, of its own mode",
        "SELECT format('entry %s has %s postings', e.id, count(p.id)) AS example FROM ledger_entry e"
        " LEFT JOIN ledger_posting p ON p.entry_id = e.id AND p.mode = e.mode GROUP BY e.id HAVING count(p.id) < 2",
    ),
    Check(
        "every posting is of its account's currency and mode",
        "SELECT format('posting %s', p.id) AS example FROM ledger_posting p"
        " LEFT JOIN ledger_account a ON a.id = p.account_id AND a.currency = p.currency AND a.mode = p.mode"
        " WHERE a.id IS NULL",
    ),
    Check(
        "every running balance equals the sum of its postings",
        "SELECT format('account %s: balance %s, postings %s', a.id, a.balance, coalesce(s.total, 0)) AS example"
        " FROM ledger_account a"
        " LEFT JOIN (SELECT account_id, sum(amount) AS total FROM ledger_posting GROUP BY account_id) s"
        "   ON s.account_id = a.id"
        " WHERE a.keeps_balance AND a.balance <> coalesce(s.total, 0)",
    ),
    Check(
        "every rolled-up balance equals the sum of its postings",
        "SELECT format('account %s: rolled up %s, postings %s', a.id, x.rolled, x.total) AS example"
        " FROM ledger_account a CROSS JOIN LATERAL (SELECT"
        "   coalesce((SELECT balance FROM ledger_rollup r WHERE r.account_id = a.id), 0)"
        "   + coalesce((SELECT sum(amount) FROM ledger_unfolded u WHERE u.account_id = a.id), 0) AS rolled,"
        "   coalesce((SELECT sum(amount) FROM ledger_posting p WHERE p.account_id = a.id), 0) AS total) x"
        " WHERE NOT a.keeps_balance AND x.rolled <> x.total",
    ),
    Check(
        "every balance after follows from the one before",
        "SELECT format('posting %s of account %s: %s after %s with %s', id, account_id, balance_after, before, amount)"
        " AS example FROM (SELECT id, account_id, amount, balance_after,"
        "   coalesce(lag(balance_after) OVER (PARTITION BY account_id ORDER BY id), 0) AS before"
        "   FROM ledger_posting WHERE balance_after IS NOT NULL) s WHERE balance_after <> before + amount",
    ),
    Check(
        "no account is, or ever was, below its floor",
        "SELECT format('account %s: %s', a.id, low.least) AS example FROM ledger_account a"
        " JOIN (SELECT account_id, min(balance_after) AS least FROM ledger_posting GROUP BY account_id) low"
        "   ON low.account_id = a.id"
        " WHERE a.floor IS NOT NULL AND least(low.least, a.balance) < a.floor",
    ),
    Check(
        "every account has the floor of its kind",
        "SELECT format('account %s of a %s (%s): floor %s', id, owner_kind, kind, floor) AS example FROM ledger_account"
        " WHERE floor IS DISTINCT FROM CASE WHEN kind IN ('available', 'held') THEN 0 END"
        "    OR keeps_balance <> (owner_kind NOT IN ('platform', 'world'))",
    ),
    Check(
        "all accounts of a currency sum to zero",
        "SELECT format('%s %s: %s', mode, currency, sum(amount)) AS example FROM ledger_posting"
        " GROUP BY mode, currency HAVING sum(amount) <> 0",
    ),
    Check(
        "no entry is reversed twice, and a reversal mirrors its entry",
        "SELECT format('entry %s reverses %s', e.id, e.reverses_entry_id) AS example FROM ledger_entry e"
        " WHERE e.reverses_entry_id IS NOT NULL AND EXISTS ("
        "   SELECT 1 FROM (SELECT account_id, sum(amount) AS total FROM ledger_posting"
        "     WHERE entry_id IN (e.id, e.reverses_entry_id) GROUP BY account_id) s WHERE s.total <> 0)"
        " UNION ALL"
        " SELECT format('entry %s reverses %s of another subject', e.id, r.id) FROM ledger_entry e"
        " JOIN ledger_entry r ON r.id = e.reverses_entry_id"
        " WHERE r.kind = 'reversal' OR (r.subject_kind, r.subject_id, r.mode) <> (e.subject_kind, e.subject_id, e.mode)",
    ),
    Check(
        "every deposit has a record of where it came from, and moves what that says",
        "SELECT format('entry %s: deposit %s of %s %s', e.id, e.subject_id, m.amount, m.currency) AS example"
        " FROM ledger_entry e LEFT JOIN deposit d ON d.id = e.subject_id AND e.subject_kind = 'deposit' AND d.mode = e.mode"
        "  AND (d.actor_kind, d.actor_id) IS NOT DISTINCT FROM (e.actor_kind, e.actor_id)"
        " CROSS JOIN LATERAL (SELECT count(*) AS n, min(p.currency) AS currency, max(p.amount) AS amount,"
        "     count(*) FILTER (WHERE p.account_id = d.account_id AND p.amount = d.amount_minor AND p.currency = d.currency"
        "                        AND a.owner_kind IN ('store', 'trader') AND a.kind = 'available') AS there,"
        "     count(*) FILTER (WHERE a.owner_kind = 'world' AND a.kind = 'settlement' AND p.amount = -d.amount_minor) AS back"
        "   FROM ledger_posting p JOIN ledger_account a ON a.id = p.account_id WHERE p.entry_id = e.id) m"
        " WHERE e.kind = 'deposit' AND (d.id IS NULL OR (m.n, m.there, m.back) <> (2, 1, 1))"
        " UNION ALL"
        " SELECT format('deposit %s of %s %s has no entry', d.id, d.amount_minor, d.currency) FROM deposit d"
        "  WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.subject_id = d.id AND e.kind = 'deposit')",
    ),
    # Until a verb posts them, with a record of its own, each one was made by a hand.
    Check(
        "no entry is of a kind that nothing posts",
        "SELECT format('entry %s is a %s', id, kind) AS example FROM ledger_entry WHERE kind IN"
        " ('withdrawal_asked', 'withdrawal_paid', 'withdrawal_refused', 'adjustment')",
    ),
)


def run_checks(checks: tuple[Check, ...] = CHECKS, *, examples: int = 5) -> list[Finding]:
    """Run each check; an empty list means that all hold. Reads only."""
    findings = []
    for check in checks:
        sql = (
            f"WITH broken AS ({check.sql})"  # noqa: S608 - constants of this package, no input
            f" SELECT count(*) OVER () AS n, example FROM broken LIMIT {int(examples)}"
        )
        rows = hot(sql)
        if rows:
            shown = tuple(str(row["example"]) for row in rows)
            findings.append(Finding(check.name, int(rows[0]["n"]), shown))
    return findings
