"""The week's list: who is looked at, so that the hours there are bring back most, and who is drawn at random.

The list is an optimisation, not a sort. A hundred claims of one provider, or of one kind of violation, would be the
same story a hundred times; and a list of the riskiest alone would in time teach a model nothing but what it knows. So
most of the hours go to the cases whose expected recovery is highest under limits by provider and by violation, and
a small share of the places to a random sample of all the others, with the chance that each of them had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from fraud.errors import Fault, SpecError, nearest
from fraud.review.choosing import Choice, Limits, choose
from fraud.scoring.triage import MINUTES, ReviewTime

__all__ = ["Candidate", "Queue", "QueueRules", "QueuedCase", "build_queue", "rules_of_settings"]

SelectedBy = Literal["expected_recovery", "random"]
_NUMBERS: Mapping[str, tuple[float, float]] = {
    "hours_per_week": (0.0, 1e6),
    "random_share": (0.0, 0.5),
    "most_per_provider": (1, 1e6),
    "most_of_a_violation": (0.0, 1.0),
    "cool_down_days": (0, 3660),
    "claims_of_days": (1, 3660),
}


@dataclass(frozen=True)
class QueueRules:
    """What a week holds; `[review]` of `fraud.toml`.

    `random_share` is the share of the hours for random cases, `most_per_provider` the most cases of one provider,
    `most_of_a_violation` the largest share of the places for one type of violation. Whoever was decided within
    `cool_down_days` is left out, and so are claims that settled longer ago than `claims_of_days`.
    """

    hours_per_week: float = 40.0
    random_share: float = 0.05
    most_per_provider: int = 5
    most_of_a_violation: float = 0.3
    cool_down_days: int = 180
    claims_of_days: int = 90
    time: ReviewTime = field(default_factory=ReviewTime)


@dataclass(frozen=True)
class Candidate:
    """One claim or entity that could be looked at; money in the payer's currency.

    `stratum` is what the random sample is spread over, `decided_at` the last decision about it, `open` whether
    somebody has it already. `reasons` are in the reader's language.
    """

    entity: str
    entity_id: str
    probability: float
    expected_recovery: float
    violation: str | None = None
    provider_id: str | None = None
    stratum: str = ""
    decided_at: datetime | None = None
    open: bool = False
    probability_low: float | None = None
    probability_high: float | None = None
    percentile: float | None = None
    at_stake: float | None = None
    reasons: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by."""
        return self.entity, self.entity_id


@dataclass(frozen=True)
class QueuedCase:
    """A place on the list; `inclusion_probability` is the chance that a random case had (1 for a chosen one)."""

    place: int
    candidate: Candidate
    hours: float
    selected_by: SelectedBy
    inclusion_probability: float

    @property
    def recovery_per_hour(self) -> float:
        """Expected recovery of an hour of review."""
        return self.candidate.expected_recovery / self.hours

    def as_dict(self) -> dict[str, Any]:
        """The case as JSON types."""
        c = self.candidate
        return {
            "place": self.place,
            "entity": c.entity,
            "entity_id": c.entity_id,
            "provider_id": c.provider_id,
            "violation": c.violation,
            "probability": c.probability,
            "probability_low": c.probability_low,
            "probability_high": c.probability_high,
            "percentile": c.percentile,
            "at_stake": c.at_stake,
            "expected_recovery": c.expected_recovery,
            "hours": self.hours,
            "recovery_per_hour": self.recovery_per_hour,
            "selected_by": self.selected_by,
            "inclusion_probability": self.inclusion_probability,
            "reasons": list(c.reasons),
        }


