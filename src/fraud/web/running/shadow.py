"""The shadow: a version that scores claims after they were answered, so that no answer knows of it.

It works in one thread of its own with a bounded queue. When claims come faster than it may work, it leaves some
out: it is there to be compared with the champion, and a sample does that as well.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle
from fraud.scoring.snapshots import snapshots_of
from fraud.store import ShadowScore, Store
from fraud.web.telemetry import metrics

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["Shadow"]

log = logging.getLogger("fraud.web")
_MOST_WAITING = 64
# Several scores are written at once: a write for each would stand in the way of decisions.
_MOST_AT_ONCE = 32
# Of its thread's time; the rest is left to requests.
_SHARE = 0.2


@dataclass(frozen=True)
class _Answered:
    """A claim that was answered, with the champion's percentile where there was one."""

    request_id: str
    bundle: ClaimBundle
    percentile: float | None


class Shadow:
    """Scores answered claims with another version and stores what it would have said; `clock` tells the time."""

    def __init__(self, store: Store, scorer: ClaimScorer, clock: Callable[[], datetime] = datetime.now) -> None:
        assert scorer.model is not None
        self.model: FittedModel = scorer.model
        self._scorer, self._store, self._clock = scorer, store, clock
        self._waiting: queue.Queue[_Answered | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="fraud-shadow", daemon=True)
        self._thread.start()

    def offer(self, request_id: str, bundle: ClaimBundle, percentile: float | None) -> None:
        """Leave an answered claim to be scored; returns at once, whatever the state of the shadow."""
        try:
            self._waiting.put_nowait(_Answered(request_id, bundle, percentile))
        except queue.Full:
            metrics.shadow().labels("left out").inc()

    def close(self) -> None:
        """Forget what is waiting, and end the thread."""
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def drain(self) -> None:
        """Return when everything that was offered has been scored."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            taken = [self._waiting.get()]
            while len(taken) < _MOST_AT_ONCE and not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            claims = [t for t in taken if t is not None]
            self._score_all(claims)
            for _ in taken:
                self._waiting.task_done()
            if len(claims) < len(taken):
                return

    def _score_all(self, claims: list[_Answered]) -> None:
        try:
            found = [score for c in claims if (score := self._score(c)) is not None]
            self._store.put_shadow_scores(found)
            metrics.shadow().labels("scored").inc(len(found))
        except Exception:
            # The shadow must harm nobody: what it cannot store is lost.
            log.exception("scores of the shadow cannot be stored")
            metrics.shadow().labels("failed").inc(len(claims))

    def _score(self, claim: _Answered) -> ShadowScore | None:
        started = time.perf_counter()
        try:
            return self._scored(claim)
        except Exception:
            log.exception("the shadow cannot score a claim")
            metrics.shadow().labels("failed").inc()
            return None
        finally:
            time.sleep((time.perf_counter() - started) * (1 / _SHARE - 1))

    def _scored(self, claim: _Answered) -> ShadowScore:
        bundle, model = claim.bundle, self.model
        known = self._store.history(bundle.claim, self._scorer.wanted, snapshots_of(model))
        risk = self._scorer.score(bundle, known, explain="none").risk
        assert risk is not None
        if claim.percentile is not None:
            metrics.shadow_gap().observe(abs(risk.percentile - claim.percentile))
        return ShadowScore(
            request_id=claim.request_id,
            model=model.spec.name,
            version=model.version or 0,
            scored_at=self._clock(),
            probability=risk.probability,
            percentile=risk.percentile,
            margin=risk.margin,
        )
