"""`make bench`: starts its own servers, runs ours and the yardsticks in turn, writes bench/results/."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bench.stage import ROOT
from bench.yardstick import Table

RESULTS = ROOT / "bench/results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="short rounds and a small history: a smoke test, no result"
    )
    parser.add_argument("--only", default="", help="names separated by commas: http, matching, history")
    parser.add_argument(
        "--past-orders", type=int, default=10_000_000, help="rows of history for the list and matching"
    )
    options = parser.parse_args()
    from portal.embedded.postgres import EmbeddedPostgres
    from portal.embedded.redis import EmbeddedRedis

    place = ROOT / "bench/var"
    gucs = {
        "shared_buffers": "1GB",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "15min",
        "max_connections": "100",
    }
    with EmbeddedPostgres(place / "postgres", gucs=gucs) as url, EmbeddedRedis(place / "redis") as redis_url:
        os.environ.update(
            ENVIRONMENT="test",
            DATABASE_URL=url,
            REDIS_URL=redis_url,
            PUBLIC_URL="http://localhost",
            DB_POOL_SIZE="2",
        )
        from bench import workloads

        table = Table()
        workloads.run(
            table,
            url,
            quick=options.quick,
            only=set(filter(None, options.only.split(","))),
            past=options.past_orders,
        )
    _write(table, quick=options.quick)
    print(table.markdown())


def _write(table: Table, *, quick: bool) -> None:
    """A quick run is no result: it is printed only."""
    if quick:
        return
    RESULTS.mkdir(exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    about = {
        "commit": commit,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": os.getloadavg()[2],
    }
    name = f"{datetime.now(UTC):%Y-%m-%d-%H%M}-{commit}"
    (RESULTS / f"{name}.json").write_text(json.dumps(about | {"rows": table.json()}, indent=1) + "\n")
    lines = "\n".join(f"- {key}: {value}" for key, value in about.items())
    Path(RESULTS / f"{name}.md").write_text(f"# {name}\n\n{lines}\n\n{table.markdown()}")


if __name__ == "__main__":
    main()
