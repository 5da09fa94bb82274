"""What cases may bring: how probable each is against the money at stake, and a range for what comes of all of them.

The range is a simulation: in each of many futures every case turns out to be at fault or not, by its probability, and
brings its money or nothing. Two things make the futures differ more than so many coins would:

- *The probabilities themselves may be off.* Where a model knows its bounds, each probability is drawn from the beta
  distribution that has the same mean and width; one and the same draw moves all of them up or down, since a curve that
  is too low for one case is too low for its neighbours.
- *Cases of one provider stand or fall together.* How much is measured on decided cases, where there are enough of
  them: with that share of the chance both follow one draw of their provider, else each its own. Nobody's own
  probability changes by it.

What is not in it: amounts that turn out to be others than what is at stake, and money that is confirmed and never
paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = [
    "LEVEL",
    "Cell",
    "Matrix",
    "Outlook",
    "Stakes",
    "Together",
    "amount_steps",
    "bounds_by_probability",
    "outlook_of",
    "risk_matrix",
    "together_by_provider",
]

LEVEL, DRAWS = 0.8, 10_000
# Of a very long list so many draws suffice: its sum hardly varies, and the work stays bounded.
_LEAST_DRAWS, _MOST_NUMBERS, _AT_ONCE = 1_000, 20_000_000, 1_000_000
PROBABILITY_STEPS = (0.1, 0.3, 0.6)
# Too few pairs of decided cases of the same provider say nothing about how they go together.
LEAST_PAIRS, LEAST_PROVIDERS = 100, 10
# Standard errors of the bounds that models keep, which are those of 95 %.
_ERRORS = 1.96
_GRID = 201


@dataclass(frozen=True, eq=False)
class Stakes:
    """Cases as columns; probabilities that nobody knows are NaN, cases of no provider have the number -1.

    `impact` is what a case brings if it is at fault, `amount` the money at stake in it: where findings name money they
    differ at times. `low` and `high` bound the probability with 95 %; NaN where no model says.
    """

    probability: np.ndarray
    amount: np.ndarray
    impact: np.ndarray
    provider: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(
        cls,
        probability: Sequence[float | None],
        amount: Sequence[float | None],
        expected: Sequence[float | None] | None = None,
        provider: Sequence[str | None] | None = None,
        bounds: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Stakes:
        """The columns out of what cases say; `expected` is the expected recovery of each."""
        p, money = _floats(probability), np.nan_to_num(_floats(amount))
        hoped = _floats(expected) if expected is not None else np.full(len(p), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            impact = np.where((p > 0) & np.isfinite(hoped), hoped / p, money)
        low, high = bounds if bounds is not None else (np.full(len(p), np.nan),) * 2
        return cls(p, money, impact, _numbers(provider, len(p)), low, high)

    def chosen(self, which: np.ndarray) -> Stakes:
        """Some of the cases, by a mask."""
        return Stakes(*(getattr(self, name)[which] for name in Stakes.__dataclass_fields__))


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _numbers(provider: Sequence[str | None] | None, count: int) -> np.ndarray:
    names = [None] * count if provider is None else list(provider)
    known: dict[str, int] = {}
    return np.array([-1 if n is None else known.setdefault(n, len(known)) for n in names], dtype=np.int64)


# --- the matrix -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """Cases whose probability and money lie between these bounds; None is no bound, and `known` is False without any.

    Lower bounds belong to the cell, upper ones do not.
    """

    probability_from: float | None
    probability_to: float | None
    amount_from: float | None
    amount_to: float | None
    cases: int
    amount: float
    known: bool = True


@dataclass(frozen=True)
class Matrix:
    """Rows from the highest probability to the lowest and then what has none, each from little money to much."""

    rows: tuple[tuple[Cell, ...], ...]
    cases: int
    amount: float

    @property
    def most(self) -> float:
        """The money of the dearest cell."""
        return max((c.amount for row in self.rows for c in row), default=0.0)


def amount_steps(amounts: np.ndarray) -> tuple[float, ...]:
    """Three amounts that part cases by money: about the half, the dearest sixth and the dearest fiftieth, rounded.

    >>> amount_steps(np.arange(1.0, 10_001.0))
    (5000.0, 8000.0, 10000.0)
    >>> amount_steps(np.array([]))
    ()
    """
    known = amounts[np.isfinite(amounts) & (amounts > 0)]
    if not len(known):
        return ()
    steps = (_round(float(q)) for q in np.quantile(known, (0.5, 5 / 6, 0.98)))
    return tuple(dict.fromkeys(steps))


def _round(amount: float) -> float:
    """To one digit, so that people can name it."""
    return float(f"{amount:.0e}")


def risk_matrix(stakes: Stakes, steps: Sequence[float] | None = None) -> Matrix:
    """Cases and their money by probability and amount; parted at `steps`, or where the amounts themselves say."""
    parts = amount_steps(stakes.amount) if steps is None else tuple(steps)
    known = np.isfinite(stakes.probability)
    # Sorted beyond all bounds, whatever has no probability is a row of its own.
    row = np.where(known, np.searchsorted(PROBABILITY_STEPS, np.nan_to_num(stakes.probability), side="right"), -1)
    column = np.searchsorted(parts, stakes.amount, side="right")
    order = [*range(len(PROBABILITY_STEPS), -1, -1), *([-1] if not known.all() else [])]
    rows = tuple(
        tuple(_cell(stakes.amount[(row == r) & (column == c)], r, c, parts) for c in range(len(parts) + 1))
        for r in order
    )
    return Matrix(rows, len(row), float(stakes.amount.sum()))


def _cell(amounts: np.ndarray, row: int, column: int, parts: Sequence[float]) -> Cell:
    low, high = _between(PROBABILITY_STEPS, row) if row >= 0 else (None, None)
    return Cell(low, high, *_between(parts, column), len(amounts), float(amounts.sum()), row >= 0)


def _between(steps: Sequence[float], part: int) -> tuple[float | None, float | None]:
    return steps[part - 1] if part else None, steps[part] if part < len(steps) else None


# --- the range --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Together:
    """How far decided cases of one provider go together: 0 not at all, 1 all or none; with what it was measured on."""

    share: float
    pairs: int
    providers: int

    @property
    def known(self) -> bool:
        """Whether there was enough to measure."""
        return self.pairs >= LEAST_PAIRS and self.providers >= LEAST_PROVIDERS


@dataclass(frozen=True)
class Outlook:
    """What cases are expected to bring, and between which amounts it lies in eight futures of ten.

    `left_out` cases have no probability: they are in none of the figures. `bounded` is how many have bounds of their
    probability; `together` is what was measured of providers, and was used where it is known.
    """

    expected: float
    low: float
    high: float
    cases: int
    at_stake: float
    left_out: int
    left_out_amount: float
    bounded: int
    together: Together
    draws: int
    seed: int


def bounds_by_probability(model: FittedModel | None, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of probabilities that a model gave; NaN where it knows none."""
    nothing = np.full(len(probability), np.nan)
    if model is None or model.intervals is None or model.calibration.kind == "unknown":
        return nothing, nothing
    knots = model.intervals.margins
    given = model.calibration.probability(knots)
    sides = model.intervals.bounds(model.calibration, knots)
    low, high = (np.interp(probability, given, side) for side in sides)
    return low, high


