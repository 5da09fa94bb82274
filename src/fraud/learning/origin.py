"""What a model was fitted on, in few figures: enough to say later whether the claims are still like that.

No row of anybody is kept: of each feature 21 quantiles, the shares between its deciles and how often it was missing;
of the labels how many were positive in each band of scores, and how long they had been waited for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.learning.calibration.recovery import learn_recovery

if TYPE_CHECKING:
    from fraud.learning.datasets.dataset import Dataset

__all__ = [
    "FILE",
    "POINTS",
    "Origin",
    "Spread",
    "bands_of",
    "kept_of",
    "names_of_bands",
    "origin_of",
    "read_small",
    "shares_between",
]

FILE = "origin.parquet"
POINTS = np.linspace(0, 1, 21)
# Percentiles between which decided rows are counted: half of those who are looked at stand above the last ones.
BANDS = (0.0, 50.0, 80.0, 90.0, 95.0, 98.0, 99.0, 100.0)
_DAY = np.timedelta64(24 * 3600 * 1_000_000, "us")
_FACTS = b"fraud.origin"


@dataclass(frozen=True, eq=False)
class Spread:
    """How the values of one feature were spread: `quantiles` at `POINTS`, `shares` up to each of `edges` and above.

    `edges` are the deciles without repetition, so that a feature of few values has few of them.
    """

    quantiles: np.ndarray
    shares: np.ndarray
    missing: float

    @property
    def edges(self) -> np.ndarray:
        """Upper bounds of all parts but the last."""
        return edges_of(self.quantiles)


@dataclass(frozen=True, eq=False)
class Origin:
    """What a model was fitted on: `spreads` by feature, `rows` with those that a drawn row stands for.

    `bands` has (decided, positive) of each band of percentiles; `delay` are quantiles of the days from a row to its
    decision.
    """

    since: str
    until: str
    rows: float
    used: int
    spreads: dict[str, Spread]
    bands: tuple[tuple[int, int], ...]
    delay: tuple[float, ...]

    @property
    def weeks(self) -> float:
        """Length of the period, at least one week."""
        return max(1.0, float((np.datetime64(self.until) - np.datetime64(self.since)) / np.timedelta64(7, "D")))

    def write(self, path: Path) -> None:
        """Write it as one small file."""
        facts = {n: getattr(self, n) for n in ("since", "until", "rows", "used", "bands", "delay")}
        table = pa.table(
            {
                "feature": list(self.spreads),
                "missing": [s.missing for s in self.spreads.values()],
                "quantiles": pa.array([s.quantiles for s in self.spreads.values()], pa.list_(pa.float64())),
                "shares": pa.array([s.shares for s in self.spreads.values()], pa.list_(pa.float64())),
            }
        )
        pq.write_table(table.replace_schema_metadata({_FACTS: json.dumps(facts)}), path, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> Origin | None:
        """What `write` wrote; None where a model was fitted before there was such a file."""
        if not path.is_file():
            return None
        table = read_small(path)
        facts = json.loads(table.schema.metadata[_FACTS])
        spreads = {
            r["feature"]: Spread(np.array(r["quantiles"]), np.array(r["shares"]), r["missing"])
            for r in table.to_pylist()
        }
        bands = tuple((int(n), int(p)) for n, p in facts.pop("bands"))
        return cls(spreads=spreads, bands=bands, delay=tuple(facts.pop("delay")), **facts)


def read_small(path: Path) -> pa.Table:
    """The table of one file, without what pyarrow loads for folders of them: Pandas, and a tenth of a start."""
    with pq.ParquetFile(path) as file:
        return file.read()


def kept_of(dataset: Dataset) -> dict[str, Any]:
    """What a model keeps of the dataset that it was fitted on, by the names of its fields."""
    return {
        "names": dataset.names,
        "signal_ids": tuple(sorted({f.signal for f in dataset.features})),
        "monotone": tuple(f.sign for f in dataset.features),
        "reference": dataset.reference,
        "as_of": dataset.as_of.isoformat(),
        "data_digest": dataset.data_digest,
        "catalogue_digest": dataset.catalogue_digest,
        "signal_digests": dataset.signal_digests,
        "skipped": dataset.skipped,
        "recovery": learn_recovery(dataset.amounts, dataset.recovered, dataset.labels),
    }


def origin_of(dataset: Dataset, percentiles: np.ndarray) -> Origin:
    """The origin of a model of this dataset; `percentiles` are places of all rows by margins that are not fitted."""
    weights = dataset.weights
    spreads = {n: _spread(dataset.values[:, i], weights) for i, n in enumerate(dataset.names)}
    decided = dataset.labelled
    bands = bands_of(percentiles[decided], dataset.labels[decided])
    days = (dataset.decided_at[decided] - dataset.happened_at[decided]) / _DAY
    return Origin(
        since=str(dataset.happened_at.min().astype("datetime64[s]")),
        until=str(dataset.happened_at.max().astype("datetime64[s]")),
        rows=float(weights.sum()),
        used=len(dataset),
        spreads=spreads,
        bands=tuple(bands),
        delay=tuple(np.quantile(days, POINTS).tolist()) if len(days) else (),
    )


def bands_of(percentiles: np.ndarray, labels: np.ndarray) -> list[tuple[int, int]]:
    """Decided and positive rows of each band of percentiles."""
    place = np.clip(np.searchsorted(BANDS, percentiles, side="right") - 1, 0, len(BANDS) - 2)
    known = np.isfinite(labels)
    counts = (
        np.bincount(place[known], minlength=len(BANDS) - 1),
        np.bincount(place[labels == 1], minlength=len(BANDS) - 1),
    )
    return [(int(n), int(p)) for n, p in zip(*counts, strict=True)]


def _spread(values: np.ndarray, weights: np.ndarray) -> Spread:
    known = np.isfinite(values)
    missing = 1 - float(weights[known].sum() / weights.sum())
    if not known.any():
        return Spread(np.full(len(POINTS), np.nan), np.ones(1), missing)
    found, counts = values[known], weights[known]
    quantiles = np.quantile(found, POINTS, weights=counts, method="inverted_cdf")
    return Spread(quantiles, shares_between(edges_of(quantiles), found, counts), missing)


def edges_of(quantiles: np.ndarray) -> np.ndarray:
    """The inner deciles without repetition; none where nothing was known."""
    inner = quantiles[2:-1:2]
    return np.unique(inner[np.isfinite(inner)])


def shares_between(edges: np.ndarray, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Share of the values up to each edge, and above the last."""
    place = np.searchsorted(edges, values, side="left")
    found = np.bincount(place, weights, minlength=len(edges) + 1)
    return np.asarray(found / max(found.sum(), 1e-12))


def names_of_bands() -> Sequence[str]:
    """The bands as people read them, from the lowest."""
    return [f"{a:g}–{b:g}" for a, b in zip(BANDS[:-1], BANDS[1:], strict=True)]
