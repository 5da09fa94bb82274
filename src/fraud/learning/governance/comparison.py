"""Champion and challenger side by side: on the same rows, which neither of them was fitted on.

What may be compared depends on what has happened since the two were fitted:

- *after*: enough was decided about what happened after both had been fitted. Both are judged as they are.
- *latest*: otherwise the latest months are kept apart. A version that saw outcomes of these months is fitted again
  by its own recipe on what was known at the cut; one that did not is judged as it is.
- *folds*: where the data hold no two points in time, both recipes are fitted on the same folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError
from fraud.learning.datasets.dataset import Dataset, build_dataset
from fraud.learning.datasets.features import amounts_at_stake
from fraud.learning.datasets.labels import known_labels, read_labels
from fraud.learning.datasets.splits import MIN_TEST_POSITIVES, MIN_TRAIN_POSITIVES, repeated_folds
from fraud.learning.metrics import HIGHER_IS_BETTER
from fraud.learning.model import FittedModel
from fraud.learning.spec import ModelSpec
from fraud.learning.validation.baselines import Part, Scored, boosted, peer_scores
from fraud.learning.validation.bootstrap import Interval
from fraud.learning.validation.evaluation import evaluate
from fraud.learning.validation.judging import Judgement, Period, judge
from fraud.signals.assembly import by_entity, claim_features, entity_features
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder
from fraud.signals.relations import ENTITY_KEYS

__all__ = ["JUDGED", "TOLD", "Comparison", "Difference", "compare"]

Progress = Callable[[str, float], None]
Protocol = Literal["after", "latest", "folds"]
Verdict = Literal["better", "worse", "no different", "not known"]
# What decides, in the order of the report; the others are told.
JUDGED = ("precision_at_k", "money_share_at_k", "average_precision", "calibration_error")
TOLD = ("recovery_share_at_k", "recall_at_1pct", "brier", "roc_auc")
# Measured with both brought to the share found: what share of everybody is at fault, decided rows cannot tell.
_OF_PROBABILITIES = ("calibration_error", "brier")
# Share of the positives that the latest months should hold.
_LATER_SHARE = 0.3
# Differences of refits that stem from the order of additions are no differences.
_SAME = 1e-9


@dataclass(frozen=True)
class Difference:
    """One metric of both versions on the same rows; `gain` is how much larger the challenger's is."""

    metric: str
    champion: float
    challenger: float
    gain: Interval

    @property
    def verdict(self) -> Verdict:
        """Whether the challenger is better or worse beyond chance."""
        if not np.isfinite([self.gain.value, self.gain.low, self.gain.high]).all():
            return "not known"
        up = 1 if HIGHER_IS_BETTER[self.metric] else -1
        if min(up * self.gain.low, up * self.gain.high) > _SAME:
            return "better"
        return "worse" if max(up * self.gain.low, up * self.gain.high) < -_SAME else "no different"

    def as_dict(self) -> dict[str, Any]:
        """The difference as JSON types; what is not known is None."""
        figures = {"champion": self.champion, "challenger": self.challenger, "difference": self.gain.value}
        found = figures | {"low": self.gain.low, "high": self.gain.high}
        known = {k: v if np.isfinite(v) else None for k, v in found.items()}
        return {"metric": self.metric, **known, "judged": self.metric in JUDGED, "verdict": self.verdict}


