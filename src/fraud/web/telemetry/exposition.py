"""`/metrics`: what all workers counted, and what the machine under them has left.

BentoML's own figures are off: they count by address, and addresses hold identifiers.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fraud import __version__

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["build_exposition", "exposition"]

# Where the server says that its workers write their figures.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_PROC = Path("/proc")


def build_exposition(var: Path) -> Starlette:
    """The application that answers `/metrics`; `var` is the folder whose disk is watched."""

    def metrics(_: Request) -> Response:
        from prometheus_client import CONTENT_TYPE_LATEST

        return Response(exposition(var), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", metrics)])


def exposition(var: Path) -> bytes:
    """All figures as Prometheus reads them."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry, folder = CollectorRegistry(), os.environ.get(FOLDER)
    pids = _forget_the_dead(Path(folder)) if folder else [os.getpid()]
    registry.register(_Sorted(_counted(folder)))
    registry.register(_Machine(var, pids))  # type: ignore[arg-type]
    return generate_latest(registry)


def _counted(folder: str | None) -> Any:
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    collector: Any = MultiProcessCollector
    return collector(CollectorRegistry(), folder) if folder else REGISTRY


def _forget_the_dead(folder: Path) -> list[int]:
    """The workers that live. What one that was killed had in hand would be counted as in hand for ever."""
    from prometheus_client.multiprocess import mark_process_dead

    written = {int(p) for f in folder.glob("*.db") if (p := f.stem.rpartition("_")[2]).isdigit()}
    living = [pid for pid in sorted(written) if _lives(pid)]
    for pid in written.difference(living):
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    return living


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class _Sorted:
    """Another collector's figures, each histogram with its buckets before its sum, as the text format has it."""

    def __init__(self, collector: Any) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        for metric in self._collector.collect():
            if metric.type == "histogram":
                metric.samples.sort(key=_place)
            yield metric


def _place(sample: Any) -> tuple[Any, ...]:
    own = sorted((k, v) for k, v in sample.labels.items() if k != "le")
    return own, not sample.name.endswith("_bucket"), float(sample.labels.get("le", 0))


# --- the machine ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Machine:
    """Processor, memory, disk and network under the workers, read when somebody asks."""

    var: Path
    pids: Iterable[int]

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        yield InfoMetricFamily("fraud_build", "Version of the program", {"version": __version__})
        stats = [s for pid in self.pids if (s := _stat(pid)) is not None]
        yield GaugeMetricFamily("fraud_workers", "Processes that answer requests", len(stats))
        used = sum(seconds for seconds, _ in stats)
        yield CounterMetricFamily("fraud_cpu_seconds", "Processor seconds that the workers used", used)
        held = sum(size for _, size in stats)
        yield GaugeMetricFamily("fraud_memory_bytes", "Resident memory of the workers", held)
        disk = shutil.disk_usage(self.var if self.var.exists() else self.var.parent)
        yield GaugeMetricFamily("fraud_disk_bytes", "Size of the disk with the database and reports", disk.total)
        yield GaugeMetricFamily("fraud_disk_free_bytes", "What is free of it", disk.free)
        for way, size in zip(("received", "sent"), _network(), strict=False):
            yield CounterMetricFamily(f"fraud_network_{way}_bytes", f"Bytes {way} over the network", size)


def _stat(pid: int) -> tuple[float, int] | None:
    """Processor seconds and resident bytes of a process; None where the system does not tell."""
    try:
        # The name of the program may hold blanks and brackets: what counts comes after it.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def _network() -> tuple[int, ...]:
    """Bytes received and sent over all but the loop to oneself; nothing where the system does not tell."""
    try:
        lines = (_PROC / "net" / "dev").read_text().splitlines()[2:]
    except OSError:
        return ()
    rows = [line.partition(":") for line in lines]
    own = [rest.split() for name, _, rest in rows if name.strip() != "lo"]
    return sum(int(r[0]) for r in own), sum(int(r[8]) for r in own)
