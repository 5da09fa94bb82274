"""Whether a model still works on a later period: what came in, what it made of it, and what investigations found.

A difference needs attention when it is larger than its limit in the recipe *and* larger than chance. The stability
index of equal distributions is about (1/n + 1/m) times a chi-squared variable with one degree less than it has parts
(Yurdakul 2018); n counts the patients, providers or physicians behind a feature, since a thousand claims of one
provider say one thing about providers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite, nan, sqrt
from typing import Any

import numpy as np

from fraud.claims.folder import ClaimsFolder
from fraud.errors import InputError
from fraud.learning.metrics import wilson_of
from fraud.learning.model import FittedModel
from fraud.learning.monitoring.recipe import Recipe
from fraud.learning.monitoring.watched import Watched, watch
from fraud.learning.origin import Origin, bands_of, names_of_bands, shares_between
from fraud.signals.catalogue import Catalogue

__all__ = ["Check", "Hits", "Monitoring", "Share", "Shift", "monitor", "monitor_watched", "stability_index"]

# Chance of a false alarm for one distribution.
_CHANCE = 0.001
# Standard errors that a share must have moved to be more than chance, at the same level.
_ERRORS = 3.29
_SCORE_PARTS = 10
# With fewer decisions a share of hits has no use.
_LEAST_DECIDED = 10


@dataclass(frozen=True)
class Check:
    """One thing that is watched; `loud` asks for attention, a `measured` that is not a number is not known."""

    name: str
    measured: float
    limit: float
    loud: bool

    @property
    def known(self) -> bool:
        """Whether there was anything to measure."""
        return isfinite(self.measured)


@dataclass(frozen=True)
class Shift:
    """One feature then and now: `weight` is the share of the scores that it carries, `chance` what chance reaches."""

    feature: str
    signal: str
    weight: float
    index: float
    chance: float
    missing_then: float
    missing_now: float
    median_then: float
    median_now: float
    changed: bool
    gone: bool


@dataclass(frozen=True)
class Share:
    """A share with its 95 % bounds, and what was expected."""

    label: str
    expected: float
    found: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Hits:
    """Decided rows and those at fault; `expected` is the share that scores like these led to before the fit."""

    decided: int
    positive: int
    expected: float
    expected_low: float
    expected_high: float
    found: float
    low: float
    high: float
    gap: float
    gap_low: float
    gap_high: float
    bands: tuple[Share, ...]


@dataclass(frozen=True, eq=False)
class Monitoring:
    """A model on a period, beside the period that it was fitted on; `shifts` have first what has changed."""

    model: FittedModel
    origin: Origin
    period: Watched
    checks: tuple[Check, ...]
    shifts: tuple[Shift, ...]
    scores: tuple[Share, ...]
    score_index: float
    alerts: float
    alerts_expected: float
    hits: Hits
    delay: tuple[float, float]
    delay_then: tuple[float, float]
    data_digest: str
    made_at: datetime

    @property
    def loud(self) -> tuple[Check, ...]:
        """What needs attention."""
        return tuple(c for c in self.checks if c.loud)

    def check(self, name: str) -> Check:
        """The check of that name."""
        return next(c for c in self.checks if c.name == name)

    @property
    def drifted_weight(self) -> float:
        """Share of the scores that features carry which have changed."""
        return _carried(self.shifts)

    def as_dict(self) -> dict[str, Any]:
        """Everything that was measured, as JSON types; what is not known is null."""
        p = self.period
        found = {
            "model": self.model.name,
            "version": self.model.version,
            "since": p.since.isoformat(),
            "until": p.until.isoformat(),
            "fitted": {"since": self.origin.since, "until": self.origin.until, "rows": self.origin.rows},
            "attention": [c.name for c in self.loud],
            "checks": [asdict(c) for c in self.checks],
            "rows": p.rows,
            "rows_drawn": len(p.scores),
            "scores": {"index": self.score_index, "parts": [asdict(s) for s in self.scores]},
            "alerts": {"found": self.alerts, "expected": self.alerts_expected},
            "hits": asdict(self.hits),
            "delay_days": dict(zip(("median", "p90"), self.delay, strict=True)),
            "delay_days_then": dict(zip(("median", "p90"), self.delay_then, strict=True)),
            "pending": p.pending,
            "drifted_weight": self.drifted_weight,
            "features": [asdict(s) for s in self.shifts],
            "data": self.data_digest,
            "made_at": self.made_at.isoformat(),
        }
        plain: dict[str, Any] = _without_nan(found)
        return plain


def monitor(
    folder: ClaimsFolder,
    model: FittedModel,
    catalogue: Catalogue,
    recipe: Recipe,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    threads: int = 1,
) -> Monitoring:
    """The model on the claims from `since` to before `until`, beside the period that it was fitted on.

    Raises:
        InputError: the period is empty, or the model was fitted before fitting kept what is needed.
    """
    if since >= until:
        raise InputError(f"the period from {since:%Y-%m-%d} to {until:%Y-%m-%d} has no day; --until is the day after.")
    origin_known(model)
    found = watch(folder, model, catalogue, since, until, threads=threads)
    if not found.rows:
        raise InputError(
            f"{folder.path}: holds no claim that settled from {since:%Y-%m-%d} to before {until:%Y-%m-%d}; there is "
            "nothing to watch."
        )
    return monitor_watched(model, catalogue, recipe, found, folder.digest, now)


def origin_known(model: FittedModel) -> Origin:
    """What the model was fitted on; raises `InputError` for one of an earlier time."""
    if model.origin is None:
        raise InputError(
            f"{model.name} version {model.version} was fitted before models kept what later claims are compared with. "
            f"Train it again: fraud train {model.name} --claims DIR"
        )
    return model.origin


def monitor_watched(
    model: FittedModel, catalogue: Catalogue, recipe: Recipe, period: Watched, digest: str, now: datetime
) -> Monitoring:
    """The measures and checks of a period that was read."""
    origin = origin_known(model)
    shifts = _shifts(model, catalogue, origin, recipe, period)
    scores, index, chance = _scores(model, origin, period)
    alerts, expected = _alerts(model, origin, period)
    hits = _hits(origin, period)
    delay, then = _delays(period), _quantiles_of(origin.delay)
    ratio = delay[0] / then[0] if then[0] > 0 else nan
    limit = recipe.limit
    volume = alerts / expected if expected > 0 else nan
    moved = abs(alerts - expected) > _ERRORS * sqrt(max(expected, 1.0))
    enough = hits.decided >= _LEAST_DECIDED
    known, carried = period.rows > 0, _carried(shifts)
    checks = (
        Check("drifted_weight", carried if known else nan, limit("drifted_weight"), carried > limit("drifted_weight")),
        Check("missing_rise", float(sum(s.gone for s in shifts)) if known else nan, 0, any(s.gone for s in shifts)),
        Check("score_psi", index, limit("score_psi"), index > max(limit("score_psi"), chance)),
        Check("alerts_high", volume, limit("alerts_high"), volume > limit("alerts_high") and moved),
        Check("alerts_low", volume, limit("alerts_low"), volume < limit("alerts_low") and moved),
        Check(
            "hits_gap", hits.gap if enough else nan, limit("hits_gap"), enough and hits.gap_high < -limit("hits_gap")
        ),
        Check("delay_ratio", ratio if enough else nan, limit("delay_ratio"), enough and ratio > limit("delay_ratio")),
    )
    return Monitoring(
        model=model,
        origin=origin,
        period=period,
        checks=checks,
        shifts=shifts,
        scores=scores,
        score_index=index,
        alerts=alerts,
        alerts_expected=expected,
        hits=hits,
        delay=delay,
        delay_then=then,
        data_digest=digest,
        made_at=now,
    )


# --- distributions --------------------------------------------------------------------------------------


def _carried(shifts: Sequence[Shift]) -> float:
    return float(sum(s.weight for s in shifts if s.changed))


def stability_index(then: np.ndarray, now: np.ndarray, n_then: float, n_now: float) -> float:
    """The population stability index of shares of the same parts, half a row added to each so that none is empty.

    Source: Siddiqi, Credit Risk Scorecards (2006).
    """
    parts = len(then)
    a, b = ((s * n + 0.5) / (n + 0.5 * parts) for s, n in ((then, n_then), (now, n_now)))
    return float(((b - a) * np.log(b / a)).sum())


def chance_index(parts: int, n_then: float, n_now: float) -> float:
    """What the index of equal distributions exceeds once in a thousand times."""
    from scipy.stats import chi2

    if parts < 2 or min(n_then, n_now) <= 0:
        return 0.0
    return float(chi2.ppf(1 - _CHANCE, parts - 1) * (1 / n_then + 1 / n_now))


def _shifts(
    model: FittedModel, catalogue: Catalogue, origin: Origin, recipe: Recipe, period: Watched
) -> tuple[Shift, ...]:
    if not period.rows:
        return ()
    found = [_shift(i, n, catalogue, origin, recipe, period) for i, n in enumerate(model.names)]
    return tuple(
        sorted(found, key=lambda s: (not s.gone, not s.changed, -s.weight if s.changed else 0.0, -s.index, s.feature))
    )


def _shift(column: int, name: str, catalogue: Catalogue, origin: Origin, recipe: Recipe, period: Watched) -> Shift:
    spread, values = origin.spreads[name], period.values[:, column]
    signal = name.removesuffix(".peer_z").removesuffix(".peer_percentile")
    units_now = period.units.get(catalogue[signal].entity, len(values))
    units_then = origin.used if units_now == len(values) else units_now
    known = values[np.isfinite(values)]
    missing = 1 - len(known) / len(values)
    present = (units_then * (1 - spread.missing), units_now * (1 - missing))
    index = chance = 0.0
    if len(known) and len(spread.edges):
        shares = shares_between(spread.edges, known)
        index = stability_index(spread.shares, shares, *present)
        chance = chance_index(len(shares), *present)
    return Shift(
        feature=name,
        signal=signal,
        weight=float(period.weights[column]),
        index=index,
        chance=chance,
        missing_then=spread.missing,
        missing_now=missing,
        median_then=float(spread.quantiles[10]),
        median_now=float(np.median(known)) if len(known) else nan,
        changed=index > max(recipe.limit("feature_psi"), chance),
        gone=_risen(spread.missing, missing, recipe.limit("missing_rise"), (units_then, units_now)),
    )


def _risen(then: float, now: float, limit: float, units: tuple[float, float]) -> bool:
    """Whether a share rose by more than a limit, and by more than chance."""
    both = (then * units[0] + now * units[1]) / sum(units)
    error = sqrt(both * (1 - both) * (1 / units[0] + 1 / units[1]))
    return now - then > max(limit, _ERRORS * error)


def _scores(model: FittedModel, origin: Origin, period: Watched) -> tuple[tuple[Share, ...], float, float]:
    """Shares of tenths of the scores at fitting, the index over them, and what chance reaches."""
    quantiles = model.standing.quantiles
    edges = np.unique(np.quantile(quantiles, np.linspace(0, 1, _SCORE_PARTS + 1)[1:-1]))
    then = shares_between(edges, quantiles)
    n = len(period.scores)
    if not n:
        return (), nan, nan
    now = shares_between(edges, period.scores)
    bounds = np.cumsum(then)
    labels = [f"{100 * a:.0f}–{100 * b:.0f}" for a, b in zip([0.0, *bounds[:-1]], bounds, strict=True)]
    shares = [
        Share(s, float(a), float(b), *wilson_of(float(b), n), n) for s, a, b in zip(labels, then, now, strict=True)
    ]
    # Scores of one provider's claims go together; patients are what most claims differ by.
    units = min(period.units.get("patient", n), n)
    index = stability_index(then, now, origin.used, n)
    return tuple(shares), index, chance_index(len(then), min(origin.used, units), units)


def _alerts(model: FittedModel, origin: Origin, period: Watched) -> tuple[float, float]:
    """Rows at or above the score that filled the reviewers' list at fitting, and how many they can look at."""
    capacity = model.spec.capacity
    claims = model.spec.entity == "claim"
    listed = capacity.reviews_per_week * origin.weeks if claims else capacity.k
    place = max(0.0, 1 - listed / origin.rows)
    cut = np.quantile(model.standing.quantiles, place)
    n = len(period.scores)
    found = float((period.scores >= cut).sum()) * period.rows / n if n else nan
    if not claims:
        return found, float(min(capacity.k, period.rows))
    # A team that could look at every row of the fitting period expects no more than as many.
    return found, float(min(capacity.reviews_per_week, origin.rows / origin.weeks) * period.weeks)


