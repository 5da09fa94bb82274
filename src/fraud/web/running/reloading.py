"""Following the registry and the catalogue: another champion comes into force while claims are answered.

Each worker process looks for itself. What is new is loaded and tried beside what is in force, and takes its place
between two requests. A model that was fitted on other signals than the catalogue's is refused, and so is a catalogue
that a model in force does not fit: what was in force goes on, and the log, the metrics and `/v1/model` say so.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from fraud.config import Settings
from fraud.errors import FraudError, SpecError
from fraud.learning.registry import Registry
from fraud.learning.shelf import Stamp, stamp_of
from fraud.scoring.refresh import has_snapshots
from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.web.running.runtime import ALIAS, SHADOW, Models, Runtime, load_models, loader, scorer_of, settle, tell
from fraud.web.telemetry import metrics

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["SECONDS", "Reloader", "files_of"]

log = logging.getLogger("fraud.web")
# Between two looks, where the settings do not say.
SECONDS = 10.0
_AGAIN_SECONDS = 300.0
# Name, time of change and size of each file of a room.
Files = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Seen:
    """What the registry and the room say: versions by model and alias, and the files of the catalogue."""

    versions: Mapping[str, Mapping[str, int]]
    files: Files


@dataclass(frozen=True)
class _Prepared:
    """What is to come into force, and what of it is refused, by entity."""

    catalogue: Catalogue
    scorer: ClaimScorer
    models: Models
    refused: Mapping[str, str] = field(default_factory=dict)


class Reloader:
    """Looks every `seconds` whether there is something new, in a thread of its own; 0 never looks by itself.

    To be made before the catalogue is loaded: a file that changes meanwhile is noticed then.
    """

    def __init__(self, settings: Settings, seconds: float | None = None) -> None:
        self._settings = settings
        self._every = _seconds(settings) if seconds is None else seconds
        self._files = files_of(settings.features)
        self._stamp = stamp_of(settings.tracking_uri)
        self._tried: _Seen | None = None
        self._again_at = 0.0
        self._registry = Registry(settings.tracking_uri)
        self._ended = threading.Event()
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None
        self.refused: Mapping[str, str] = {}

    def follow(self, runtime: Runtime) -> None:
        """Begin to look, for this runtime."""
        if self._every > 0:
            self._thread = threading.Thread(target=self._work, args=(runtime,), name="fraud-reload", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _work(self, runtime: Runtime) -> None:
        # A registry on another machine was not asked at the start: it is now.
        first = self._every if self._stamp is not None else 0.0
        while not self._ended.wait(first):
            first = self._every
            try:
                self.look(runtime)
            except Exception as error:
                # A registry that is away for a while changes nothing about what is in force.
                told = error.message if isinstance(error, FraudError) else type(error).__name__
                log.warning("what is new among models and signals cannot be seen: %s", told)

    def look(self, runtime: Runtime) -> bool:
        """Bring what is new into force; whether there was anything."""
        with self._looking:
            stamp = stamp_of(self._settings.tracking_uri)
            if self._is_quiet(runtime, stamp):
                return False
            seen = self._see(runtime)
            self._stamp = stamp
            if seen.files == self._files and seen.versions == _in_force(runtime):
                self._refuse(runtime, {})
                return False
            # What could not be used once is tried again when it changes, or after a while: a server may have been away.
            if seen == self._tried and monotonic() < self._again_at:
                return False
            self._tried, self._again_at = seen, monotonic() + _AGAIN_SECONDS
            return self._change(runtime, seen)

    def _is_quiet(self, runtime: Runtime, stamp: Stamp | None) -> bool:
        """Whether the files say that nothing has changed since the last look, and nothing waits for another try."""
        same = stamp is not None and stamp == self._stamp and files_of(self._settings.features) == self._files
        return same and not self.refused and not runtime.models.failed

    def _see(self, runtime: Runtime) -> _Seen:
        names = sorted(set(runtime.names.values())) if not self._registry.is_empty else []
        found = {n: _aliases(self._registry, n, shadow=n == runtime.names.get("claim")) for n in names}
        return _Seen({n: a for n, a in found.items() if a}, files_of(self._settings.features))

    def _change(self, runtime: Runtime, seen: _Seen) -> bool:
        try:
            # Signals are read from files once: a catalogue whose files are as they were is used as it is.
            same = seen.files == self._files
            catalogue = runtime.catalogue if same else load_catalogue(self._settings.features)
            ready = self._prepared(runtime, catalogue)
        except FraudError as error:
            self._refuse(runtime, {"catalogue": error.message})
            return False
        if not _is_new(runtime, ready) and not _shadow_moved(runtime, seen):
            self._refuse(runtime, ready.refused)
            return False
        self._files = seen.files
        self._bring(runtime, ready)
        self._refuse(runtime, ready.refused)
        return True

    def _prepared(self, runtime: Runtime, catalogue: Catalogue) -> _Prepared:
        """The new models and their scorer, tried once; raises `FraudError` where a new catalogue is refused."""
        found = load_models(runtime.names, loader(self._settings, catalogue, anew=True))
        before = runtime.models.loaded
        held = {e: before[e] for e in found.failed if e in before}
        if catalogue is not runtime.catalogue and held:
            why = "; ".join(found.failed[e] for e in held)
            raise SpecError(f"The changed catalogue is not used, because a model in force does not fit it: {why}")
        loaded = {e: _same_or_new(before.get(e), m) for e, m in (*found.loaded.items(), *held.items())}
        models = Models(loaded, {e: why for e, why in found.failed.items() if e not in held})
        if catalogue is runtime.catalogue and loaded.get("claim") is before.get("claim"):
            return _Prepared(catalogue, runtime.scorer, models, found.failed)
        scorer, models = scorer_of(runtime.store, catalogue, models, runtime.triage)
        runtime.try_out(scorer)
        return _Prepared(catalogue, scorer, models, found.failed)

    def _bring(self, runtime: Runtime, ready: _Prepared) -> None:
        # No batch is at work meanwhile, so that none is computed half with one version and half with another.
        with runtime.turn:
            runtime.catalogue, runtime.models, runtime.scorer = ready.catalogue, ready.models, ready.scorer
        runtime.load = loader(self._settings, ready.catalogue, anew=True)
        runtime.load_shadow = loader(self._settings, ready.catalogue, SHADOW, anew=True)
        runtime.cast_shadow()
        tell(ready.models)
        _settle()
        told = ", ".join(f"{m.name} {m.version}" for m in ready.models.loaded.values()) or "no model"
        log.info("in force from now on: %s", told)
        last = runtime.store.last_refresh()
        old = [m.name for m in ready.models.loaded.values() if not has_snapshots(last, m, ready.catalogue)]
        if old:
            log.warning("snapshots were taken for another version of %s: run `fraud refresh`", ", ".join(sorted(old)))

    def _refuse(self, runtime: Runtime, refused: Mapping[str, str]) -> None:
        """Keep what is refused, to be told to whoever asks."""
        for what in refused.keys() - self.refused.keys():
            log.error("%s: not brought into force, what was goes on: %s", what, refused[what])
        self.refused = dict(refused)
        metrics.model_failures().set(len(refused.keys() | runtime.models.failed.keys()))


def files_of(room: Path) -> Files:
    """What the files of a room look like from outside: a change of any changes this."""
    found = (p for pattern in ("*.py", "*.toml") for p in room.rglob(pattern))
    stats = ((str(p.relative_to(room)), p.stat()) for p in sorted(found))
    return tuple((name, s.st_mtime_ns, s.st_size) for name, s in stats)


def _seconds(settings: Settings) -> float:
    given = settings.service.get("reload_seconds", SECONDS)
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given < 0:
        raise SpecError(f"service.reload_seconds is {given!r}; write a number of seconds, 0 for never.")
    return float(given)


def _aliases(registry: Registry, name: str, *, shadow: bool) -> dict[str, int]:
    """Versions by those aliases that the service follows; only the model of claims has a shadow."""
    followed = (ALIAS, SHADOW) if shadow else (ALIAS,)
    return {alias: v for alias, v in registry.aliases(name).items() if alias in followed}


def _in_force(runtime: Runtime) -> dict[str, dict[str, int]]:
    """Versions by model and alias, as the registry would tell them."""
    found = {m.name: {ALIAS: m.version} for m in runtime.models.loaded.values() if m.version is not None}
    shadow = runtime.shadow
    if shadow is not None and shadow.model.version is not None:
        found.setdefault(shadow.model.name, {})[SHADOW] = shadow.model.version
    return found


def _is_new(runtime: Runtime, ready: _Prepared) -> bool:
    before, after = runtime.models.loaded, ready.models.loaded
    moved = before.keys() != after.keys() or any(before[e] is not after[e] for e in after)
    return moved or ready.catalogue is not runtime.catalogue


def _shadow_moved(runtime: Runtime, seen: _Seen) -> bool:
    name = runtime.names.get("claim", "")
    return seen.versions.get(name, {}).get(SHADOW) != _in_force(runtime).get(name, {}).get(SHADOW)


def _same_or_new(before: FittedModel | None, found: FittedModel) -> FittedModel:
    """The model that is in force, where the other is the same version: what was made for it need not be made again."""
    return before if before is not None and before.version == found.version else found


def _settle() -> None:
    """Let go of what was in force, which was out of the garbage collector's sight, and hide what is."""
    gc.unfreeze()
    settle()
