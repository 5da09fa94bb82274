"""Series by week of every provider, and the weeks in which it did more than its own past and its region explain.

For each provider there are series of claims by disease (ICD category), of all claims, of what the claims of patients
from elsewhere cost, and of patients never seen there before. A week is compared with the median of the
eight weeks before it, times what the same series did in that week in the rest of the region: a flu season or an
outbreak raises everybody's count and is no surge of anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

from fraud.signals.prepared import PREPARED

__all__ = ["BASELINE_WEEKS", "MIN_CLAIMS", "SLACK", "SurgeSource", "deviations"]

BASELINE_WEEKS = 8
# A series with fewer claims in the window has no usual level to leave.
MIN_CLAIMS = 26
# What the region did counts as if so many claims a week, at their usual level, had been seen besides.
REGION_PRIOR = 10.0
# The allowance of a CUSUM: half a standard deviation, for shifts of one standard deviation.
SLACK = 0.5
# A week further out than this adds no more to a CUSUM: one week is not a shift.
MOST = 5.0
# Weeks less far out than this are not worth a row.
NOTABLE = 2.0
_EPOCH_MONDAY = 3


@dataclass(frozen=True)
class _Series:
    """Counts by week, sorted by series: `owner` and `week` run over the rows, the others over the series."""

    owner: np.ndarray
    week: np.ndarray
    count: np.ndarray
    amount: np.ndarray
    square: np.ndarray
    provider: Sequence[str]
    kind: Sequence[str]
    code: Sequence[str]
    shared: np.ndarray


class SurgeSource:
    """Weekly series of a connection's providers, and from them the table `surges`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, entity: str) -> None:
        self.entity = entity
        columns = {row[0] for row in connection.execute("DESCRIBE claims").fetchall()}
        area = "coalesce(c.out_of_area, 'none') <> 'none'" if "out_of_area" in columns else "false"
        self.series = _read(connection.sql(_WEEKLY.format(area=area)).to_arrow_table())

    def table(self, connection: duckdb.DuckDBPyConnection, snapshot: datetime, days: int) -> pa.Table:
        """Notable weeks of the whole weeks in the window before a snapshot."""
        s = self.series
        day = np.datetime64(snapshot, "D").astype(np.int64)
        # The last week that had ended by the snapshot, and the weeks before it that a window and a baseline need.
        last = (int(day) + _EPOCH_MONDAY) // 7 - 1
        first = last - days // 7 - BASELINE_WEEKS + 1
        weeks = last - first + 1
        inside = (s.week >= first) & (s.week <= last)
        usual = inside & (s.week > first + BASELINE_WEEKS - 1)
        often = np.bincount(s.owner[usual], weights=s.count[usual], minlength=len(s.code)) >= MIN_CLAIMS
        kept = np.flatnonzero(often)
        own = _dense(s.owner, s.week - first, s.amount, inside, len(s.code), weeks)
        region = _dense(s.shared[s.owner], s.week - first, s.amount, inside, int(s.shared.max(initial=-1)) + 1, weeks)
        # Money is counted in claims of the size that the series usually has, so that its chance spread is known.
        size, unrest = (v[kept, None] for v in _sizes(s, inside, len(s.code)))
        own, around = own[kept] / size, region[s.shared[kept]] / size
        observed, expected, z = deviations(own, around - own, unrest)
        # A house that has just opened, or whose data have just begun, has no past to leave.
        begun = _first_weeks(s, last)[kept, None] - first
        z = np.where(np.arange(BASELINE_WEEKS, weeks) >= begun + BASELINE_WEEKS, z, 0.0)
        return _rows(s, kept, observed, expected, z, first + BASELINE_WEEKS, snapshot)


