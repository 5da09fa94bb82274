"""Reasons: what a model leaned on, at the level of signals, with peers, words and citations.

A signal reaches a model in up to three columns (the figure, its z-score and its percentile among peers).
A reader cares for the signal, so their contributions are added up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import LOCALES, Signal
from fraud.signals.frames import PEER_SUFFIXES
from fraud.signals.limits import Occasion
from fraud.signals.peers import PEER_COLUMNS, PeerGroup, Peers
from fraud.signals.sentences import sentence

__all__ = ["Reason", "reasons_of"]

_PERCENTILE = PEER_SUFFIXES[1]


@dataclass(frozen=True)
class Reason:
    """One signal's part in a score: a reason to look, not a fact about anybody's intent.

    `contribution` is in log-odds. `value` and the peer figures are None where they are not known.
    `peer_group` is like `kind=hospital, level=tertiary` (empty: everybody) and has `peer_count` members.
    """

    signal: str
    version: int
    entity: str
    value: float | None
    unit: str
    contribution: float
    peer_median: float | None
    peer_percentile: float | None
    peer_group: str
    peer_count: int
    sentences: Mapping[str, str]
    titles: Mapping[str, str]
    citations: tuple[str, ...]
    excuses: Mapping[str, str]


@dataclass(frozen=True)
class _Layout:
    """Where each signal's columns are; `raw` and `percentile` are −1 where the model lacks the column."""

    signals: tuple[Signal, ...]
    owner: np.ndarray
    raw: tuple[int, ...]
    percentile: tuple[int, ...]


def reasons_of(
    catalogue: Catalogue,
    names: Sequence[str],
    values: np.ndarray,
    contributions: np.ndarray,
    peers: Mapping[str, Peers],
    attributes: Mapping[str, Sequence[str | None]],
    most: int | None = 4,
    occasions: Mapping[str, Occasion] | None = None,
) -> tuple[Reason, ...]:
    """Reasons of one row, the weightiest first.

    `names` are the model's feature columns, `values` and `contributions` the row's figures in that order;
    `attributes` gives for each entity its `PEER_COLUMNS`. Only signals that raised the score are among the
    top `most`; `most=None` gives every signal, those that lowered it last, and then the contributions add
    up to the margin less the base. `occasions` gives for each entity the day and the regions that decide which
    limits its sentences name; those of an entity that is not among them name none.
    """
    layout = _layout(catalogue, tuple(names))
    weights = np.bincount(layout.owner, weights=contributions, minlength=len(layout.signals))
    # A stable sort of signals in id order: equal weights always come in the same order.
    order = np.argsort(-weights, kind="stable").tolist()
    chosen = order if most is None else [i for i in order[:most] if weights[i] > 0]
    row = _Row(catalogue, layout, values, _Comparison(peers, attributes), occasions or {})
    return tuple(row.reason(i, float(weights[i])) for i in chosen)


@lru_cache(maxsize=16)
def _layout(catalogue: Catalogue, names: tuple[str, ...]) -> _Layout:
    owners = [_owner(name) for name in names]
    ids = sorted(set(owners))
    at = {signal_id: i for i, signal_id in enumerate(ids)}
    column = {name: i for i, name in enumerate(names)}
    return _Layout(
        tuple(catalogue[i] for i in ids),
        np.array([at[o] for o in owners], dtype=np.intp),
        tuple(column.get(i, -1) for i in ids),
        tuple(column.get(i + _PERCENTILE, -1) for i in ids),
    )


def _owner(name: str) -> str:
    """The signal that a feature column belongs to."""
    suffix = next((s for s in PEER_SUFFIXES if name.endswith(s)), "")
    return name.removesuffix(suffix)


class _Comparison:
    """The peer groups of one row's entities; each is looked up once."""

    def __init__(self, peers: Mapping[str, Peers], attributes: Mapping[str, Sequence[str | None]]) -> None:
        self._peers, self._attributes = peers, attributes
        self._groups: dict[str, tuple[str, PeerGroup | None]] = {}

    def group(self, entity: str) -> tuple[str, PeerGroup | None]:
        """Name and distribution of the entity's group; no distribution where nothing was frozen."""
        if entity not in self._groups:
            self._groups[entity] = self._look_up(entity)
        return self._groups[entity]

    def _look_up(self, entity: str) -> tuple[str, PeerGroup | None]:
        if entity not in self._peers:
            return "", None
        own = self._attributes.get(entity) or (None,) * len(PEER_COLUMNS[entity])
        key, group = self._peers[entity].group_of(own)
        return (", ".join(str(part) for part in key), group) if group.n else ("", None)

    def median(self, signal: Signal) -> float | None:
        """Median of the peers."""
        group, j = self._column(signal)
        return None if group is None else float(group.median[j])

    def percentile(self, signal: Signal, value: float | None) -> float | None:
        """Where a value stands among the peers."""
        group, j = self._column(signal)
        if group is None or value is None:
            return None
        one = PeerGroup(group.n, group.median[[j]], group.spread[[j]], group.quantiles[:, [j]])
        return float(one.percentile(np.array([[value]]))[0, 0])

    def _column(self, signal: Signal) -> tuple[PeerGroup | None, int]:
        _, group = self.group(signal.entity)
        j = self._peers[signal.entity].index.get(signal.id, -1) if group else -1
        return (group, j) if j >= 0 else (None, j)


@dataclass(frozen=True)
class _Row:
    """One row of a model's features, ready to be put into words."""

    catalogue: Catalogue
    layout: _Layout
    values: np.ndarray
    comparison: _Comparison
    occasions: Mapping[str, Occasion]

    def reason(self, i: int, contribution: float) -> Reason:
        """The reason of the layout's i-th signal."""
        signal = self.layout.signals[i]
        value = self._figure(self.layout.raw[i])
        label, group = self.comparison.group(signal.entity)
        median = self.comparison.median(signal)
        # Where the model reads the percentile, it is shown as the model has seen it.
        seen = self.layout.percentile[i]
        percentile = self._figure(seen) if seen >= 0 else self.comparison.percentile(signal, value)
        figures = {"limit": self._limit(signal), "peer_median": median, "peer_percentile": percentile}
        return Reason(
            signal=signal.id,
            version=signal.version,
            entity=signal.entity,
            value=value,
            unit=signal.unit,
            contribution=contribution,
            peer_median=median,
            peer_percentile=percentile,
            peer_group=label,
            peer_count=group.n if group else 0,
            sentences={locale: sentence(signal, locale, value, **figures) for locale in LOCALES},
            titles=signal.title,
            citations=signal.cites,
            excuses=signal.excuses,
        )

    def _figure(self, column: int) -> float | None:
        value = float(self.values[column]) if column >= 0 else math.nan
        return None if math.isnan(value) else value

    def _limit(self, signal: Signal) -> float | None:
        occasion = self.occasions.get(signal.entity)
        return occasion.limit(self.catalogue.limits[signal.limit]) if signal.limit and occasion else None
