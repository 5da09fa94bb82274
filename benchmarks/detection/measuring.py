"""How well signals tell the guilty from the innocent, and what that is worth beside chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import ENTITIES, Signal

from .scoring import AMONG_PEERS, Scores
from .truth import Sides, Truth

__all__ = ["Detection", "Found", "Ranked", "SignalRow", "average_precision", "by_chance", "found", "is_law", "measured"]

# What passes the highest of this share of a city without schemes counts as an alarm, for signals that are no rules.
ALARM_SHARE = 0.01
TIMES_BASE, TIMES_BASE_OF_ANY_SIGNAL = 5.0, 1.5
FEWEST_GUILTY = 5
# A bar is met when so many signals would come that high by luck less often than this.
LUCK = 0.05
_DRAWS = 4_000


def average_precision(guilty: np.ndarray, innocent: np.ndarray) -> float:
    """Average precision of the ranking by risk, ties taken together; 0 without anybody guilty.

    >>> average_precision(np.array([3.0, 1.0]), np.array([2.0, 0.0]))
    0.8333333333333333
    """
    return _average_precision(guilty, np.sort(innocent))


def _average_precision(guilty: np.ndarray, innocent_sorted: np.ndarray) -> float:
    if not len(guilty):
        return 0.0
    levels, counts = np.unique(guilty, return_counts=True)
    levels, counts = levels[::-1], counts[::-1]
    found = np.cumsum(counts)
    alarms = len(innocent_sorted) - np.searchsorted(innocent_sorted, levels, side="left")
    return float(np.sum(counts * found / (found + alarms)) / len(guilty))


@lru_cache(maxsize=512)
def _lucky(guilty: int, innocent: int) -> np.ndarray:
    """Average precisions of rankings by lot, in ascending order."""
    rng = np.random.default_rng(0)
    draws = max(200, min(_DRAWS, 2_000_000 // max(guilty, 1)))
    found = np.arange(1, guilty + 1)
    # Two may draw one rank; nobody ranks before as many as were found by then.
    ranks = np.maximum(np.sort(rng.integers(1, guilty + innocent + 1, (draws, guilty)), axis=1), found)
    return np.sort((found / ranks).mean(axis=1))


def by_chance(value: float, guilty: int, innocent: int, tries: int) -> float:
    """How often the best of so many rankings by lot comes as high, at most."""
    lucky = _lucky(guilty, innocent)
    above = len(lucky) - int(np.searchsorted(lucky, value, side="left"))
    return float(min(1.0, tries * (above + 1) / (len(lucky) + 1)))


@dataclass(frozen=True)
class Ranked:
    """How one signal ranks; `among_peers` where its distance from the peers does better than its value."""

    signal: str
    average_precision: float
    times_base: float
    among_peers: bool = False


@dataclass(frozen=True)
class Found:
    """One scheme or whole type at one kind of entity; `hits` and `alarms` are those of the type's rules."""

    violation: str
    scheme: str
    entity: str
    guilty: int
    innocent: int
    best: Ranked | None
    best_of_all: Ranked
    luck: float
    rules: int
    hits: int
    alarms: int

    @property
    def base(self) -> float:
        """Share of the guilty."""
        return self.guilty / (self.guilty + self.innocent)

    @property
    def precision(self) -> float | None:
        """Share of the guilty among those on whom a rule of the type fired."""
        return self.hits / (self.hits + self.alarms) if self.hits + self.alarms else None

    @property
    def recall(self) -> float | None:
        """Share of the guilty on whom a rule of the type fired."""
        return self.hits / self.guilty if self.rules else None

    @property
    def passes(self) -> bool:
        """Whether a signal of the type itself ranks them well enough, and not by luck."""
        return self.best is not None and self.best.times_base >= TIMES_BASE and self.luck < LUCK


@dataclass(frozen=True)
class SignalRow:
    """One signal: how often it raises an alarm, on whom, and how well it ranks the guilty of its own type.

    `clean`, `innocent` and `guilty` are shares of rows with an alarm; None where there is nobody.
    """

    signal: str
    entity: str
    violation: str | None
    kind: str
    rule: bool
    law: bool
    rows: int
    clean: float
    innocent: float
    guilty: float | None
    precision: float | None
    average_precision: float | None
    times_base: float | None
    scheme: str | None
    named: bool
    helps: str | None = None

    @property
    def recall(self) -> float | None:
        """Share of the guilty with an alarm."""
        return self.guilty

    @property
    def idle(self) -> bool:
        """Whether it separates nothing: no rule of law, and little better than by lot for its own type."""
        return not self.law and self.times_base is not None and self.times_base < TIMES_BASE_OF_ANY_SIGNAL


