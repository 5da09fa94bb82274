"""Peers: who an entity is compared with, and where it stands among them, frozen with a model.

An entity's group is the finest one with at least `MIN_PEERS` members, each counted once however many snapshots it
has. Houses of one kind and level with the same focus, the department that has most of their claims, are alike enough
to be peers when there are `FEWEST_ALIKE` of them; where no departments are known, the region makes peers. The robust
z-score is
(value − median) / (1.4826 · MAD); its percentile is the share of peers below it, ties counted half.

A rate that rests on few cases is far out by chance. A signal that declares its `total` is therefore shrunk before
its z-score is taken: (k + α) / (n + α + β), with α and β fitted on the group by the moments of a beta-binomial
distribution and frozen with it. The percentile stays that of the rate as it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

__all__ = [
    "AGE_BANDS",
    "FEWEST_ALIKE",
    "LADDERS",
    "MIN_PEERS",
    "PEER_COLUMNS",
    "PeerGroup",
    "Peers",
    "Rates",
    "age_band",
    "beta_prior",
    "learn_peers",
]

MIN_PEERS = 30
# Eight dialysis clinics say more about a ninth than three hundred clinics do.
FEWEST_ALIKE = 8
FOCUS = "focus"
# A z-score beyond this says no more than "far out", and must not dominate a linear baseline.
MAX_Z = 10.0
QUANTILES = np.linspace(0.0, 1.0, 201)
# α + β at most and at least: peers that differ by no more than chance, and peers that are all or nothing.
PRIOR_SIZES = (0.01, 10_000.0)
# From the finest group to everybody; the columns are those of `PEER_COLUMNS`.
LADDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "claim": (("visit_type", "diagnosis_group"), ("visit_type",), ()),
    "patient": (("insurance_type", "age_band", "sex"), ("age_band", "sex"), ("age_band",), ()),
    "provider": (("kind", "level", FOCUS), ("kind", "level", "region"), ("kind", "level"), ("kind",), ()),
    "physician": (("specialty", "level", "region"), ("specialty", "level"), ("specialty",), ()),
}
# Upper ages in years and the band below them; the last band is open.
AGE_BANDS = ((18, "child"), (45, "18-44"), (65, "45-64"), (80, "65-79"), (None, "80+"))
# The focus is the last of a provider's: models from before there was one have groups of the others.
PEER_COLUMNS = {
    entity: tuple(sorted(dict.fromkeys(c for rung in ladder for c in rung), key=FOCUS.__eq__))
    for entity, ladder in LADDERS.items()
}


@dataclass(frozen=True)
class Rates:
    """α and β of the rates of a group, and centre and spread of the shrunk rates; NaN for what is no rate."""

    alpha: np.ndarray
    beta: np.ndarray
    median: np.ndarray
    spread: np.ndarray

    def shrunk(self, values: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Values of rows × signals, with rates of a known total pulled towards what is usual in the group."""
        with np.errstate(invalid="ignore", divide="ignore"):
            rates = (values * totals + self.alpha) / (totals + self.alpha + self.beta)
            return np.where((totals > 0) & np.isfinite(rates), rates, values)

    def columns(self, where: Sequence[int]) -> Rates:
        """The same for some of the signals."""
        return Rates(*(a[where] for a in (self.alpha, self.beta, self.median, self.spread)))


def _no_rates(size: int) -> Rates:
    nothing = np.full(size, np.nan)
    return Rates(nothing, nothing, nothing, nothing)


@dataclass(frozen=True)
class PeerGroup:
    """Frozen distribution of every signal in one group; arrays run over signals."""

    n: int
    median: np.ndarray
    spread: np.ndarray
    quantiles: np.ndarray
    rates: Rates = field(default_factory=lambda: _no_rates(1))

    def z(self, values: np.ndarray, totals: np.ndarray | None = None) -> np.ndarray:
        """Robust z-scores of rows × signals; 0 at the median, missing stays missing.

        `totals` are the numbers of cases that rates rest on, NaN for signals that are no rates.
        """
        is_rate = np.isfinite(self.rates.alpha)
        median = np.where(is_rate, self.rates.median, self.median)
        spread = np.where(is_rate, self.rates.spread, self.spread)
        apart = (values if totals is None else self.rates.shrunk(values, totals)) - median
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(spread > 0, apart / spread, np.sign(apart) * MAX_Z)
        return np.clip(np.where(apart == 0, 0.0, z), -MAX_Z, MAX_Z)

    def percentile(self, values: np.ndarray) -> np.ndarray:
        """Percentiles (0 to 100) of rows × signals among the peers."""
        columns = [_percentile(self.quantiles[:, j], values[:, j]) for j in range(values.shape[1])]
        return np.column_stack(columns) if columns else np.empty_like(values)


