"""The scorer of claims: rules and model over one claim and what was known before it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from fraud.errors import NotKnownError
from fraud.explaining.reasons import reasons_of
from fraud.scoring.claim_signals import ClaimSignals, Computed, as_vector
from fraud.scoring.occasions import occasions_of_claim
from fraud.scoring.parties import attributes_of_claim
from fraud.scoring.screening import Screen
from fraud.scoring.shapes import Action, ClaimBundle, Explain, History, Risk, Score, Wanted
from fraud.scoring.snapshots import days_around
from fraud.scoring.triage import Triage, amount_at_stake, standings_of
from fraud.signals.assembly import by_entity
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import Signal
from fraud.signals.frames import PEER_SUFFIXES
from fraud.signals.norms import no_norms
from fraud.signals.peers import Peers
from fraud.signals.relations import ENTITY_KEYS
from fraud.signals.rules import Finding, findings, regions_of_claim, rules_of

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["ClaimScorer"]

log = logging.getLogger("fraud.scoring")
NOTHING_KNOWN = History()
_PAST = {"past", "past_lines", "burst"}


class ClaimScorer:
    """Scores claims; loads everything once and is safe to call from many threads.

    Without a model it answers from the rules alone and says `model` in `degraded`. `items` and `exclusions`
    are the payer's `catalogue` and `exclusions` tables. Without `with_rules` the model alone is asked.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        model: FittedModel | None,
        *,
        items: pa.Table | None = None,
        exclusions: pa.Table | None = None,
        triage: Triage | None = None,
        with_rules: bool = True,
    ) -> None:
        self.catalogue = catalogue
        self.model = model
        self.triage = triage or Triage()
        self.rules = rules_of(catalogue, "claim") if with_rules else []
        self._screen = Screen(catalogue, self.rules)
        self._own = _model_signals(catalogue, model)
        self._defaults = {e: _defaults(signals) for e, signals in self._own.items()}
        # How somebody unseen stands among peers costs more than all signals: only what the model reads is worked out.
        self._compared = {e: _compared(model, signals) for e, signals in self._own.items()}
        claim_signals = {s.id: s for s in (*self._own.get("claim", ()), *self.rules)}
        self._signals = ClaimSignals(
            catalogue,
            list(claim_signals.values()),
            norms=model.reference.norms if model else no_norms(),
            items=items,
            exclusions=exclusions,
        )
        # What cannot be said of a claim whose patient's past is not at hand.
        self._of_the_past = frozenset(i for i, s in claim_signals.items() if _PAST & set(s.scopes))

    @property
    def wanted(self) -> Wanted:
        """What history must bring of earlier claims and their lines."""
        return self._signals.wanted

    @property
    def snapshot_entities(self) -> tuple[str, ...]:
        """Entities whose snapshots the model reads."""
        return tuple(e for e in self._own if e != "claim")

    def score(
        self, bundle: ClaimBundle, history: History | None, *, explain: Explain = "reasons", most: int = 4
    ) -> Score:
        """The answer for one claim, given what was known before it settled.

        Where `history` is None, what was known could not be read: `degraded` says so, rules that need it are skipped,
        and the model does without.
        """
        clock = _Clock()
        computed = self._signals.compute(bundle, history or NOTHING_KNOWN)
        return self._scores([self._case(bundle, history, computed)], [explain], most, clock)[0]

    def score_many(
        self,
        bundles: Sequence[ClaimBundle],
        histories: Sequence[History | None],
        *,
        explain: Sequence[Explain] | Explain = "reasons",
        most: int = 4,
    ) -> list[Score | Exception]:
        """For each claim what `score` gives for it, to 1e-9, or what it raises: a claim harms no other.

        Signals of all claims are computed at once, and so are margins and contributions; `timing_ms` is that of all.
        """
        wanted = [explain] * len(bundles) if isinstance(explain, str) else list(explain)
        if len(bundles) > 1:
            try:
                return list(self._score_together(bundles, histories, wanted, most))
            except Exception:
                # One of them cannot be computed; which one shows when each is computed for itself.
                log.debug("%d claims are scored one by one", len(bundles), exc_info=True)
        given = zip(bundles, histories, wanted, strict=True)
        return [self._score_or_error(*one, most) for one in given]

    def _score_together(
        self,
        bundles: Sequence[ClaimBundle],
        histories: Sequence[History | None],
        explain: Sequence[Explain],
        most: int,
    ) -> list[Score]:
        clock = _Clock()
        known = [h or NOTHING_KNOWN for h in histories]
        computed = self._signals.compute_many(list(zip(bundles, known, strict=True)))
        cases = [self._case(b, h, c) for b, h, c in zip(bundles, histories, computed, strict=True)]
        return self._scores(cases, explain, most, clock)

    def _score_or_error(
        self, bundle: ClaimBundle, history: History | None, explain: Explain, most: int
    ) -> Score | Exception:
        try:
            return self.score(bundle, history, explain=explain, most=most)
        except Exception as error:
            return error

    def _case(self, bundle: ClaimBundle, history: History | None, computed: Computed) -> _Case:
        if history is not None:
            return _Case(bundle, history, computed.values, self._findings(bundle, computed, {}))
        seen = {i: v for i, v in computed.values.items() if i not in self._of_the_past}
        computed = replace(computed, values=seen)
        skipped = dict.fromkeys(self._of_the_past, "what was known before could not be read in time")
        return _Case(bundle, None, seen, self._findings(bundle, computed, skipped))

    def _scores(self, cases: Sequence[_Case], explain: Sequence[Explain], most: int, clock: _Clock) -> list[Score]:
        clock.lap("signals")
        risks: Sequence[Risk | None] = [None] * len(cases)
        actions = [self.triage.action(c.hits, None) for c in cases]
        if self.model is not None:
            rows = np.array([self._vector_of(c) for c in cases])
            judged = self._standings(cases, rows)
            actions = [self.triage.action(c.hits, r) for c, r in zip(cases, judged, strict=True)]
            clock.lap("score")
            wanted = enumerate(zip(explain, actions, strict=True))
            asked = {i: None if e == "full" else most for i, (e, a) in wanted if _is_explained(e, a)}
            risks = self._explained(judged, rows, cases, asked)
            clock.lap("explain")
        return [
            Score(
                action=action,
                findings=case.hits,
                risk=risk,
                as_of=_as_of(case.bundle, case.known),
                degraded=(*(() if self.model else ("model",)), *(("history",) if case.history is None else ())),
                timing_ms=clock.laps,
            )
            for case, action, risk in zip(cases, actions, risks, strict=True)
        ]

    def _findings(self, bundle: ClaimBundle, computed: Computed, skipped: Mapping[str, str]) -> tuple[Finding, ...]:
        """Findings of the claim, with the lines and the money behind them."""
        claim = bundle.claim
        regions = regions_of_claim(claim)
        left = self._screen.left(computed.values, claim["admitted_at"], regions)
        found = findings(self.catalogue, left, computed.values, claim["admitted_at"], skipped, regions)
        behind = self._signals.lines_behind(computed, (f.signal.id for f in found if f.status == "hit"))
        stake = float(bundle.claim.get("fund_amount") or 0.0)
        return tuple(_with_stake(f, behind.get(f.signal.id), stake) for f in found)

    def vector(self, bundle: ClaimBundle, history: History, values: Mapping[str, float]) -> np.ndarray:
        """The claim as the model reads it: one float64 value for each of the model's columns."""
        assert self.model is not None
        return as_vector({**values, **self._snapshot_values(bundle, history)}, self.model.names)

    def values(self, bundle: ClaimBundle, history: History) -> dict[str, float]:
        """Values of the claim's own signals."""
        return self._signals.compute(bundle, history).values

    def _vector_of(self, case: _Case) -> np.ndarray:
        assert self.model is not None
        if case.history is None:
            return as_vector(case.values, self.model.names)
        return self.vector(case.bundle, case.history, case.values)

    def _standings(self, cases: Sequence[_Case], rows: np.ndarray) -> list[Risk]:
        assert self.model is not None
        stakes = [_stake(self.model, c) for c in cases]
        return standings_of(self.model, self.model.margins(rows), stakes, self.triage)

    def _explained(
        self, risks: Sequence[Risk], rows: np.ndarray, cases: Sequence[_Case], asked: Mapping[int, int | None]
    ) -> list[Risk]:
        """The risks; those that are asked for with their base and the most telling reasons, or all (None)."""
        assert self.model is not None
        explained = list(risks)
        if not asked:
            return explained
        base, contributions = self.model.contributions(rows[list(asked)])
        for (i, most), own in zip(asked.items(), contributions, strict=True):
            case = cases[i]
            reasons = reasons_of(
                self.catalogue,
                self.model.names,
                rows[i],
                own,
                self.model.reference.peers,
                attributes_of_claim(case.bundle, case.known, self.model.reference.focus),
                most,
                occasions_of_claim(case.bundle, case.known),
            )
            explained[i] = replace(risks[i], base=float(base), reasons=reasons)
        return explained

    def _snapshot_values(self, bundle: ClaimBundle, history: History) -> dict[str, float]:
        """Snapshots of those whom the claim names; whom it does not name is not known, as in batch."""
        values: dict[str, float] = {}
        for entity in self.snapshot_entities:
            if bundle.claim.get(ENTITY_KEYS[entity]) is None:
                continue
            snapshot = history.snapshots.get(entity)
            values.update(self._unseen(entity, bundle, history) if snapshot is None else snapshot.values)
        return values

    def _unseen(self, entity: str, bundle: ClaimBundle, history: History) -> dict[str, float]:
        """A snapshot of somebody who was never seen: every signal at its default, among its peers of the month."""
        assert self.model is not None
        values = self._defaults[entity]
        peers = self.model.reference.peers.get(entity)
        if peers is None or not self._compared[entity]:
            return values
        # As old as on the first of the month, when the snapshot would have been taken.
        day = ClaimBundle({"settled_at": days_around(bundle.claim["settled_at"])[0]})
        own = attributes_of_claim(day, history, self.model.reference.focus).get(entity)
        return values if own is None else values | _standing(peers, self._compared[entity], values, own)


