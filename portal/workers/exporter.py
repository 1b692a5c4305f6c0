"""`/metrics` for Prometheus, on a port of its own: what all processes have counted, and what the database
and Redis say at that moment.

One exporter is enough for an installation: what is in the database is the same for all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from werkzeug.serving import BaseWSGIServer, make_server

from portal.core.build import build_facts
from portal.core.db import hot, release, transaction
from portal.core.observability import metrics
from portal.core.observability.process_metrics import DEAD_AFTER_S
from portal.core.processes.stopping import stop_on_signals
from portal.settings import get_settings
from portal.workers.stored_figures import READERS

log = logging.getLogger(__name__)

# Several who ask at once cause one look at the database.
KEEP_S = 2.0


class ProcessFigures:
    """What the processes wrote into the folder. Gauges of processes that are gone don't count."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        alive_since = time.time() - DEAD_AFTER_S
        files = [
            str(file)
            for file in self._folder.glob("*.db")
            if not file.name.startswith("gauge_live") or file.stat().st_mtime >= alive_since
        ]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class StoredFigures:
    """What the database and Redis say. A reader that fails is missing, and says so in `nostro_scrape_ok`."""

    def __init__(self, app: Flask, readers: dict[str, Callable[[], Iterable[Metric]]] = READERS) -> None:
        self._app, self._readers = app, readers
        self._reading = threading.Lock()
        self._kept: tuple[float, list[Metric]] | None = None

    def collect(self) -> Iterator[Metric]:
        with self._reading:
            if self._kept is None or time.monotonic() - self._kept[0] > KEEP_S:
                self._kept = (time.monotonic(), list(self._read()))
            yield from self._kept[1]

    def describe(self) -> list[Metric]:
        """Nothing is read when the registry asks which names there will be."""
        return []

    def _read(self) -> Iterator[Metric]:
        facts = build_facts(get_settings())
        yield _info("nostro_build_info", "What runs; always 1.", facts)
        worked = GaugeMetricFamily(
            "nostro_scrape_ok", "1 when this part of the figures could be read.", labels=["reader"]
        )
        for name, read in self._readers.items():
            try:
                found = self._one(read)
            except Exception:
                log.warning("figures could not be read", extra={"reader": name}, exc_info=True)
                worked.add_metric([name], 0)
                continue
            worked.add_metric([name], 1)
            yield from found
        yield worked

    def _one(self, read: Callable[[], Iterable[Metric]]) -> list[Metric]:
        with self._app.app_context():
            try:
                with transaction():
                    hot("SET TRANSACTION READ ONLY")
                    hot("SET LOCAL statement_timeout = '2s'")
                    return list(read())
            finally:
                release()


def _info(name: str, words: str, labels: dict[str, str]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def registry_of(app: Flask, folder: Path | None) -> CollectorRegistry:
    """Everything that is served: the processes' figures from `folder` (else this one's own), and the stored ones."""
    registry = CollectorRegistry()
    processes: Any = metrics.registry if folder is None else ProcessFigures(folder)
    registry.register(_Undescribed(processes))
    registry.register(StoredFigures(app))
    return registry


class _Undescribed:
    """A collector whose names are not asked for beforehand."""

    def __init__(self, collector: Any) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        found: Iterable[Metric] = self._collector.collect()
        return found

    def describe(self) -> list[Metric]:
        return []


def server_on(app: Flask, host: str, port: int) -> BaseWSGIServer:
    """A server of `/metrics` alone; one thread for each scrape."""
    serve = make_wsgi_app(registry_of(app, get_settings().metrics_dir))

    def only_metrics(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Metrics are at /metrics.\n"]
        answer: Iterable[bytes] = serve(environ, start_response)
        return answer

    return make_server(host, port, only_metrics, threaded=True)


def run_exporter(app: Flask, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    server = server_on(app, host, port)
    threading.Thread(target=server.serve_forever, name="metrics-server", daemon=True).start()
    log.info("metrics are served", extra={"host": host, "port": server.server_port})
    stop.wait()
    server.shutdown()