def deviations(
    own: np.ndarray, others: np.ndarray, unrest: np.ndarray | float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed and expected figures and robust deviations of series × weeks, without the weeks of the baseline.

    `own` are the counts of a provider, `others` those of the rest of its region. The spread is at least that
    of a count of the expected size; `unrest` is how much more than a count the figure varies by chance.

    >>> own, others = np.full((1, 9), 10.0), np.full((1, 9), 100.0)
    >>> own[0, 8] = others[0, 8] = 0
    >>> [float(x.round(1)[0, 0]) for x in deviations(own, others)]
    [0.0, 0.9, -0.9]
    """
    size = BASELINE_WEEKS
    if own.shape[1] <= size:
        nothing = np.zeros((len(own), 0))
        return nothing, nothing, nothing
    before = sliding_window_view(own, size, axis=1)[:, :-1]
    level = np.median(before, axis=2)
    spread = 1.4826 * np.median(np.abs(before - level[:, :, None]), axis=2)
    around = np.median(sliding_window_view(others, size, axis=1)[:, :-1], axis=2)
    season = (others[:, size:] + REGION_PRIOR) / (around + REGION_PRIOR)
    expected = level * season
    z = (own[:, size:] - expected) / np.maximum(spread, np.sqrt(np.maximum(expected, 1.0) * unrest))
    return own[:, size:], expected, z


def _read(rows: pa.Table) -> _Series:
    keys = list(zip(*(rows[n].to_pylist() for n in ("provider_id", "kind", "code")), strict=True))
    names = sorted(set(keys))
    number = {key: i for i, key in enumerate(names)}
    regions = dict(zip(rows["provider_id"].to_pylist(), rows["region"].to_pylist(), strict=True))
    around = [(regions[provider], kind, code) for provider, kind, code in names]
    shared = {key: i for i, key in enumerate(sorted(set(around)))}
    provider, kind, code = zip(*names, strict=True) if names else ((), (), ())
    return _Series(
        np.array([number[key] for key in keys], dtype=np.int64),
        rows["week"].to_numpy().astype(np.int64),
        rows["count"].to_numpy().astype(np.float64),
        rows["amount"].to_numpy().astype(np.float64),
        rows["square"].to_numpy().astype(np.float64),
        provider,
        kind,
        code,
        np.array([shared[key] for key in around], dtype=np.int64),
    )


def _dense(
    owner: np.ndarray,
    week: np.ndarray,
    count: np.ndarray,
    inside: np.ndarray,
    size: int,
    weeks: int,
) -> np.ndarray:
    """Series × weeks, 0 where nothing was counted."""
    at = owner[inside] * weeks + week[inside]
    return np.bincount(at, weights=count[inside], minlength=size * weeks).reshape(size, weeks)


def _sizes(s: _Series, inside: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of what a claim adds to each series, and its mean square over the squared mean.

    The variance of a sum of random amounts over a random number of claims is the expected number times the mean
    square (a compound Poisson sum); for plain counts both figures are 1.
    """
    sums = (np.bincount(s.owner[inside], weights=w[inside], minlength=size) for w in (s.count, s.amount, s.square))
    count, amount, square = sums
    known = (count > 0) & (amount > 0)
    amount, square, count = (np.where(known, v, 1.0) for v in (amount, square, count))
    return amount / count, square * count / amount**2


def _first_weeks(s: _Series, last: int) -> np.ndarray:
    """For each series, the first week in which its provider had a claim."""
    names = {name: i for i, name in enumerate(dict.fromkeys(s.provider))}
    house = np.array([names[name] for name in s.provider], dtype=np.int64)
    first = np.full(len(names), last + 1)
    np.minimum.at(first, house[s.owner], s.week)
    return np.asarray(first[house])


def _cusum(z: np.ndarray) -> np.ndarray:
    """Upper cumulative sums of series × weeks, from 0 before the first week."""
    found = np.zeros_like(z)
    level = np.zeros(len(z))
    for week in range(z.shape[1]):
        level = np.maximum(level + np.minimum(z[:, week], MOST) - SLACK, 0.0)
        found[:, week] = level
    return found


def _rows(
    s: _Series,
    kept: np.ndarray,
    observed: np.ndarray,
    expected: np.ndarray,
    z: np.ndarray,
    first: int,
    snapshot: datetime,
) -> pa.Table:
    cusum = _cusum(z)
    row, column = np.nonzero((z >= NOTABLE) | (cusum >= NOTABLE))
    monday = (first + column) * 7 - _EPOCH_MONDAY
    today = int(np.datetime64(snapshot, "D").astype(np.int64))
    which = kept[row]
    columns: dict[str, object] = {
        "entity_id": [s.provider[i] for i in which],
        "snapshot": [snapshot] * len(which),
        "series": [s.kind[i] for i in which],
        "code": [s.code[i] for i in which],
        "week": monday.astype("datetime64[D]"),
        "days_ago": today - monday,
        "observed": observed[row, column],
        "expected": expected[row, column],
        "deviation": z[row, column],
        "cusum": cusum[row, column],
    }
    types = {
        "string": pa.string(),
        "timestamp(6)": pa.timestamp("us"),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "date": pa.date32(),
    }
    return pa.table({n: pa.array(columns[n], types[t]) for n, t in PREPARED["surges"].types.items()})


# Weeks run from Monday. A patient is new on the first claim that the provider ever settled for them.
_WEEKLY = """
    WITH seen AS (
        SELECT c.provider_id, coalesce(p.region, '?') AS region, substr(c.primary_diagnosis, 1, 3) AS disease,
            (date_diff('day', DATE '1970-01-01', c.settled_at::DATE) + 3) // 7 AS week, {area} AS away,
            c.total_amount AS amount,
            row_number() OVER (PARTITION BY c.provider_id, c.patient_id ORDER BY c.settled_at, c.claim_id) = 1 AS new
        FROM claims c LEFT JOIN providers p ON p.provider_id = c.provider_id
        WHERE c.settled_at IS NOT NULL)
    SELECT provider_id, region, 'disease' AS kind, disease AS code, week, count(*) AS count,
        count(*)::DOUBLE AS amount, count(*)::DOUBLE AS square
    FROM seen WHERE disease IS NOT NULL GROUP BY ALL
    UNION ALL
    SELECT provider_id, region, 'claims', '', week, count(*), count(*), count(*) FROM seen GROUP BY ALL
    UNION ALL
    SELECT provider_id, region, 'new_patients', '', week, count(*), count(*), count(*)
    FROM seen WHERE new GROUP BY ALL
    UNION ALL
    SELECT provider_id, region, 'out_of_area', '', week, count(*), sum(amount), sum(amount * amount)
    FROM seen WHERE away GROUP BY ALL
    ORDER BY ALL"""
