"""Loading the signal catalogue of the rooms, its lock and its digest."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from fraud.errors import CatalogueError, NotKnownError, nearest
from fraud.signals.compiling import Compiler
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.limits import Limits, Source, load_limits, load_sources

__all__ = ["FOLDERS", "Catalogue", "load_catalogue"]

FOLDERS = ("claim", "patient", "provider", "physician", "network")
LOCK = "catalogue.lock"


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The signals of a room, by id, with the limits and the sources that they refer to."""

    path: Path
    signals: Mapping[str, Signal]
    limits: Limits
    sources: Mapping[str, Source]

    def __getitem__(self, signal_id: str) -> Signal:
        if signal_id not in self.signals:
            hint = nearest(signal_id, self.signals)
            raise NotKnownError(f"no signal {signal_id!r} in {self.path.name}/{hint}. See: fraud signals list")
        return self.signals[signal_id]

    def of(self, entity: str) -> list[Signal]:
        """Signals of an entity, in id order."""
        return [s for s in self.signals.values() if s.entity == entity]

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digest of each signal; of one that counts rules, over those rules and their limits as well."""
        own = {s.id: s.digest(self.limits.plain) for s in self.signals.values()}
        return own | {s.id: self._with_rules(s, own) for s in self.signals.values() if "rules" in s.scopes}

    def _with_rules(self, signal: Signal, digests: Mapping[str, str]) -> str:
        rules = [[r.id, digests[r.id], r.kind, self.limits.plain[str(r.limit)]] for r in self._rules(signal.entity)]
        text = json.dumps([digests[signal.id], rules], sort_keys=True, default=str)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def _rules(self, entity: str) -> list[Signal]:
        return [s for s in self.of(entity) if s.limit]

    @cached_property
    def digest(self) -> str:
        """`sha256:` over all signals: stored with a model, and compared before it scores."""
        return self.digest_of(self.signals)

    def digest_of(self, ids: Iterable[str]) -> str:
        """`sha256:` over some signals: those that a model reads."""
        text = json.dumps([[i, self[i].version, self.digests[i]] for i in sorted(ids)])
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def compiler(self, entity: str, days: int = 365) -> Compiler:
        """A compiler for the signals of an entity; windows can roll up every claim signal."""
        rolled = {} if entity == "claim" else {s.id: s for s in self.of("claim")}
        return Compiler(entity, self.limits, days=days, rolled=rolled, rules=self._rules(entity))

    # --- lock ---------------------------------------------------------------------------------------------

    def lock(self) -> str:
        """The text of the lock file: id, version and digest, a line each."""
        lines = (f"{s.id} {s.version} {self.digests[s.id]}" for s in self.signals.values())
        return "\n".join(["# id version digest: written by `fraud signals lock`", *lines]) + "\n"

    def lock_faults(self) -> list[str]:
        """What differs between the lock and the definitions; empty when they agree."""
        path = self.path / LOCK
        locked = _read_lock(path.read_text("utf-8")) if path.is_file() else {}
        now = {s.id: (str(s.version), self.digests[s.id]) for s in self.signals.values()}
        gone = [f"{i}: in the lock, not in the catalogue" for i in sorted(set(locked) - set(now))]
        new = [f"{i}: not in the lock" for i in sorted(set(now) - set(locked))]
        return gone + new + [_difference(i, locked[i], now[i]) for i in now if i in locked and locked[i] != now[i]]


def load_catalogue(path: str | Path) -> Catalogue:
    """The catalogue of a `features/` room.

    Raises:
        CatalogueError: a file cannot be loaded, an id is given twice, or a signal names a limit, a source
            or an entity that is not there; all of them are named at once.
    """
    room = Path(path)
    if not room.is_dir():
        raise CatalogueError(f"{path}: no such folder; the signal catalogue is looked for there.")
    found = [s for folder in FOLDERS for s in _signals_in(room, folder)]
    limits, sources = load_limits(room / "limits.toml"), load_sources(room / "sources.toml")
    faults = _twice(found) + [f for s in found for f in _dangling(s, limits, sources)]
    if faults:
        raise CatalogueError(f"{room.name}: {len(faults)} faults: " + "; ".join(faults[:5]))
    return Catalogue(room, {s.id: s for s in sorted(found, key=lambda s: s.id)}, limits, sources)


def _signals_in(room: Path, folder: str) -> list[Signal]:
    files = sorted((room / folder).glob("*.py"))
    modules = (_load(path, f"fraud_catalogue.{folder}.{path.stem}") for path in files if path.stem != "__init__")
    return [v.placed(folder) for m in modules for v in vars(m).values() if isinstance(v, Signal)]


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # inspect.getsource looks modules up here
    try:
        spec.loader.exec_module(module)
    except CatalogueError:
        raise
    except Exception as error:
        where = f"{path.parent.name}/{path.name}"
        raise CatalogueError(f"{where}: cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _twice(signals: Iterable[Signal]) -> list[str]:
    seen: dict[str, int] = {}
    for s in signals:
        seen[s.id] = seen.get(s.id, 0) + 1
    return [f"{i}: defined {n} times" for i, n in seen.items() if n > 1]


def _dangling(signal: Signal, limits: Limits, sources: Mapping[str, Source]) -> list[str]:
    named = [n for n in (signal.limit, *signal.limits_read) if n and n not in limits]
    faults = [f"{signal.id}: no limit {n!r} in limits.toml{nearest(n, limits)}" for n in dict.fromkeys(named)]
    faults += [
        f"{signal.id}: no source {c!r} in sources.toml{nearest(c, sources)}" for c in signal.cites if c not in sources
    ]
    return faults + ([] if signal.entity in ENTITIES else [f"{signal.id}: no entity {signal.entity!r}"])


def _read_lock(text: str) -> dict[str, tuple[str, str]]:
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}


def _difference(signal_id: str, locked: tuple[str, str], now: tuple[str, str]) -> str:
    if locked[0] == now[0]:
        return f"{signal_id}: the definition changed without a new version; raise `version` and run fraud signals lock"
    return f"{signal_id}: version {now[0]} is not in the lock yet (it has {locked[0]}); run fraud signals lock"