@dataclass(frozen=True)
class _Case:
    """A claim whose signals are computed: the values that are known, and the rules that hit."""

    bundle: ClaimBundle
    history: History | None
    values: Mapping[str, float]
    hits: tuple[Finding, ...]

    @property
    def known(self) -> History:
        """The history, or an empty one where it could not be read."""
        return self.history or NOTHING_KNOWN


class _Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, name: str) -> None:
        now = perf_counter()
        self.laps[name] = round((now - self._last) * 1e3, 3)
        self._last = now


def _model_signals(catalogue: Catalogue, model: FittedModel | None) -> dict[str, list[Signal]]:
    """The signals that a model reads, by entity; raises `NotKnownError` for one that is gone."""
    if model is None:
        return {}
    if model.spec.entity != "claim":
        raise NotKnownError(f"model {model.spec.name} scores {model.spec.entity}s; claims need a model of claims.")
    return by_entity(catalogue[i] for i in model.signal_ids)


def _defaults(signals: Sequence[Signal]) -> dict[str, float]:
    return {s.id: np.nan if s.default is None else float(s.default) for s in signals}


def _compared(model: FittedModel | None, signals: Sequence[Signal]) -> list[Signal]:
    """The signals whose standing among peers the model reads."""
    names = set(model.names) if model else set()
    return [s for s in signals if s.peer and any(s.id + suffix in names for suffix in PEER_SUFFIXES)]


