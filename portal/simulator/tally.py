"""What happened: counts, errors by kind, and how long each step took."""

from __future__ import annotations

from collections import Counter, defaultdict
from threading import Lock


class Tally:
    """Safe for many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def error(self, kind: str) -> None:
        with self._lock:
            self.errors[kind] += 1

    def timed(self, step: str, seconds: float) -> None:
        with self._lock:
            kept = self._seconds[step]
            kept.append(seconds)
            # An endless run must not grow without end.
            del kept[:-5000]

    def table(self, statuses: Counter[str]) -> str:
        lines = ["", "orders"]
        lines += [f"  {name:24} {count:>7}" for name, count in self.counts.items()]
        lines += ["now"] + [f"  {name:24} {count:>7}" for name, count in sorted(statuses.items())]
        lines += ["steps                       count     p50     p95"]
        for step, seconds in sorted(self._seconds.items()):
            ordered = sorted(seconds)
            half, most = _quantile(ordered, 0.5) * 1000, _quantile(ordered, 0.95) * 1000
            lines.append(f"  {step:24} {len(ordered):>7} {half:>6.0f}ms {most:>6.0f}ms")
        lines += ["errors"] + ([f"  {kind:24} {n:>7}" for kind, n in self.errors.most_common()] or ["  none"])
        return "\n".join(lines)


def _quantile(ordered: list[float], part: float) -> float:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]