@dataclass(frozen=True)
class Comparison:
    """What was compared on which rows; `refitted` names the versions that were fitted again for it."""

    protocol: Protocol
    cut: str
    refitted: tuple[str, ...]
    rows: int
    decided: int
    positive: int
    per_week: int
    data_digest: str
    differences: tuple[Difference, ...]

    def of(self, verdict: Verdict) -> tuple[Difference, ...]:
        """The judged differences with this verdict."""
        return tuple(d for d in self.differences if d.metric in JUDGED and d.verdict == verdict)

    @property
    def harms(self) -> tuple[Difference, ...]:
        """What stands against the challenger: where it is worse beyond chance.

        A larger calibration error does not, when the Brier score is better beyond chance: that score holds the
        calibration too, and a ranking that tells nothing apart is easily calibrated.
        """
        better = {d.metric for d in self.differences if d.verdict == "better"}
        return tuple(d for d in self.of("worse") if not (d.metric == "calibration_error" and "brier" in better))

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON types."""
        own = {k: v for k, v in vars(self).items() if k not in ("differences", "refitted")}
        return own | {"refitted": list(self.refitted), "differences": [d.as_dict() for d in self.differences]}


def compare(
    folder: ClaimsFolder,
    champion: FittedModel,
    challenger: FittedModel,
    catalogue: Catalogue,
    *,
    threads: int = 2,
    progress: Progress | None = None,
) -> Comparison:
    """Both versions on the same rows of the folder, with a paired bootstrap over groups.

    Verdicts become labels by the challenger's rule, and its capacity is that of the list.

    Raises:
        InputError: the two score different kinds of entity, or the folder holds too few outcomes.
    """
    if champion.spec.entity != challenger.spec.entity:
        raise InputError(
            f"{challenger.name}: the champion scores {champion.spec.entity}s and the challenger "
            f"{challenger.spec.entity}s; the two cannot be compared."
        )
    return _Comparer(folder, catalogue, {"champion": champion, "challenger": challenger}, threads, progress).result


@dataclass(frozen=True)
class _Comparer:
    folder: ClaimsFolder
    catalogue: Catalogue
    models: Mapping[str, FittedModel]
    threads: int
    progress: Progress | None

    @property
    def spec(self) -> ModelSpec:
        return self.models["challenger"].spec

    def say(self, what: str) -> None:
        if self.progress:
            self.progress(what, 0.0)

    @property
    def result(self) -> Comparison:
        connection = connect()
        try:
            self.folder.attach(connection)
            protocol, cut = self._protocol(connection)
            if cut is None:
                return self._on_folds()
            return self._in_time(connection, protocol, cut)
        finally:
            connection.close()

    def _protocol(self, connection: duckdb.DuckDBPyConnection) -> tuple[Protocol, datetime | None]:
        decided = _decided(connection, self.spec)
        as_of = [datetime.fromisoformat(m.as_of) for m in self.models.values()]
        after = _day_after(max(as_of))
        if _enough(decided, after):
            return "after", after
        months = [m for m in decided.months if _enough(decided, m) and _enough_before(decided, m)]
        # A champion that is judged as it is says more than one that was fitted again.
        untouched = [m for m in months if m >= _day_after(datetime.fromisoformat(self.models["champion"].as_of))]
        if untouched:
            return "latest", untouched[0]
        closest = min(months, key=lambda m: abs(decided.share_after(m) - _LATER_SHARE), default=None)
        return "latest", closest

    # --- in time ------------------------------------------------------------------------------------------

    def _in_time(self, connection: duckdb.DuckDBPyConnection, protocol: Protocol, cut: datetime) -> Comparison:
        self.say("rows to judge")
        period = _period(connection, self.spec, cut)
        refitted = [n for n, m in self.models.items() if datetime.fromisoformat(m.as_of) >= cut]
        found = {}
        for name, model in self.models.items():
            if name in refitted:
                self.say(f"{name}, fitted again")
                model = self._again(model, cut)
            self.say(f"{name}, scored")
            found[name] = judge(period, self._scored(connection, model, period), self.spec.capacity.reviews_per_week)
        counts = len(period.labels), int(np.nansum(period.labels))
        return self._compared(found, protocol, f"{cut:%Y-%m-%d}", tuple(refitted), counts)

    def _again(self, model: FittedModel, cut: datetime) -> FittedModel:
        """The same recipe, fitted on what was known at the cut."""
        from fraud.learning.training import fit_model

        dataset = build_dataset(self.folder, model.spec, self.catalogue, as_of=cut)
        once = replace(model.spec, split=replace(model.spec.split, repeats=1))
        return fit_model(dataset, model.spec, evaluate(dataset, once, threads=self.threads), threads=self.threads)

    def _scored(self, connection: duckdb.DuckDBPyConnection, model: FittedModel, period: Period) -> Scored:
        """Scores of the period's rows, with the norms and peers that the model was fitted with."""
        builder = FrameBuilder(
            connection,
            self.catalogue,
            days=model.spec.window_days,
            present=self.folder.present,
            reference=model.reference,
        )
        signals = [self.catalogue[i] for i in model.signal_ids]
        if model.spec.entity == "claim":
            frame = claim_features(builder, signals, target=_JUDGED_CLAIMS)
        else:
            pairs = _pairs(period.ids, period.start)
            frame = entity_features(builder, model.spec.entity, by_entity(signals)[model.spec.entity], pairs)
        margins = model.margins(frame.select(model.names), threads=self.threads)
        return Scored(margins, model.probability(margins))

    # --- on folds -----------------------------------------------------------------------------------------

    def _on_folds(self) -> Comparison:
        self.say("features of both")
        # The challenger's labels and folds for both, or the rows would not be the same.
        specs = {n: replace(m.spec, label=self.spec.label) for n, m in self.models.items()}
        data = {n: build_dataset(self.folder, s, self.catalogue) for n, s in specs.items()}
        rows = data["challenger"].labelled
        if data["champion"].ids != data["challenger"].ids:
            raise InputError(f"{self.spec.name}: the two versions describe different rows; they cannot be compared.")
        period = _of_dataset(data["challenger"], self.spec)
        found = {}
        for name, dataset in data.items():
            self.say(f"{name}, on folds")
            found[name] = judge(period, _out_of_fold(dataset, self.spec, specs[name]), _per_week(self.spec))
        counts = len(rows), int(np.nansum(period.labels))
        return self._compared(found, "folds", "", ("champion", "challenger"), counts)

    def _compared(
        self,
        found: Mapping[str, Judgement],
        protocol: Protocol,
        cut: str,
        refitted: tuple[str, ...],
        counts: tuple[int, int],
    ) -> Comparison:
        self.say("bootstrap")
        level = {n: replace(j, probabilities=_at_share(j.probabilities, j.labels.mean())) for n, j in found.items()}
        chosen = {m: level if m in _OF_PROBABILITIES else found for m in (*JUDGED, *TOLD)}
        pairs = {m: (of["champion"], of["challenger"]) for m, of in chosen.items()}
        gains = {m: new.gain_over(old, m, self.spec.seed) for m, (old, new) in pairs.items()}
        return Comparison(
            protocol=protocol,
            cut=cut,
            refitted=refitted,
            rows=counts[0],
            decided=len(found["challenger"].labels),
            positive=counts[1],
            per_week=self.spec.capacity.reviews_per_week,
            data_digest=self.folder.digest,
            differences=tuple(Difference(m, old.figure(m), new.figure(m), gains[m]) for m, (old, new) in pairs.items()),
        )