def _is_explained(explain: Explain, action: Action) -> bool:
    return explain in ("reasons", "full") or (explain == "flagged" and action != "pass")


def _stake(model: FittedModel, case: _Case) -> float:
    claim = case.bundle.claim
    amounts = {int(r["line_no"]): float(r["amount"]) for r in case.bundle.lines}
    return amount_at_stake(model, float(claim.get("fund_amount") or 0.0), case.hits, amounts)


def _with_stake(finding: Finding, behind: tuple[tuple[int, ...], float] | None, stake: float) -> Finding:
    if finding.status != "hit":
        return finding
    lines, amount = behind or ((), stake)
    return replace(finding, lines=lines, amount=round(amount, 2))


def _as_of(bundle: ClaimBundle, history: History) -> datetime | None:
    """The day of the oldest snapshot used, or the moment of settlement when none was."""
    days = [s.day for s in history.snapshots.values()]
    settled: datetime | None = bundle.claim.get("settled_at")
    return min(days) if days else settled


def _standing(
    peers: Peers, signals: Sequence[Signal], values: Mapping[str, float], own: tuple[str | None, ...]
) -> dict[str, float]:
    _, group = peers.group_of(own)
    row = as_vector(values, peers.names)[None, :]
    z, percentile = group.z(row)[0], group.percentile(row)[0]
    where = {s.id: peers.index[s.id] for s in signals if s.id in peers.index}
    z_name, percentile_name = PEER_SUFFIXES
    return {i + z_name: float(z[p]) for i, p in where.items()} | {
        i + percentile_name: float(percentile[p]) for i, p in where.items()
    }