@dataclass(frozen=True)
class Peers:
    """Frozen peer groups of one entity; `names` are the signals, in the order of the arrays."""

    entity: str
    names: tuple[str, ...]
    groups: Mapping[tuple[str | None, ...], PeerGroup]

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each signal in the arrays."""
        return {name: i for i, name in enumerate(self.names)}

    def group_of(self, attributes: Sequence[str | None]) -> tuple[tuple[str | None, ...], PeerGroup]:
        """The finest frozen group of an entity with these attributes (in `PEER_COLUMNS` order)."""
        keys = (_key(self.entity, rung, attributes) for rung in _rungs(self.entity, attributes))
        key = next(k for k in keys if k in self.groups)
        return key, self.groups[key]

    def standing(
        self, values: np.ndarray, attributes: Sequence[Sequence[str | None]], totals: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Robust z-scores and percentiles, both rows × signals, each row among its own peers.

        `totals`, rows × signals, are the numbers of cases that rates rest on.
        """
        z, percentile = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
        for rows, group in self._rows_by_group(attributes):
            z[rows] = group.z(values[rows], None if totals is None else totals[rows])
            percentile[rows] = group.percentile(values[rows])
        return z, percentile

    def _rows_by_group(self, attributes: Sequence[Sequence[str | None]]) -> list[tuple[np.ndarray, PeerGroup]]:
        keys: dict[tuple[str | None, ...], list[int]] = {}
        for row, own in enumerate(attributes):
            keys.setdefault(tuple(own), []).append(row)
        return [(np.array(rows), self.group_of(own)[1]) for own, rows in keys.items()]

    def to_arrow(self) -> pa.Table:
        """One row for each group and signal, as it is stored with a model."""
        rows = [
            {
                "entity": self.entity,
                "group": list(key),
                "signal": name,
                "n": group.n,
                "median": float(group.median[i]),
                "spread": float(group.spread[i]),
                "quantiles": group.quantiles[:, i].tolist(),
                **{n: _known(getattr(group.rates, of)[i]) for n, of in _RATE_COLUMNS.items()},
            }
            for key, group in self.groups.items()
            for i, name in enumerate(self.names)
        ]
        return pa.Table.from_pylist(rows, schema=_SCHEMA)

    @classmethod
    def from_arrow(cls, entity: str, table: pa.Table) -> Peers:
        """The peers that `to_arrow` wrote."""
        rows = [r for r in table.to_pylist() if r["entity"] == entity]
        names = tuple(dict.fromkeys(r["signal"] for r in rows))
        keys = dict.fromkeys(tuple(r["group"]) for r in rows)
        by_key: dict[tuple[str | None, ...], list[dict[str, object]]] = {k: [] for k in keys}
        for row in rows:
            by_key[tuple(row["group"])].append(row)
        return cls(entity, names, {k: _group(v) for k, v in by_key.items()})


# Columns of a stored group, and what of its rates they hold.
_RATE_COLUMNS = {"alpha": "alpha", "beta": "beta", "rate_median": "median", "rate_spread": "spread"}
_SCHEMA = pa.schema(
    [
        ("entity", pa.string()),
        ("group", pa.list_(pa.string())),
        ("signal", pa.string()),
        ("n", pa.int64()),
        ("median", pa.float64()),
        ("spread", pa.float64()),
        ("quantiles", pa.list_(pa.float64())),
        *((name, pa.float64()) for name in _RATE_COLUMNS),
    ]
)


def age_band(years: float | None) -> str | None:
    """The band of ages that makes peers of patients; None when the age is not known.

    >>> age_band(44.9), age_band(45), age_band(101)
    ('18-44', '45-64', '80+')
    """
    if years is None:
        return None
    return next(name for upper, name in AGE_BANDS if upper is None or years < upper)


def learn_peers(
    entity: str,
    names: Sequence[str],
    values: np.ndarray,
    attributes: Sequence[Sequence[str | None]],
    totals: np.ndarray | None = None,
    ids: Sequence[str] | None = None,
) -> Peers:
    """Peer groups with enough members, and always the group of everybody.

    `values` is rows × signals; `attributes` gives each row's `PEER_COLUMNS`; `totals`, of the shape of the
    values, the number of cases that a rate rests on (NaN: not a rate). `ids` tell which rows are of one member; by
    default each row is another's.
    """
    counts = np.full(values.shape, np.nan) if totals is None else totals
    who = np.arange(len(values)) if ids is None else np.unique(np.asarray(ids), return_inverse=True)[1]
    groups: dict[tuple[str | None, ...], PeerGroup] = {(): _distribution(values, counts, len(np.unique(who)))}
    for key, rows in _rows_by_key(entity, attributes).items():
        if key and (n := len(np.unique(who[rows]))) >= _fewest(key):
            groups[key] = _distribution(values[rows], counts[rows], n)
    return Peers(entity, tuple(names), groups)


def _rows_by_key(entity: str, attributes: Sequence[Sequence[str | None]]) -> dict[tuple[str | None, ...], list[int]]:
    """The rows of every group on any rung; rows alike are looked at once."""
    alike: dict[tuple[str | None, ...], list[int]] = {}
    for row, own in enumerate(attributes):
        alike.setdefault(tuple(own), []).append(row)
    found: dict[tuple[str | None, ...], list[int]] = {}
    for own, rows in alike.items():
        for rung in _rungs(entity, own):
            found.setdefault(_key(entity, rung, own), []).extend(rows)
    return found