def _at_share(probabilities: np.ndarray, share: float) -> np.ndarray:
    """The probabilities with one constant added to their log-odds, so that their mean is the share.

    They speak of everybody, and those who were looked at are riskier than everybody. If reviews choose the guilty
    and the cleared from their own kind at random, the two differ by just this constant.
    """
    clipped = np.clip(probabilities, 1e-9, 1 - 1e-9)
    odds, low, high = np.log(clipped / (1 - clipped)), -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-odds - middle))).mean() < share else (low, middle)
    return np.asarray(1 / (1 + np.exp(-odds - low)))


# --- which rows -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Decided:
    """Labels with when their rows happened (an entity is described anew at any cut) and were decided."""

    labels: np.ndarray
    happened_at: np.ndarray
    decided_at: np.ndarray

    @property
    def months(self) -> list[datetime]:
        """First days of months, from the second month with an outcome on."""
        found = np.unique(self.decided_at.astype("datetime64[M]"))[1:]
        return [m.astype("datetime64[us]").item() for m in found]

    def after(self, cut: datetime) -> np.ndarray:
        """Labels of what happened from the cut on and was decided after it."""
        day = np.datetime64(cut, "us")
        return np.asarray(self.labels[(self.happened_at >= day) & (self.decided_at >= day)])

    def before(self, cut: datetime) -> np.ndarray:
        """Labels that were decided before the cut."""
        return np.asarray(self.labels[self.decided_at < np.datetime64(cut, "us")])

    def share_after(self, cut: datetime) -> float:
        """Share of the positives that lies after the cut."""
        return float(self.after(cut).sum() / max(self.labels.sum(), 1))


