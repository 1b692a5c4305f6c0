"""`make bench`: starts its own servers, runs ours and the yardsticks in turn, writes bench/results/."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.stage import ROOT, bounded
from bench.workloads import NAMES, run_all
from bench.yardstick import Table

RESULTS = ROOT / "bench/results"
GUCS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "max_connections": "100",
}


def main() -> None:
    options = _options()
    from portal.embedded.postgres import EmbeddedPostgres
    from portal.embedded.redis import EmbeddedRedis

    place: Path = options.place
    place.mkdir(parents=True, exist_ok=True)
    started, load = time.monotonic(), os.getloadavg()[0]
    table = Table()
    with (
        bounded(options.minutes or (8 if options.quick else 40)),
        EmbeddedPostgres(place / "postgres", gucs=GUCS) as url,
        EmbeddedRedis(place / "redis") as redis_url,
    ):
        os.environ.update(
            ENVIRONMENT="test",
            DATABASE_URL=url,
            REDIS_URL=redis_url,
            PUBLIC_URL="http://localhost",
            DB_POOL_SIZE="2",
            LOG_LEVEL="WARNING",
            EGRESS_ALLOW_NETWORKS="127.0.0.0/8",
        )
        run_all(
            table,
            url,
            quick=options.quick,
            only=options.only,
            past=options.past_orders or (100_000 if options.quick else 10_000_000),
            grown=options.grown_orders or (50_000 if options.quick else 1_000_000),
        )
        about = _about(url, started, load, quick=options.quick)
    text = _markdown(about, table)
    print(text)
    if not options.quick:
        _write(about, table, text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="about 3 minutes, with short rounds and little history: to see that all works; nothing is written",
    )
    parser.add_argument("--only", type=_names, default=set(), help=f"some of {', '.join(NAMES)}")
    parser.add_argument(
        "--past-orders", type=int, help="history of lists and matching (10,000,000; quick: 100,000)"
    )
    parser.add_argument("--grown-orders", type=int, help="history of growth (1,000,000; quick: 50,000)")
    parser.add_argument("--minutes", type=int, help="give up after so many (40; quick: 8)")
    parser.add_argument("--place", type=Path, default=ROOT / "bench/var", help="where the servers' data live")
    return parser.parse_args()


def _names(text: str) -> set[str]:
    names = set(filter(None, text.split(",")))
    if unknown := names - set(NAMES):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _about(url: str, started: float, load: float, *, quick: bool) -> dict[str, str]:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        version = connection.execute("SHOW server_version").fetchone()
    changed = _git("status", "--porcelain", "--", "portal", "bench", "migrations", "templates")
    return {
        "commit": _git("rev-parse", "--short", "HEAD") + (" with changes" if changed else ""),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "mode": "quick: no result" if quick else "full",
        "machine": f"{os.cpu_count()} cores, {_cpu()}, {_memory_gb()} GB, {platform.system()} {platform.release()}",
        "software": f"Python {platform.python_version()}, PostgreSQL {version[0] if version else ''}, durable,"
        + "".join(f" {name} {value}" for name, value in GUCS.items()),
        "load": "16 clients, the servers and PostgreSQL share the cores; closed loop, alternating rounds",
        "load average before and after": f"{load:.2f}, {os.getloadavg()[0]:.2f}",
        "took": f"{time.monotonic() - started:.0f} s",
    }


def _cpu() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _markdown(about: dict[str, str], table: Table) -> str:
    facts = "\n".join(f"- {key}: {value}" for key, value in about.items())
    return f"# Measured at {about['at']}\n\n{facts}\n\n{table.markdown()}"


def _write(about: dict[str, str], table: Table, text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    name = f"{datetime.now(UTC):%Y-%m-%d-%H%M}-{about['commit'].split()[0]}"
    (RESULTS / f"{name}.json").write_text(json.dumps(about | table.json(), indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(text)


if __name__ == "__main__":
    main()
