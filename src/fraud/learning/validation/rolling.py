"""Running a backtest: at each cut fit on what was known, and score what came after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import numpy as np

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError, nearest
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.datasets.propensity import Treated, compare_treatments, investigation_chance
from fraud.learning.datasets.splits import MIN_TEST_POSITIVES, MIN_TRAIN_POSITIVES
from fraud.learning.metrics import roc_auc
from fraud.learning.spec import ModelSpec
from fraud.learning.validation import baselines
from fraud.learning.validation.ablation import ABLATIONS, kept_columns
from fraud.learning.validation.backtest import APART, OLDER, Backtest, Cut
from fraud.learning.validation.baselines import Part, Scored, margins_of
from fraud.learning.validation.calibrating import calibrate
from fraud.learning.validation.curve import SHARES, nested_rows
from fraud.learning.validation.evaluation import CONTENDERS, MODEL, part_of, single_feature_ranking
from fraud.learning.validation.judging import Period
from fraud.signals.catalogue import Catalogue

__all__ = ["History", "backtest_folder", "choose_cuts", "run_backtest"]

Progress = Callable[[str, float], None]
_APART_FOLDS = 3
MONTHS = {"month": 1, "quarter": 3, "half-year": 6}


class History(Protocol):
    """Datasets as they were on a day; `fraud.learning.datasets.timeline.Timeline` is one."""

    def training(self, cut: datetime) -> Dataset:
        """Rows that happened before the cut, with the labels decided before it."""
        ...

    def test(self, cut: datetime, until: datetime) -> Dataset:
        """Rows that happened from the cut on, with the labels known in the end."""
        ...


def backtest_folder(
    folder: ClaimsFolder,
    spec: ModelSpec,
    catalogue: Catalogue,
    *,
    cuts: int = 4,
    every: str = "quarter",
    thorough: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Backtest:
    """The backtest of a spec on a folder of claims, over the last `cuts` cuts.

    Raises:
        InputError: the claims are too short, no cut leaves enough labels on both sides, or the model has no labels.
        SpecError: the spec names signals that do not exist.
    """
    from fraud.learning.datasets.timeline import build_timeline

    if spec.kind == "novelty":
        raise InputError(
            f"{spec.name} learns from no label, and a backtest judges by labels alone. Whether its list is stable and "
            f"its volume sane is measured by each training: fraud train {spec.name} --claims DIR"
        )
    days, until = choose_cuts(*_period_of(folder), cuts, every)
    history = build_timeline(folder, spec, catalogue, cuts=days, until=until, progress=progress)
    rules = frozenset(s.id for s in catalogue.signals.values() if s.limit is not None)
    return run_backtest(history, spec, days, until, rules=rules, thorough=thorough, threads=threads, progress=progress)


def _period_of(folder: ClaimsFolder) -> tuple[datetime, datetime]:
    """The first and the last settlement."""
    connection = connect(threads=1)
    try:
        folder.attach(connection)
        found = connection.execute("SELECT min(settled_at), max(settled_at) FROM claims").fetchone()
    finally:
        connection.close()
    if not found or found[0] is None:
        raise InputError(f"{folder.path.name}: there are no settled claims to go back to.")
    return found[0], found[1]


def choose_cuts(first: datetime, last: datetime, count: int, every: str) -> tuple[tuple[datetime, ...], datetime]:
    """The last `count` cuts, each the first of a month, and the end of the last period.

    `first` and `last` are the first and the last day of the data. The last period ends with the last whole month;
    no cut lies in the first third of the data, which is left to be fitted on.

    Raises:
        InputError: the data are too short for a single period.
    """
    if every not in MONTHS:
        raise InputError(f"{every!r} is no step between cuts{nearest(every, MONTHS)}; there are {', '.join(MONTHS)}.")
    until = _first_of_month(last, 0)
    # The day after the last claim may be the first of a month: then that month is whole.
    until = _first_of_month(last, 1) if (last + timedelta(days=1)).day == 1 else until
    cuts = [_first_of_month(until, -MONTHS[every] * i) for i in range(count, 0, -1)]
    kept = tuple(c for c in cuts if c - first >= (until - first) / 3) or cuts[-1:]
    if kept[0] <= first:
        raise InputError(
            f"the claims are of {first:%Y-%m-%d} to {last:%Y-%m-%d}, too short for periods of a {every}; "
            "choose a shorter step, or take more claims."
        )
    return tuple(kept), until


def _first_of_month(day: datetime, months: int) -> datetime:
    number = day.year * 12 + day.month - 1 + months
    return datetime(number // 12, number % 12 + 1, 1)


def run_backtest(
    history: History,
    spec: ModelSpec,
    cuts: Sequence[datetime],
    until: datetime,
    *,
    rules: frozenset[str] = frozenset(),
    thorough: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Backtest:
    """The backtest over `cuts`; each period ends at the next cut, the last at `until`.

    `rules` are the ids of signals with a limit. Without `thorough` there are no ablations, no learning curve and no
    comparison of treatments.

    Raises:
        InputError: no cut leaves enough labels on both sides.
    """
    runner = _Runner(spec, rules, thorough, threads, progress or (lambda _name, _done: None), len(cuts))
    found: list[Cut] = []
    left_out: list[str] = []
    previous: Part | None = None
    ends = [*cuts[1:], until]
    for number, (at, end) in enumerate(zip(cuts, ends, strict=True)):
        training, test = history.training(at), history.test(at, end)
        why = _too_few(training, test, at)
        if why:
            left_out.append(why)
            continue
        part = _part(training, test, spec, spec.seed + 1000 * number)
        found.append(runner.cut(number, (at, end), training, test, part, previous))
        # Its own test rows have been scored; they would only fill the memory.
        previous = replace(part, test=part.test[:0], test_peers=part.test_peers[:0])
    if not found:
        hint = "Take longer periods (--every half-year), or add outcomes."
        raise InputError(f"{spec.name}: no cut can be judged. {'; '.join(left_out)}."[:430] + f" {hint}")
    absent = {a: why for a in ABLATIONS if thorough and (why := kept_columns(a, training.features, rules)[1])}
    digests = training.data_digest, training.catalogue_digest
    return Backtest(spec, tuple(found), tuple(left_out), absent, *digests, _treatments(training, spec, thorough))


def _treatments(training: Dataset, spec: ModelSpec, thorough: bool) -> tuple[Treated, ...]:
    """What each use of rows that nobody looked at is worth among the rows before the last cut."""
    if not thorough or not len(training.plain):
        return ()
    return compare_treatments(training, spec.parameters, k=spec.capacity.k)


def _too_few(training: Dataset, test: Dataset, at: datetime) -> str:
    """Why a cut cannot be judged; empty when it can."""
    fitted, judged = training.labels, test.labels
    needs = {
        f"{MIN_TRAIN_POSITIVES} positives decided before it": np.nansum(fitted) >= MIN_TRAIN_POSITIVES,
        "a negative decided before it": (fitted == 0).any(),
        f"{MIN_TEST_POSITIVES} positives after it": np.nansum(judged) >= MIN_TEST_POSITIVES,
        "a negative after it": (judged == 0).any(),
    }
    missing = [need for need, holds in needs.items() if not holds]
    found = f"found {np.nansum(fitted):.0f} positives before and {np.nansum(judged):.0f} after"
    return f"the cut {at:%Y-%m-%d} lacks {' and '.join(missing)} ({found})" if missing else ""


def _part(training: Dataset, test: Dataset, spec: ModelSpec, seed: int) -> Part:
    before, after = (baselines.peer_scores(d.values, d.features) for d in (training, test))
    return part_of(training, before, test.values, after, spec, seed)


@dataclass(frozen=True)
class _Runner:
    """What all cuts share."""

    spec: ModelSpec
    rules: frozenset[str]
    thorough: bool
    threads: int
    say: Progress
    count: int

    def cut(
        self,
        number: int,
        ends: tuple[datetime, datetime],
        training: Dataset,
        test: Dataset,
        part: Part,
        previous: Part | None,
    ) -> Cut:
        tasks = dict(self._tasks(part, training, test, previous))
        scored = dict(zip(tasks, self._run(number, tasks), strict=True))
        shares = {s: (int(n), scored.pop(key)) for s, key, n in self._shares(part) if key in scored}
        at, until = ends
        return Cut(
            at=at,
            until=until,
            fitted=len(part.labels),
            labels=len(part.known),
            positives=int(part.labels[part.known].sum()),
            period=_period(training, test, at, until),
            scored=scored,
            curve=shares,
            decided=frozenset(training.ids[i] for i in training.labelled),
            singles=dict(single_feature_ranking(test)),
        )

    def _run(self, number: int, tasks: Mapping[str, Callable[[], Scored]]) -> list[Scored]:
        done = 0

        def one(task: Callable[[], Scored]) -> Scored:
            nonlocal done
            found = task()
            done += 1
            self.say("backtest", (number + done / len(tasks)) / self.count)
            return found

        with ThreadPoolExecutor(max_workers=max(1, self.threads)) as pool:
            return list(pool.map(one, tasks.values()))

    def _tasks(
        self, part: Part, training: Dataset, test: Dataset, previous: Part | None
    ) -> Iterator[tuple[str, Callable[[], Scored]]]:
        yield MODEL, partial(_as_in_service, part, training)
        yield from ((name, partial(contender, part)) for name, contender in CONTENDERS.items() if name != MODEL)
        yield APART, partial(_apart, part, test.groups)
        if previous is not None:
            # Yesterday's model, fitted again: it would be the same, and keeping it would cost as much memory.
            yield OLDER, partial(_ranked, replace(previous, test=part.test))
        if self.thorough:
            for name in ABLATIONS:
                columns, why = kept_columns(name, part.features, self.rules)
                if not why:
                    yield name, partial(_without, part, columns)
            for share, key, _ in self._shares(part):
                yield key, partial(_at_share, part, share)

    def _shares(self, part: Part) -> Iterator[tuple[float, str, int]]:
        """Each share of the labels with the name of its task and how many labels it is."""
        for share in SHARES:
            yield share, f"curve {share:g}", len(_labels_of(part, share))


def _as_in_service(part: Part, training: Dataset) -> Scored:
    """The model as it would be put into service: fitted on all that was known, calibrated for everybody."""
    made = calibrate(training, part.spec, threads=1)
    margins, rows = margins_of(part), training.labelled
    inside = roc_auc(training.labels[rows], made.margins[rows])
    return Scored(margins, made.calibration.probability(margins), inside)


def _ranked(part: Part, bags: int | None = None) -> Scored:
    """Margins of the part, with uncalibrated probabilities: for figures of ranking only."""
    margins = margins_of(part, bags)
    return Scored(margins, np.full(len(margins), np.nan))


def _without(part: Part, kept: Sequence[int]) -> Scored:
    return _ranked(part.keeping(kept))


def _at_share(part: Part, share: float) -> Scored:
    return _ranked(_with_labels(part, share), bags=1)


def _apart(part: Part, test_groups: np.ndarray) -> Scored:
    """Margins of each test row from a fit that has not seen its group."""
    groups = np.concatenate([part.groups, test_groups])
    _, member = np.unique(groups.astype(str), return_inverse=True)
    fold = np.random.default_rng(part.seed).integers(_APART_FOLDS, size=member.max() + 1)[member]
    ours, theirs = fold[: len(part.groups)], fold[len(part.groups) :]
    margins = np.full(len(part.test), np.nan)
    for k in range(_APART_FOLDS):
        rows, scored = np.flatnonzero(ours != k), np.flatnonzero(theirs == k)
        fitted = replace(part.fitted_on(rows), test=part.test[scored])
        if len(scored) and 0 < fitted.labels[fitted.known].sum() < len(fitted.known):
            margins[scored] = margins_of(fitted, bags=1)
    return Scored(margins, np.full(len(margins), np.nan))


def _with_labels(part: Part, share: float) -> Part:
    """The part with a share of its labels; rows that nobody looked at all stay."""
    others = np.flatnonzero(~part.decided) if part.decided is not None else np.array([], dtype=int)
    return part.fitted_on(np.sort(np.concatenate([_labels_of(part, share), others])))


def _labels_of(part: Part, share: float) -> np.ndarray:
    """Positions of a share of the labelled rows."""
    known = part.known
    return np.asarray(known[nested_rows(part.labels[known], part.groups[known], share, part.seed)])


def _period(training: Dataset, test: Dataset, at: datetime, until: datetime) -> Period:
    fitted = np.unique(training.groups[training.labelled].astype(str))
    recovered = np.where(np.isfinite(test.recovered), test.recovered, test.amounts)
    return Period(
        start=at,
        until=until,
        ids=np.array(test.ids, dtype=object),
        happened_at=test.happened_at,
        groups=test.groups,
        labels=test.labels,
        amounts=test.amounts,
        money=recovered,
        known=np.isin(test.groups.astype(str), fitted),
        segments=test.segments,
        chance=investigation_chance(test),
    )