def _decided(connection: duckdb.DuckDBPyConnection, spec: ModelSpec) -> _Decided:
    table = read_labels(connection, spec).table
    decided_at = table["decided_at"].to_numpy().astype("datetime64[us]")
    happened_at = decided_at
    if spec.entity == "claim":
        settled = dict(connection.execute("SELECT claim_id, settled_at FROM claims").fetchall())
        happened_at = np.array([settled[i] for i in table["entity_id"].to_pylist()], dtype="datetime64[us]")
    return _Decided(table["y"].to_numpy(), happened_at, decided_at)


def _enough(decided: _Decided, cut: datetime) -> bool:
    later = decided.after(cut)
    return bool(later.sum() >= MIN_TEST_POSITIVES and (later == 0).sum() >= MIN_TEST_POSITIVES)


def _enough_before(decided: _Decided, cut: datetime) -> bool:
    earlier = decided.before(cut)
    return bool(earlier.sum() >= MIN_TRAIN_POSITIVES and (earlier == 0).sum() >= MIN_TRAIN_POSITIVES)


def _day_after(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, moment.day) + timedelta(days=1)


_JUDGED_CLAIMS = "judged_claims"


def _period(connection: duckdb.DuckDBPyConnection, spec: ModelSpec, cut: datetime) -> Period:
    """Every row from the cut to the end of the claims, with what is known of it in the end."""
    last = max(_latest(connection, "settled_at", "claims"), cut)
    end = _latest(connection, "decided_at", "outcomes")
    if spec.entity == "claim":
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {_JUDGED_CLAIMS} AS "
            f"SELECT * FROM claims WHERE settled_at >= TIMESTAMP '{cut:%Y-%m-%d}'"
        )
        query = f"""SELECT claim_id AS id, settled_at AS happened, coalesce("{spec.split.group}", claim_id) AS who,
            fund_amount AS amount FROM {_JUDGED_CLAIMS} ORDER BY claim_id"""
        found = connection.sql(query).to_arrow_table()
        ids = np.array(found["id"].to_pylist(), dtype=object)
        groups = np.array(found["who"].to_pylist(), dtype=object)
        happened_at = found["happened"].to_numpy().astype("datetime64[us]")
        amounts = found["amount"].to_numpy().astype(np.float64)
        labels, money = _known(known_labels(connection, spec, end).table, ids, amounts)
    else:
        ids = groups = _entities(connection, spec, cut)
        happened_at = np.full(len(ids), np.datetime64(cut, "us"))
        amounts = amounts_at_stake(connection, spec.entity, _pairs(ids, cut), spec.window_days)
        labels, money = _known(known_labels(connection, spec, end, since=cut).table, ids, amounts)
    return Period(
        start=cut,
        until=_day_after(last),
        ids=ids,
        happened_at=happened_at,
        groups=groups,
        labels=labels,
        amounts=amounts,
        money=money,
        known=np.zeros(len(ids), dtype=bool),
        segments={},
        chance=np.ones(len(ids)),
    )