@dataclass(frozen=True)
class Queue:
    """The list of one week, and how it came about.

    `bound` is the most that any list under the same limits could be expected to recover with the hours of the chosen
    cases; `method` says whether the list is exact or greedy. `left_out` counts who was not considered, by reason;
    `others` is how many the random cases were drawn from.
    """

    as_of: datetime
    cases: tuple[QueuedCase, ...]
    hours: float
    expected_recovery: float
    bound: float
    method: str
    left_out: Mapping[str, int]
    others: int
    seed: int

    @property
    def gap(self) -> float:
        """Share of the bound that the chosen cases may fall short of it."""
        return 1 - self.expected_recovery / self.bound if self.bound > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The queue as JSON types."""
        own = {name: getattr(self, name) for name in ("hours", "expected_recovery", "bound", "gap", "method", "others")}
        head = {"as_of": self.as_of.isoformat(), "seed": self.seed, **own, "left_out": dict(self.left_out)}
        return {**head, "cases": [case.as_dict() for case in self.cases]}


def build_queue(
    candidates: Iterable[Candidate], rules: QueueRules, *, as_of: datetime, seed: int, hours: float | None = None
) -> Queue:
    """The list of a week that begins on `as_of`, with `hours` of review (default: those of the rules).

    The same candidates, in whatever order, and the same seed give the same list. Chosen and random cases stand in one
    order by expected recovery per hour, the random ones at places drawn by the seed: last, they would be left undone.
    """
    total = rules.hours_per_week if hours is None else hours
    eligible, left_out = _eligible(candidates, rules, as_of)
    generator = np.random.default_rng(seed)
    sample = _Sample.planned(eligible, rules, total, generator)
    choice = _chosen(eligible, rules, total - sample.hours)
    taken = set(choice.rows)
    others = [i for i in range(len(eligible)) if i not in taken]
    drawn, chance = _drawn(eligible, others, sample, generator)
    placed = _placed(choice.rows, drawn, generator)
    cases = tuple(
        _case(place, eligible[i], rules, None if i in taken else chance) for place, i in enumerate(placed, start=1)
    )
    return Queue(
        as_of=as_of,
        cases=cases,
        hours=sum(c.hours for c in cases),
        expected_recovery=choice.value,
        bound=choice.bound,
        method=choice.method,
        left_out=left_out,
        others=len(others),
        seed=seed,
    )


def _case(place: int, candidate: Candidate, rules: QueueRules, chance: float | None) -> QueuedCase:
    """A place on the list; without a chance it was chosen."""
    if chance is None:
        hours = rules.time.hours(candidate.entity, candidate.violation)
        return QueuedCase(place, candidate, hours, "expected_recovery", 1.0)
    return QueuedCase(place, candidate, rules.time.hours(candidate.entity), "random", chance)


def _eligible(
    candidates: Iterable[Candidate], rules: QueueRules, as_of: datetime
) -> tuple[list[Candidate], dict[str, int]]:
    """Those who may be looked at, one of each, in order of id; and how many are left out and why."""
    since, left_out = as_of - timedelta(days=rules.cool_down_days), Counter[str]()
    kept: dict[tuple[str, str], Candidate] = {}
    for candidate in candidates:
        if candidate.open:
            left_out["somebody has the case already"] += 1
        elif candidate.decided_at is not None and (candidate.entity == "claim" or candidate.decided_at >= since):
            left_out["decided before" if candidate.entity == "claim" else "decided lately"] += 1
        elif (other := kept.get(candidate.key)) is None or _rank(candidate) > _rank(other):
            left_out["named twice"] += other is not None
            kept[candidate.key] = candidate
        else:
            left_out["named twice"] += 1
    return [kept[key] for key in sorted(kept)], {why: n for why, n in left_out.items() if n}


def _rank(candidate: Candidate) -> tuple[float, float, str]:
    """Of two entries of one case the dearer counts; the rest only settles ties."""
    return candidate.expected_recovery, candidate.probability, candidate.violation or ""


def _chosen(eligible: Sequence[Candidate], rules: QueueRules, hours: float) -> Choice:
    """The rows of the most expected recovery under the limits."""
    own = [rules.time.hours(c.entity, c.violation) for c in eligible]
    # The share is one of places: as many as the hours hold of reviews of that type, the shortest where they differ.
    shortest: dict[str, float] = {}
    for candidate, needed in zip(eligible, own, strict=True):
        if candidate.violation:
            shortest[candidate.violation] = min(needed, shortest.get(candidate.violation, needed))
    most = {v: max(1, int(rules.most_of_a_violation * hours / needed)) for v, needed in shortest.items()}
    return choose(
        values=np.array([c.expected_recovery for c in eligible]),
        hours=np.array(own),
        capacity=max(hours, 0.0),
        limits=(
            Limits([c.violation for c in eligible], most),
            Limits([c.provider_id for c in eligible], rules.most_per_provider),
        ),
    )


# --- the random sample ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sample:
    """How many random cases a week has: `expected` on average, `count` this week, and the hours they take."""

    expected: float
    count: int
    hours: float

    @classmethod
    def planned(
        cls, eligible: Sequence[Candidate], rules: QueueRules, hours: float, generator: np.random.Generator
    ) -> _Sample:
        """A share of the hours in whole places; what is left of a place is drawn: the share holds on average."""
        longest = max((rules.time.hours(c.entity) for c in eligible), default=1.0)
        expected = min(max(hours, 0.0) * rules.random_share / longest, float(len(eligible)))
        count = int(expected) + int(generator.random() < expected % 1)
        # A whole place may be more than is there, where a week is shorter than a review.
        fits = int(max(hours, 0.0) / longest + 1e-9)
        return cls(expected, min(count, fits), min(count, fits) * longest)


def _drawn(
    eligible: Sequence[Candidate], others: Sequence[int], sample: _Sample, generator: np.random.Generator
) -> tuple[list[int], float]:
    """Random rows out of the others, spread over the strata, and the chance that each of the others had.

    A systematic sample of a list in which each stratum stands together in random order: every row has the same
    chance, and each stratum has its share of the sample to within one case.
    """
    count = min(sample.count, len(others))
    if not others:
        return [], 0.0
    shuffled = generator.permutation(len(others))
    ordered = sorted(shuffled.tolist(), key=lambda i: eligible[others[i]].stratum)
    step = len(others) / count if count else 0.0
    start = generator.random() * step
    drawn = [others[ordered[min(int(start + k * step), len(others) - 1)]] for k in range(count)]
    return drawn, min(sample.expected / len(others), 1.0)


def _placed(chosen: Sequence[int], drawn: Sequence[int], generator: np.random.Generator) -> list[int]:
    """The chosen in their order, with the drawn ones among them at random places."""
    total = len(chosen) + len(drawn)
    at = dict(zip(sorted(generator.choice(total, len(drawn), replace=False).tolist()), drawn, strict=True))
    rest = iter(chosen)
    return [at[i] if i in at else next(rest) for i in range(total)]


# --- settings ---------------------------------------------------------------------------------------------


def rules_of_settings(settings: Mapping[str, Any], violations: Iterable[str] = ()) -> QueueRules:
    """The rules of `[review]` in `fraud.toml`; what is not set there has its default.

    Raises:
        SpecError: a setting is not known or out of range; all of them are named at once.
    """
    own = {k: v for k, v in settings.items() if k != "minutes"}
    minutes = settings.get("minutes", {})
    faults = [*_number_faults(own, _NUMBERS, "/review"), *_minute_faults(minutes, violations)]
    if faults:
        named = "; ".join(f"{f.where}: {f.detail}" for f in faults[:5])
        raise SpecError(f"fraud.toml has {len(faults)} faults in [review]: {named}"[:500], faults)
    whole = {k: int(v) if isinstance(getattr(QueueRules, k), int) else float(v) for k, v in own.items()}
    return replace(QueueRules(**whole), time=ReviewTime({**MINUTES, **minutes}))  # type: ignore[arg-type]


def _number_faults(given: Mapping[str, Any], known: Mapping[str, tuple[float, float]], at: str) -> Iterable[Fault]:
    for name, value in given.items():
        if name not in known:
            yield Fault(f"{at}/{name}", "unknown", f"there is no such setting{nearest(name, known)}")
        elif not _is_number(value) or not known[name][0] <= value <= known[name][1]:
            low, high = known[name]
            yield Fault(f"{at}/{name}", "value", f"expected a number from {low:g} to {high:g}, found {value!r}")


def _minute_faults(minutes: object, violations: Iterable[str]) -> Iterable[Fault]:
    if not isinstance(minutes, Mapping):
        return [Fault("/review/minutes", "type", f"expected a table of minutes, found {minutes!r}")]
    known = dict.fromkeys((*MINUTES, *violations), (1.0, 100_000.0))
    return _number_faults(minutes, known, "/review/minutes")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