@dataclass(frozen=True)
class Detection:
    """All that was measured: a row for each scheme and type at each kind of entity, and one for each signal."""

    found: tuple[Found, ...]
    signals: tuple[SignalRow, ...]
    sizes: Mapping[str, int]
    clean_sizes: Mapping[str, int]
    settings: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def best_of_type(self) -> dict[str, Found]:
        """For each type its best row: one that passes before one that does not, then by times the base rate."""
        ordered = sorted(self.found, key=lambda f: (f.passes, f.best.times_base if f.best else 0.0))
        return {f.violation: f for f in ordered}

    @property
    def missed(self) -> list[str]:
        """Types that nothing ranks well enough."""
        return sorted(v for v, f in self.best_of_type.items() if not f.passes)

    @property
    def law_alarms(self) -> list[SignalRow]:
        """Rules of law on honest claims of the city without schemes, at or above 1 in 10,000."""
        return [s for s in self.signals if s.kind == "violation" and s.entity == "claim" and s.clean >= 1e-4]

    @property
    def idle(self) -> list[SignalRow]:
        """Signals that separate nothing: no rule of law, and little better than chance for their own type."""
        return [s for s in self.signals if s.idle]


def measured(
    catalogue: Catalogue, planted: Mapping[str, Scores], clean: Mapping[str, Scores], truth: Truth
) -> Detection:
    """Everything that is to be measured, from the scores of a city with schemes and of one without."""
    rankings = [_Rankings(scores, truth, catalogue) for scores in planted.values()]
    signals = [r.row(s, clean[r.scores.entity]) for r in rankings for s in r.signals]
    sizes = {e: len(s) for e, s in planted.items()}
    return Detection(_found(rankings), tuple(signals), sizes, {e: len(s) for e, s in clean.items()})


def found(catalogue: Catalogue, planted: Mapping[str, Scores], truth: Truth) -> Detection:
    """What the signals find of each scheme and type, without the figures of each signal."""
    sizes = {e: len(s) for e, s in planted.items()}
    return Detection(_found([_Rankings(s, truth, catalogue) for s in planted.values()]), (), sizes, {})


def _found(rankings: Sequence[_Rankings]) -> tuple[Found, ...]:
    rows = [row for r in rankings for row in r.found()]
    return tuple(sorted(rows, key=lambda f: (f.violation, f.scheme != "", f.scheme, ENTITIES.index(f.entity))))


def is_law(catalogue: Catalogue, signal: Signal) -> bool:
    """Whether a signal states law: what is forbidden, a limit that an authority or the scheme set, a national rule.

    The national library's indicators (codes ZB) are figures to be watched: they have no limit.
    """
    code = signal.national_code or ""
    if not signal.limit:
        return code.startswith("ZB")
    official = catalogue.limits[signal.limit].tag in ("REG", "LOC", "SEED")
    return signal.kind == "violation" or official or bool(code)