def _latest(connection: duckdb.DuckDBPyConnection, column: str, table: str) -> datetime:
    latest: datetime = connection.execute(f"SELECT max({column}) FROM {table}").fetchall()[0][0]
    return latest


def _entities(connection: duckdb.DuckDBPyConnection, spec: ModelSpec, cut: datetime) -> np.ndarray:
    """Whoever had a claim in the window before the cut, in order of id."""
    key = ENTITY_KEYS[spec.entity]
    query = f"""SELECT DISTINCT "{key}" AS id FROM claims WHERE "{key}" IS NOT NULL AND settled_at < $1
        AND settled_at >= $1 - to_days(CAST($2 AS INTEGER)) ORDER BY ALL"""
    found = connection.execute(query, [cut, spec.window_days]).fetchall()
    return np.array([row[0] for row in found], dtype=object)


def _pairs(ids: np.ndarray, day: datetime) -> pa.Table:
    when = pa.array([day] * len(ids), type=pa.timestamp("us"))
    return pa.table({"entity_id": pa.array(list(ids), type=pa.string()), "snapshot": when})


def _known(table: pa.Table, ids: np.ndarray, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of these rows, and the money of each: what its outcome confirmed, or else what was paid."""
    columns = (table[c].to_pylist() for c in ("entity_id", "y", "amount"))
    found = {i: (y, amount) for i, y, amount in zip(*columns, strict=True)}
    labels = np.array([found.get(i, (np.nan, None))[0] for i in ids], dtype=np.float64)
    money = [found.get(i, (None, None))[1] for i in ids]
    return labels, np.array([a if m is None else m for m, a in zip(money, amounts, strict=True)], dtype=np.float64)


# --- folds ----------------------------------------------------------------------------------------------


def _of_dataset(dataset: Dataset, spec: ModelSpec) -> Period:
    """The labelled rows as one list of one day: they lie at no two points in time."""
    rows = dataset.labelled
    day = datetime(dataset.as_of.year, dataset.as_of.month, dataset.as_of.day)
    return Period(
        start=day,
        until=day + timedelta(weeks=_weeks(spec)),
        ids=np.array(dataset.ids, dtype=object)[rows],
        happened_at=np.full(len(rows), np.datetime64(day, "us")),
        groups=dataset.groups[rows],
        labels=dataset.labels[rows],
        amounts=dataset.amounts[rows],
        money=dataset.amounts[rows],
        known=np.zeros(len(rows), dtype=bool),
        segments={},
        chance=np.ones(len(rows)),
    )


def _weeks(spec: ModelSpec) -> int:
    return max(1, round(spec.capacity.k / spec.capacity.reviews_per_week))


def _per_week(spec: ModelSpec) -> int:
    return max(1, round(spec.capacity.k / _weeks(spec)))


def _out_of_fold(dataset: Dataset, shared: ModelSpec, own: ModelSpec) -> Scored:
    """The recipe's scores of every labelled row, each from a fit that has not seen its group."""
    rows, peers = dataset.labelled, peer_scores(dataset.values, dataset.features)
    labels, groups = dataset.labels[rows], dataset.groups[rows]
    scores, probabilities = np.empty(len(rows)), np.empty(len(rows))
    for fold in repeated_folds(labels, groups, shared.split.folds, 1, shared.seed):
        train, test = rows[fold.train], rows[fold.test]
        part = Part(
            spec=own,
            features=dataset.features,
            train=dataset.values[train],
            labels=labels[fold.train],
            groups=groups[fold.train],
            test=dataset.values[test],
            train_peers=peers[train],
            test_peers=peers[test],
            seed=own.seed + fold.number,
        )
        found = boosted(part)
        scores[fold.test], probabilities[fold.test] = found.scores, found.probabilities
    return Scored(scores, probabilities)
