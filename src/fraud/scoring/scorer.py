"""The scorer of claims: rules and model over one claim and what was known before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from fraud.scoring.shapes import ClaimBundle, Explain, History, Risk, Score
from fraud.scoring.triage import Triage, amount_at_stake, standing_of
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
        self._own = _model_signals(catalogue, model)
        claim_signals = {s.id: s for s in (*self._own.get("claim", ()), *self.rules)}
        self._signals = ClaimSignals(
            catalogue,
            list(claim_signals.values()),
            norms=model.reference.norms if model else no_norms(),
            items=items,
            exclusions=exclusions,
        )

    @property
    def needs_lines(self) -> bool:
        """Whether history must bring the lines of earlier claims."""
        return self._signals.needs_history_lines

    @property
    def snapshot_entities(self) -> tuple[str, ...]:
        """Entities whose snapshots the model reads."""
        return tuple(e for e in self._own if e != "claim")

    def score(self, bundle: ClaimBundle, history: History, *, explain: Explain = "reasons", most: int = 4) -> Score:
        """The answer for one claim, given what was known before it settled."""
        clock = _Clock()
        computed = self._signals.compute(bundle, history)
        hits = self._findings(bundle, computed)
        clock.lap("signals")
        risk = self._risk(bundle, history, computed.values, hits, explain, most, clock) if self.model else None
        return Score(
            action=self.triage.action(hits, risk),
            findings=hits,
            risk=risk,
            as_of=_as_of(bundle, history),
            degraded=() if self.model else ("model",),
            timing_ms=clock.laps,
        )

    def _findings(self, bundle: ClaimBundle, computed: Computed) -> tuple[Finding, ...]:
        """Findings of the claim, with the lines and the money behind them."""
        claim = bundle.claim
        regions = regions_of_claim(claim)
        found = findings(self.catalogue, self.rules, computed.values, claim["admitted_at"], regions=regions)
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

    def _risk(
        self,
        bundle: ClaimBundle,
        history: History,
        values: Mapping[str, float],
        hits: Sequence[Finding],
        explain: Explain,
        most: int,
        clock: _Clock,
    ) -> Risk:
        model = self.model
        assert model is not None
        row = self.vector(bundle, history, values)
        paid = float(bundle.claim.get("fund_amount") or 0.0)
        amounts = {int(r["line_no"]): float(r["amount"]) for r in bundle.lines}
        stake = amount_at_stake(model, paid, hits, amounts)
        risk = standing_of(model, float(model.margins(row[None, :])[0]), stake, self.triage)
        clock.lap("score")
        if explain == "none":
            return risk
        explained = self._explained(risk, row, bundle, history, None if explain == "full" else most)
        clock.lap("explain")
        return explained

    def _explained(self, risk: Risk, row: np.ndarray, bundle: ClaimBundle, history: History, most: int | None) -> Risk:
        assert self.model is not None
        base, contributions = self.model.contributions(row[None, :])
        reasons = reasons_of(
            self.catalogue,
            self.model.names,
            row,
            contributions[0],
            self.model.reference.peers,
            attributes_of_claim(bundle, history, self.model.reference.focus),
            most,
            occasions_of_claim(bundle, history),
        )
        return replace(risk, base=float(base), reasons=reasons)

    def _snapshot_values(self, bundle: ClaimBundle, history: History) -> dict[str, float]:
        """Snapshots of those whom the claim names; whom it does not name is not known, as in batch."""
        values: dict[str, float] = {}
        for entity in self.snapshot_entities:
            if bundle.claim.get(ENTITY_KEYS[entity]) is None:
                continue
            snapshot = history.snapshots.get(entity)
            values.update(self._unseen(entity, history) if snapshot is None else snapshot.values)
        return values

    def _unseen(self, entity: str, history: History) -> dict[str, float]:
        """A snapshot of somebody who was never seen: every signal at its default, among its peers."""
        assert self.model is not None
        signals = self._own[entity]
        values = {s.id: np.nan if s.default is None else float(s.default) for s in signals}
        peers = self.model.reference.peers.get(entity)
        own = attributes_of_claim(ClaimBundle({}), history, self.model.reference.focus).get(entity)
        return values if peers is None or own is None else values | _standing(peers, signals, values, own)


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
    where = {s.id: peers.index[s.id] for s in signals if s.peer and s.id in peers.index}
    z_name, percentile_name = PEER_SUFFIXES
    return {i + z_name: float(z[p]) for i, p in where.items()} | {
        i + percentile_name: float(percentile[p]) for i, p in where.items()
    }
