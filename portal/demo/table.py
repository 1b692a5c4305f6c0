"""What the demo prints when everything answers."""

from __future__ import annotations

from os.path import relpath
from typing import Any

from portal.demo.place import FACTS, LOGS
from portal.workers.supervisor import ROOT


def table(facts: dict[str, Any]) -> str:
    """Pages, logins and keys, in columns."""
    base, shop = facts["base_url"], facts["shop_url"]
    rows = [
        ("Buy something", shop, "pay on the page you are sent to"),
        ("Confirm as trader", f"{base}/sign-in", "then the queue"),
        ("Read the mail", f"{base}/dev/mailbox", "invitations, new passwords, what people are told"),
        ("Metrics", facts["metrics_url"], "for Prometheus"),
        ("API reference", f"{base}/docs", ""),
        ("", "", ""),
        *((role, login["email"], login["password"]) for role, login in facts["logins"].items()),
        ("", "", ""),
        ("Live key", facts["api_keys"]["live"], ""),
        ("Test key", facts["api_keys"]["test"], ""),
        ("Store", facts["store_id"], ""),
        ("Webhook secret", facts["webhook_secret"], ""),
        ("", "", ""),
        ("All of this", relpath(FACTS, ROOT), ""),
        ("Logs", relpath(LOGS, ROOT), ""),
    ]
    first = max(len(row[0]) for row in rows)
    second = max(len(row[1]) for row in rows if row[2])
    lines = [f"  {a:{first}}  {b:{second}}  {c}".rstrip() for a, b, c in rows]
    return "\n".join(["", "Nostro is running.", "", *lines, "", "Ctrl-C stops it and keeps the data.", ""])
