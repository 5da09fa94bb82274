"""The watch over keys: one that is used in an unusual way opens nothing until somebody has looked into it.

Counted over the last hour, in each worker process for itself, as rates are. People who sign in are watched where
they sign in.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from fraud.errors import SpecError
from fraud.store.keys import Keys
from fraud.store.ledger import Record
from fraud.web.access.bounds import Subject
from fraud.web.bodies.problems import Problem
from fraud.web.telemetry import metrics

if TYPE_CHECKING:
    from fraud.web.access.guard import Caller

__all__ = ["Limits", "Watch", "limits_of", "suspended"]

log = logging.getLogger("fraud.web")
_HOUR = 3_600.0
# Institutions and physicians in their profession are no secret: reading of them is no reading of a person.
_PERSONAL = frozenset({"claim", "decision", "case", "patient"})
# A claims system gets back what it sent, by numbers that cannot be guessed.
_KNOWS_THEM = "claims-system"


@dataclass(frozen=True)
class Limits:
    """What a key may do in an hour before it is suspended; 0 sets no limit.

    A busy reviewer reads thirty persons' records in an hour, a desk that shares a key a few hundred.
    """

    persons_per_hour: int = 500
    addresses_per_hour: int = 50


def limits_of(service: Mapping[str, Any]) -> Limits:
    """The limits of the settings `[service]`; raises `SpecError` that names all that cannot be."""
    given = {f.name: service[f.name] for f in fields(Limits) if f.name in service}
    wrong = [f"{n} = {v!r}" for n, v in given.items() if not isinstance(v, int) or isinstance(v, bool) or v < 0]
    if wrong:
        expected = "a whole number from 0 (no limit) is expected"
        raise SpecError(f"fraud.toml: [service] {', '.join(wrong)}; {expected}.")
    return Limits(**given)


def suspended() -> Problem:
    """What whoever comes with a suspended key is told."""
    return Problem(
        "not-allowed", "This key is suspended, because it was used in an unusual way. Ask an administrator to look."
    )


class _LastHour:
    """Different names of the last hour: no more than a limit and one, since beyond it all are forgotten."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, float] = OrderedDict()

    def count(self, name: str, now: float) -> int:
        """How many there are, with this one."""
        self._seen[name] = now
        self._seen.move_to_end(name)
        while next(iter(self._seen.values())) <= now - _HOUR:
            self._seen.popitem(last=False)
        return len(self._seen)


class Watch:
    """Counts whose records each key asks for and where it comes from; suspends a key that goes beyond its limits.

    `forget` is called when a key was suspended, so that what is remembered of it is looked up again.
    """

    def __init__(self, keys: Keys, limits: Limits, ticks: Callable[[], float], forget: Callable[[], None]) -> None:
        self.limits = limits
        self._keys, self._ticks, self._forget = keys, ticks, forget
        self._seen: dict[tuple[str, str], _LastHour] = defaultdict(_LastHour)
        self._lock = threading.Lock()

    def reads(self, caller: Caller, record: Record, subject: Subject) -> None:
        """Note whose record is asked for; raises `Problem` and suspends the key when they are too many.

        A record that does not exist, or that is not for this key, counts as a person too: whoever tries out numbers
        is stopped as well.
        """
        if not caller.has_key or caller.role == _KNOWS_THEM or record.kind not in _PERSONAL:
            return
        person = subject.patient_id or f"{record.kind}:{record.id}"
        if self._is_beyond(caller.key_id, "persons", person, self.limits.persons_per_hour):
            self._suspend(caller.key_id, "persons", self.limits.persons_per_hour)

    def comes_from(self, key_id: str, client: object) -> Callable[[], None] | None:
        """What suspends the key and raises `Problem`, where it came from too many addresses; else None.

        `client` is ASGI's. It is for the event loop, which is not to wait for the database.
        """
        host = client[0] if isinstance(client, (tuple, list)) and client else None
        if host and self._is_beyond(key_id, "addresses", str(host), self.limits.addresses_per_hour):
            return lambda: self._suspend(key_id, "addresses", self.limits.addresses_per_hour)
        return None

    def _is_beyond(self, key_id: str, what: str, name: str, most: int) -> bool:
        if most <= 0:
            return False
        with self._lock:
            if self._seen[key_id, what].count(name, self._ticks()) <= most:
                return False
            # Whoever resumes the key lets it begin anew.
            del self._seen[key_id, what]
            return True

    def _suspend(self, key_id: str, what: str, most: int) -> None:
        if self._keys.suspend(key_id, f"more than {most} {what} in an hour"):
            metrics.suspended_keys().labels(what).inc()
            log.warning("key %s was suspended: more than %d %s in an hour", key_id, most, what)
        self._forget()
        raise suspended()