def _fewest(key: Sequence[str | None]) -> int:
    """How many members a group needs."""
    return FEWEST_ALIKE if any(str(part).startswith(f"{FOCUS}=") for part in key) else MIN_PEERS


def _rungs(entity: str, attributes: Sequence[str | None]) -> Iterator[tuple[str, ...]]:
    """The ladder of somebody with these attributes: whoever has no focus is not alike for that."""
    columns = PEER_COLUMNS[entity]
    focused = FOCUS in columns and len(attributes) == len(columns) and attributes[columns.index(FOCUS)]
    return (rung for rung in LADDERS[entity] if FOCUS not in rung or focused)


def _key(entity: str, rung: Sequence[str], attributes: Sequence[str | None]) -> tuple[str | None, ...]:
    """`column=value` for each column of the rung; a missing attribute is a value of its own."""
    columns = PEER_COLUMNS[entity]
    return tuple(f"{c}={attributes[columns.index(c)] or '?'}" for c in rung)


def _distribution(values: np.ndarray, totals: np.ndarray, n: int) -> PeerGroup:
    if not len(values):
        empty = np.zeros(values.shape[1])
        return PeerGroup(0, empty, empty, np.zeros((len(QUANTILES), values.shape[1])), _no_rates(values.shape[1]))
    known = np.where(np.isfinite(values), values, np.nan)
    unknown = np.isnan(known).all(axis=0)
    known[:, unknown] = 0.0
    median = np.nanmedian(known, axis=0)
    quantiles = np.nanquantile(known, QUANTILES, axis=0)
    return PeerGroup(n, median, _spread(known, median), quantiles, _rates(known, totals))


def _rates(values: np.ndarray, totals: np.ndarray) -> Rates:
    """What the rates among the signals are shrunk with, and how the shrunk ones spread."""
    fitted = [beta_prior(values[:, j], totals[:, j]) for j in range(values.shape[1])]
    alpha, beta = np.array(fitted, dtype=float).reshape(-1, 2).T
    shrunk = Rates(alpha, beta, alpha, beta).shrunk(values, totals)
    median = np.nanmedian(shrunk, axis=0)
    size = alpha + beta
    # Where most peers have no case at all, their shrunk rates hardly differ: at least the spread that was fitted.
    spread = np.maximum(_spread(shrunk, median), np.sqrt(alpha * beta / (size * size * (size + 1))))
    return Rates(alpha, beta, np.where(np.isfinite(alpha), median, np.nan), spread)


def beta_prior(rates: np.ndarray, totals: np.ndarray) -> tuple[float, float]:
    """α and β of a beta-binomial distribution with the moments of these rates; (NaN, NaN) without two of them.

    The between-peer correlation is Kleinman's moment estimator with weights n, which is exact in the mean for
    peers of any size. Source: Kleinman, J. Am. Stat. Assoc. 68 (1973) 46-54.

    >>> [round(x, 1) for x in beta_prior(np.array([0.0, 0.5, 0.5, 1.0]), np.full(4, 1e9))]
    [1.0, 1.0]
    """
    used = (totals > 0) & np.isfinite(rates)
    p, n = np.clip(rates[used], 0.0, 1.0), totals[used]
    if len(n) < 2:
        return np.nan, np.nan
    mean = float((p * n).sum() / n.sum())
    chance = mean * (1 - mean)
    left = 1 - n / n.sum()
    excess = float((n * (p - mean) ** 2).sum()) - chance * float(left.sum())
    room = chance * float((n * left).sum() - left.sum())
    correlation = min(max(excess / room, 0.0), 1.0) if room > 0 else 0.0
    size = 1 / correlation - 1 if correlation > 0 else PRIOR_SIZES[1]
    size = min(max(size, PRIOR_SIZES[0]), PRIOR_SIZES[1])
    return mean * size, (1 - mean) * size


def _spread(values: np.ndarray, median: np.ndarray) -> np.ndarray:
    """1.4826 · MAD; where more than half are equal, 1.2533 · the mean distance instead."""
    apart = np.abs(values - median)
    mad = 1.4826 * np.nanmedian(apart, axis=0)
    spread: np.ndarray = np.where(mad > 0, mad, 1.2533 * np.nanmean(apart, axis=0))
    return spread


def _percentile(quantiles: np.ndarray, values: np.ndarray) -> np.ndarray:
    low = np.searchsorted(quantiles, values, side="left")
    high = np.searchsorted(quantiles, values, side="right")
    inside = 100.0 * (low + high) / 2 / len(quantiles)
    return np.where(np.isnan(values), np.nan, np.clip(inside, 0.0, 100.0))


def _group(rows: Sequence[Mapping[str, object]]) -> PeerGroup:
    return PeerGroup(
        int(rows[0]["n"]),  # type: ignore[call-overload]
        np.array([r["median"] for r in rows], dtype=float),
        np.array([r["spread"] for r in rows], dtype=float),
        np.array([r["quantiles"] for r in rows], dtype=float).T,
        # A model from before rates were shrunk has none of these columns.
        Rates(*(np.array([r.get(n) for r in rows], dtype=float) for n in _RATE_COLUMNS)),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
