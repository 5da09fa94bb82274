"""What the workers of one service know of each other: how many requests each has inside, and since when.

A client who keeps its connection stays with the worker that took it. After a worker was replaced, or when it was
ready later than its neighbour, it would have nothing to do for as long as the clients stay: so whoever has much more
to do than the least busy one ends a connection now and then, and the kernel deals it out anew.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import exp
from pathlib import Path
from time import monotonic

__all__ = ["Colleagues"]

# Process, requests inside now, requests inside of late, and the moment of that: seconds on the machine's clock.
_ROW = struct.Struct("=qqdd")
_MOST_WORKERS = 256
# Seconds over which "of late" reaches back: answers leave together, and a glance would meet now 16, now none.
_OF_LATE = 0.5
# Requests by which one worker must be ahead of another to send a client away, and seconds between two of these.
_AHEAD, _PAUSE = 8.0, 0.1


@dataclass(frozen=True)
class _Row:
    process: int
    inside: int
    load: float
    moved_at: float

    def load_at(self, now: float) -> float:
        """Requests inside of late, seen from another moment: what is inside now counts since the last change."""
        return self.inside + (self.load - self.inside) * exp(min(0.0, (self.moved_at - now) / _OF_LATE))


class Colleagues:
    """A worker's row in the table that all workers of a service write to; `tell` and `sends_on` want one thread.

    `path` is a file of this machine that goes with the service. `ticks` are seconds that all processes share.
    """

    def __init__(self, path: Path, ticks: Callable[[], float] = monotonic) -> None:
        self._ticks, self._sent_at = ticks, ticks()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(_ROW.size * _MOST_WORKERS)
            self._table = mmap.mmap(file.fileno(), _ROW.size * _MOST_WORKERS)
            processes = (values[0] for values in _ROW.iter_unpack(self._table[:]))
            self._place = next(n for n, p in enumerate(processes) if not _is_alive(p)) * _ROW.size
            self._own = self._written(_Row(os.getpid(), 0, 0.0, self._ticks()))
            # Not left to closing the file: the mapping holds it open.
            fcntl.flock(file, fcntl.LOCK_UN)

    def tell(self, inside: int) -> None:
        """So many requests are inside from now on."""
        now = self._ticks()
        self._own = self._written(_Row(self._own.process, inside, self._own.load_at(now), now))

    def quiet(self, seconds: float) -> bool:
        """Whether no worker has a request inside, or had one come or leave in the last seconds."""
        now = self._ticks()
        return all(not row.inside and now - row.moved_at >= seconds for row in self._rows())

    def sends_on(self) -> bool:
        """Whether a client is to go to another worker, which has much less to do: one, and after a pause the next."""
        now = self._ticks()
        own = self._own.load_at(now)
        if own < _AHEAD or now - self._sent_at < _PAUSE:
            return False
        self._sent_at = now
        others = (row for row in self._rows() if row.process != self._own.process)
        return any(own - row.load_at(now) >= _AHEAD and _is_alive(row.process) for row in others)

    def leave(self) -> None:
        """Give the row back; whoever is still inside may be told of all the same."""
        self._written(_Row(0, 0, 0.0, 0.0))

    def _rows(self) -> Iterator[_Row]:
        return (_Row(*values) for values in _ROW.iter_unpack(self._table[:]) if values[0])

    def _written(self, row: _Row) -> _Row:
        _ROW.pack_into(self._table, self._place, row.process, row.inside, row.load, row.moved_at)
        return row


def _is_alive(process: int) -> bool:
    with suppress(ProcessLookupError):
        if process:
            os.kill(process, 0)
            return True
    return False