def together_by_provider(decided: Iterable[tuple[float | None, bool, str | None]]) -> Together:
    """How far cases of one provider go together, out of probability, whether it was at fault, and provider of each.

    The products of the errors of two cases of a provider, beside what they would be if both followed one draw; what
    all cases have in common is taken off before.
    """
    rows = [(p, hit, provider) for p, hit, provider in decided if p is not None and provider is not None]
    if not rows:
        return Together(0.0, 0, 0)
    p, hit = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], dtype=np.float64)
    own = _numbers([r[2] for r in rows], len(rows))
    error = hit - p
    error -= error.mean()
    counts = np.bincount(own)
    pairs, providers = int((counts * (counts - 1) // 2).sum()), int((counts > 1).sum())
    alike = _smaller_of_pairs(own, p, counts) - _of_pairs(own, p)
    share = float(np.clip(_of_pairs(own, error) / alike, 0.0, 1.0)) if alike > 0 else 0.0
    return Together(share, pairs, providers)


def _of_pairs(own: np.ndarray, values: np.ndarray) -> float:
    """The sum of the products of all pairs of one provider."""
    return float((np.bincount(own, values) ** 2 - np.bincount(own, values**2)).sum() / 2)


def _smaller_of_pairs(own: np.ndarray, values: np.ndarray, counts: np.ndarray) -> float:
    """The sum of the smaller value of all pairs of one provider: in order, each is the smaller one of those after."""
    order = np.lexsort((values, own))
    place = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
    after = np.repeat(counts, counts) - 1 - place
    return float(values[order] @ after)


def outlook_of(stakes: Stakes, together: Together, seed: int, draws: int = DRAWS) -> Outlook:
    """What the cases may bring; the same cases and seed give the same figures."""
    known = np.isfinite(stakes.probability)
    own, rest = stakes.chosen(known), stakes.amount[~known]
    expected = float(own.probability @ own.impact)
    count = len(own.impact)
    used = int(np.clip(_MOST_NUMBERS // max(count, 1), _LEAST_DRAWS, draws))
    sums = _sums(own, together.share if together.known else 0.0, seed, used)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(sums, (tail, 1 - tail)) if count else (0.0, 0.0)
    return Outlook(
        expected=expected,
        low=float(low),
        high=float(high),
        cases=count,
        at_stake=float(own.amount.sum()),
        left_out=len(rest),
        left_out_amount=float(rest.sum()),
        bounded=int(np.isfinite(own.low + own.high).sum()),
        together=together,
        draws=used,
        seed=seed,
    )


def _sums(own: Stakes, share: float, seed: int, draws: int) -> np.ndarray:
    """What all cases bring in each future."""
    count = len(own.impact)
    if not count:
        return np.zeros(draws)
    generator = np.random.default_rng(seed)
    kinds, kind = _chances(own)
    providers = int(own.provider.max()) + 1
    # Both of two cases follow their provider with the square of this chance: that is their correlation.
    follows = np.where(own.provider >= 0, np.sqrt(share), 0.0)
    sums, step = np.empty(draws), max(1, _AT_ONCE // count)
    for first in range(0, draws, step):
        size = min(step, draws - first)
        drawn = generator.random((size, count))
        if share > 0 and providers:
            shared = generator.random((size, providers))[:, own.provider]
            drawn = np.where(generator.random((size, count)) < follows, shared, drawn)
        chance = kinds[:, generator.integers(kinds.shape[1], size=size)][kind].T
        sums[first : first + size] = (drawn < chance) @ own.impact
    return sums


def _chances(own: Stakes) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of the beta distribution of each kind of probability, and the kind of each case."""
    from scipy.special import betaincinv

    columns = np.column_stack([own.probability, own.low, own.high]).round(3)
    kinds, kind = np.unique(np.nan_to_num(columns, nan=-1.0), axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    # The mean stays that of the cases themselves, which are many to a kind.
    mean = np.bincount(kind, own.probability) / np.bincount(kind)
    width = np.where(kinds[:, 1] >= 0, (kinds[:, 2] - kinds[:, 1]) / (2 * _ERRORS), 0.0)
    spread = mean * (1 - mean)
    at = (np.arange(_GRID) + 0.5) / _GRID
    found = np.repeat(mean[:, None], _GRID, axis=1)
    wide = (width > 1e-4) & (spread > 1e-9)
    # No distribution on 0 to 1 is wider than one that lies at both ends alone.
    strength = np.maximum(spread[wide] / width[wide] ** 2 - 1, 0.05)
    drawn = betaincinv((mean[wide] * strength)[:, None], ((1 - mean[wide]) * strength)[:, None], at[None, :])
    found[wide] = drawn * (mean[wide] / drawn.mean(axis=1))[:, None]
    return np.minimum(found, 1.0), kind