# --- outcomes -------------------------------------------------------------------------------------------


def _hits(origin: Origin, period: Watched) -> Hits:
    """Found against expected, with Wilson bounds of both and Newcombe's of the difference."""
    percentiles, labels = period.judged[:, 0], period.judged[:, 1]
    now = bands_of(percentiles, labels)
    decided, positive = sum(n for n, _ in now), sum(p for _, p in now)
    rates = _rates(origin.bands)
    bands = tuple(
        Share(name, rate, p / n, *wilson_of(p / n, n), n)
        for name, rate, (n, p) in zip(names_of_bands(), rates, now, strict=True)
        if n
    )
    if not decided:
        return Hits(0, 0, nan, nan, nan, nan, nan, nan, nan, nan, nan, ())
    weights = np.array([n for n, _ in now]) / decided
    expected = float(weights @ rates)
    variance = float((weights**2 * rates * (1 - rates) / (np.array([n for n, _ in origin.bands]) + 1)).sum())
    worth = expected * (1 - expected) / variance if variance > 0 else 0.0
    found = positive / decided
    (low, high), (e_low, e_high) = wilson_of(found, decided), wilson_of(expected, worth)
    gap = found - expected
    gap_low = gap - sqrt((found - low) ** 2 + (e_high - expected) ** 2)
    gap_high = gap + sqrt((high - found) ** 2 + (expected - e_low) ** 2)
    return Hits(decided, positive, expected, e_low, e_high, found, low, high, gap, gap_low, gap_high, bands)


def _rates(bands: Sequence[tuple[int, int]]) -> np.ndarray:
    """Share at fault in each band, drawn a little to that of all."""
    decided, positive = (np.array(column, dtype=float) for column in zip(*bands, strict=True))
    overall = positive.sum() / decided.sum() if decided.sum() else nan
    return np.asarray((positive + overall) / (decided + 1))


def _delays(period: Watched) -> tuple[float, float]:
    """Median and 90 % quantile of the days from a row to its decision."""
    days = period.judged[:, 2]
    return (float(np.median(days)), float(np.quantile(days, 0.9))) if len(days) else (nan, nan)


def _quantiles_of(delay: Sequence[float]) -> tuple[float, float]:
    return (delay[10], delay[18]) if delay else (nan, nan)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not isfinite(value) else value