class _Rankings:
    """Average precisions of the signals of one kind of entity."""

    def __init__(self, scores: Scores, truth: Truth, catalogue: Catalogue) -> None:
        self.scores, self.truth, self.catalogue = scores, truth, catalogue
        self.signals = [catalogue[n] for n in scores.names if not n.endswith(AMONG_PEERS)]
        self._innocent: dict[tuple[str, bytes], np.ndarray] = {}
        self._sides: dict[tuple[tuple[str, ...], bool], Sides] = {}

    def sides(self, schemes: Sequence[str], *, named: bool = False) -> Sides:
        """The guilty and the innocent, see `Truth.sides`."""
        key = (tuple(schemes), named)
        if key not in self._sides:
            self._sides[key] = self.truth.sides(self.scores, schemes, named=named)
        return self._sides[key]

    def _readings(self, signal_id: str) -> list[str]:
        return [n for n in (signal_id, signal_id + AMONG_PEERS) if n in self.scores.names]

    def _precision(self, name: str, sides: Sides) -> float:
        risks = self.scores.risk(name)
        key = (name, b"" if not sides.named else sides.innocent.tobytes())
        if key not in self._innocent:
            self._innocent[key] = np.sort(risks[sides.innocent])
        return _average_precision(risks[sides.guilty], self._innocent[key])

    def ranked(self, signal: Signal, sides: Sides) -> Ranked:
        """The better of the signal's two readings."""
        tried = [(self._precision(n, sides), n) for n in self._readings(signal.id)]
        value, name = max(tried, key=lambda pair: pair[0])
        return Ranked(signal.id, value, value / sides.base, name.endswith(AMONG_PEERS))

    def found(self) -> list[Found]:
        """A row for each scheme, and for each type of several, that has guilty ones of this kind."""
        rows = []
        for violation, schemes in self.truth.types.items():
            groups = [("", schemes)] * (len(schemes) > 1) + [(s, (s,)) for s in schemes]
            rows += [r for name, group in groups if (r := self._found(violation, name, group))]
        return rows

    def _found(self, violation: str, name: str, schemes: Sequence[str]) -> Found | None:
        sides = self.sides(schemes)
        guilty, innocent = int(sides.guilty.sum()), int(sides.innocent.sum())
        if not guilty:
            return None
        ranked = [self.ranked(s, sides) for s in self.signals]
        own_ids = {s.id for s in self.signals if s.violation == violation}
        own = [r for r in ranked if r.signal in own_ids]
        best = max(own, key=lambda r: r.average_precision, default=None)
        tries = sum(len(self._readings(i)) for i in own_ids)
        luck = by_chance(best.average_precision, guilty, innocent, tries) if best else 1.0
        rules = [s.id for s in self.signals if s.limit and s.id in own_ids]
        fired = np.any([self.scores.hits(r) for r in rules], axis=0) if rules else np.zeros(len(self.scores), bool)
        return Found(
            violation=violation,
            scheme=name,
            entity=self.scores.entity,
            guilty=guilty,
            innocent=innocent,
            best=best,
            best_of_all=max(ranked, key=lambda r: r.average_precision),
            luck=luck,
            rules=len(rules),
            hits=int((fired & sides.guilty).sum()),
            alarms=int((fired & sides.innocent).sum()),
        )

    def row(self, signal: Signal, clean: Scores) -> SignalRow:
        """What one signal does for its own type: of the type as a whole or its best scheme."""
        every = self.sides(())
        alarms, clean_alarms = self._alarms(signal, clean)
        schemes = self.truth.types.get(signal.violation or "", ())
        groups = [schemes] * (len(schemes) > 1) + [(s,) for s in schemes]
        tried = [(g, self.sides(g, named=True)) for g in groups]
        kept = [(self.ranked(signal, sides), g, sides) for g, sides in tried if sides.guilty.any()]
        top = max(kept, key=lambda k: k[0].times_base, default=None)
        whole = kept[0][2] if kept else None
        hits = int((alarms & whole.guilty).sum()) if whole else 0
        wrong = int((alarms & whole.innocent).sum()) if whole else 0
        return SignalRow(
            signal=signal.id,
            entity=signal.entity,
            violation=signal.violation,
            kind=signal.kind,
            rule=bool(signal.limit),
            law=is_law(self.catalogue, signal),
            rows=len(self.scores),
            clean=_share(clean_alarms),
            innocent=_share(alarms[every.innocent]),
            guilty=_share(alarms[whole.guilty]) if whole else None,
            precision=hits / (hits + wrong) if hits + wrong else None,
            average_precision=top[0].average_precision if top else None,
            times_base=top[0].times_base if top else None,
            scheme=("all" if len(top[1]) > 1 else top[1][0]) if top else None,
            named=bool(top and top[2].named),
            helps=self._helps(signal),
        )

    def _helps(self, signal: Signal) -> str | None:
        """The scheme of any type, with at least a few guilty ones, that the signal ranks best."""
        best, name = TIMES_BASE, None
        for scheme, violation in self.truth.violations.items():
            sides = self.sides((scheme,))
            guilty, innocent = int(sides.guilty.sum()), int(sides.innocent.sum())
            if guilty < FEWEST_GUILTY:
                continue
            ranked = self.ranked(signal, sides)
            lucky = by_chance(ranked.average_precision, guilty, innocent, len(self.truth.violations))
            if ranked.times_base > best and lucky < LUCK:
                best, name = ranked.times_base, f"{violation} {scheme}"
        return name

    def _alarms(self, signal: Signal, clean: Scores) -> tuple[np.ndarray, np.ndarray]:
        """Masks of rows with an alarm, here and in the city without schemes."""
        if signal.limit:
            return self.scores.hits(signal.id), clean.hits(signal.id)
        name = self._readings(signal.id)[-1]
        quiet = clean.risk(name)
        bound = np.quantile(quiet, 1 - ALARM_SHARE, method="higher")
        return self.scores.risk(name) > bound, quiet > bound


def _share(mask: np.ndarray) -> float:
    return float(mask.mean()) if len(mask) else 0.0
