"""Who comes with whom: ties between patients that chance does not explain, and the groups they make.

Two patients are tied when they began care at the same provider on the same days more often than two patients
with their habits would by chance. The expectation counts, for each provider and day of the week, the visits of
both and the days on which the provider was open; so the patients of one dialysis shift, who come every Monday,
Wednesday and Friday, expect to meet, and are not tied. A day on which a crowd comes ties nobody.

Everything is sorted by id before it is counted, so that the order of rows changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import duckdb
import numpy as np
import pyarrow as pa
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from fraud.signals.prepared import PREPARED

__all__ = ["CROWD", "MIN_JOINT_DAYS", "MIN_SURPRISE", "RING_CORE", "JointStaySource", "TieSource"]

# On a day with more patients than this, two of them meet by chance; it also bounds the number of pairs.
CROWD = 200
# Fewer joint days than this are what neighbours have.
MIN_JOINT_DAYS = 3
# Natural logarithm of how unlikely the joint days of a tie are by chance: 1 in 3,000 at most. Single false ties
# remain among millions of pairs; they do not make groups in which everybody knows several others.
MIN_SURPRISE = float(np.log(3000.0))
# Everybody in a ring is tied to at least so many others of it: a couple or a family of three is none.
RING_CORE = 3
# A visit is made in company when the ring is there with at least so many of its members.
COMPANY = 3
# Two admissions at most so many days apart are joint; a pair needs so many of them.
STAY_GAP_DAYS = 2
MIN_JOINT_STAYS = 2
# Patients whose pairs are counted at once: bounds the memory.
_BLOCK = 16_384


# What stands for an id that a claim does not tell: no id is empty.
UNKNOWN = ""


class _Coded:
    """A column of ids as numbers in the order of the ids."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.fill_null(UNKNOWN).combine_chunks().dictionary_encode()
        names = np.array(encoded.dictionary.to_pylist(), dtype=object)
        order = np.argsort(names.astype(str), kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        self.names = names[order]
        self.codes = rank[encoded.indices.to_numpy()] if len(names) else np.zeros(0, np.int64)


@dataclass(frozen=True)
class Ties:
    """The graph of one snapshot: edges between patients, and what each patient is in it.

    `first` < `second` are positions of patients; the other edge columns run beside them. `core` and `group` run
    over all patients; `group` is −1 for whoever is tied to nobody.
    """

    first: np.ndarray
    second: np.ndarray
    joint_days: np.ndarray
    joint_providers: np.ndarray
    expected_days: np.ndarray
    core: np.ndarray
    group: np.ndarray

    @property
    def ring(self) -> np.ndarray:
        """The group of each patient who is one of a ring, else −1."""
        return np.where(self.core >= RING_CORE, self.group, -1)


@dataclass(frozen=True)
class _Visits:
    """Visits of one window: patient, provider and day, and the provider's day as one number; arrays run in step."""

    patient: np.ndarray
    provider: np.ndarray
    day: np.ndarray
    party: np.ndarray
    place: np.ndarray
    patients: int

    @cached_property
    def quiet(self) -> np.ndarray:
        """Whether no crowd came on the provider's day."""
        return np.asarray(np.bincount(self.place)[self.place] <= CROWD) if len(self.place) else self.place > 0


class TieSource:
    """Visits of a connection, and from them the tables `ties` (patients) and `rings` (providers, physicians)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, entity: str) -> None:
        self.entity = entity
        party = "physician_id" if entity == "physician" else "provider_id"
        query = f"""
            SELECT patient_id, provider_id, "{party}" AS party, admitted_at::DATE AS day, min(settled_at) AS settled
            FROM claims WHERE admitted_at IS NOT NULL AND settled_at IS NOT NULL GROUP BY ALL ORDER BY ALL"""
        rows = connection.sql(query).to_arrow_table()
        self.patients, self.providers, self.parties = (_Coded(rows[n]) for n in ("patient_id", "provider_id", "party"))
        self.day = rows["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
        self.settled = rows["settled"].to_numpy().astype("datetime64[us]")

    def table(self, connection: duckdb.DuckDBPyConnection, snapshot: datetime, days: int) -> pa.Table:
        """`ties` for patients, `rings` for the others, as of a snapshot."""
        visits = self._visits(snapshot, days)
        ties = find_ties(visits)
        return self._ties(visits, ties, snapshot) if self.entity == "patient" else self._rings(visits, ties, snapshot)

    def _visits(self, snapshot: datetime, days: int) -> _Visits:
        start = np.datetime64(snapshot - timedelta(days=days), "us")
        known = (self.settled < np.datetime64(snapshot, "us")) & (self.settled >= start)
        patient, provider, party = (c.codes[known] for c in (self.patients, self.providers, self.parties))
        day = self.day[known]
        _, place = np.unique(provider * 100_000 + day, return_inverse=True)
        return _Visits(patient, provider, day, party, place, len(self.patients.names))

    def _ties(self, visits: _Visits, ties: Ties, snapshot: datetime) -> pa.Table:
        own = np.concatenate([ties.first, ties.second])
        other = np.concatenate([ties.second, ties.first])
        sizes = np.bincount(ties.group[ties.group >= 0], minlength=1)
        in_company = np.bincount(visits.patient[_in_company(visits, ties)], minlength=visits.patients)
        each_day = np.bincount(visits.patient, minlength=visits.patients)
        columns = {
            "entity_id": self.patients.names[own],
            "other_id": self.patients.names[other],
            "joint_days": np.tile(ties.joint_days, 2),
            "joint_providers": np.tile(ties.joint_providers, 2),
            "expected_days": np.tile(ties.expected_days, 2),
            "core": np.minimum(ties.core[own], ties.core[other]),
            "group_size": sizes[ties.group[own]],
            "visit_days": each_day[own],
            "days_in_company": in_company[own],
        }
        return _arrow("ties", columns, snapshot)

    def _rings(self, visits: _Visits, ties: Ties, snapshot: datetime) -> pa.Table:
        """One row for each party and ring that came there in company."""
        told = np.array([n != UNKNOWN for n in self.parties.names], dtype=bool)
        there = np.flatnonzero(_in_company(visits, ties) & told[visits.party])
        keys = np.column_stack([visits.party[there], ties.ring[visits.patient[there]]])
        pairs, which = np.unique(keys, axis=0, return_inverse=True) if len(keys) else (keys, np.zeros(0, np.int64))
        columns = {
            "entity_id": self.parties.names[pairs[:, 0]],
            "ring": pairs[:, 1],
            "members": _distinct(which, visits.patient[there], len(pairs)),
            "joint_days": _distinct(which, visits.place[there], len(pairs)),
            "joint_visits": np.bincount(which, minlength=len(pairs)),
        }
        return _arrow("rings", columns, snapshot)


def find_ties(visits: _Visits) -> Ties:
    """The ties among the patients of these visits, and the groups that they make."""
    attended, opened = _attendance(visits)
    turned = attended.T.tocsr()
    found = [_block_of_pairs(attended, turned, start) for start in range(0, max(visits.patients, 1), _BLOCK)]
    first, second, joint = (np.concatenate([f[i] for f in found]).astype(np.int64) for i in range(3))
    expected = _row_products(opened, first, second)
    kept = _surprise(joint, expected) >= MIN_SURPRISE
    first, second, joint, expected = first[kept], second[kept], joint[kept], expected[kept]
    core, group = _groups(first, second, joint, visits.patients)
    places = _shared_providers(visits, attended, first, second)
    return Ties(first, second, joint, places, expected, core, group)


def _attendance(visits: _Visits) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Patients × quiet days of a provider; and patients × weekdays of a provider, scaled to expect joint days.

    The product of two rows of the second is Σ n₁·n₂/D over providers and weekdays, D being the days open.
    """
    size = int(visits.place.max(initial=-1)) + 1
    once = np.unique(visits.patient[visits.quiet] * size + visits.place[visits.quiet])
    patient, place = np.divmod(once, max(size, 1))
    slot_of = np.zeros(size, np.int64)
    slot_of[visits.place] = visits.provider * 7 + visits.day % 7
    slots = int(slot_of.max(initial=-1)) + 1
    open_days = np.bincount(slot_of[np.unique(place)], minlength=slots)
    # Who was there too seldom for a tie need not be compared with anybody.
    often = np.bincount(patient, minlength=visits.patients)[patient] >= MIN_JOINT_DAYS
    patient, place = patient[often], place[often]
    attended = sparse.csr_matrix((np.ones(len(patient), np.int32), (patient, place)), (visits.patients, size))
    chance = 1 / np.sqrt(open_days[slot_of[place]])
    opened = sparse.csr_matrix((chance, (patient, slot_of[place])), (visits.patients, slots))
    opened.sum_duplicates()
    return attended, opened


def _block_of_pairs(
    attended: sparse.csr_matrix, turned: sparse.csr_matrix, start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (first < second) with enough joint days whose first patient is in the block."""
    together = (attended[start : start + _BLOCK] @ turned).tocoo()
    kept = (together.data >= MIN_JOINT_DAYS) & (together.row + start < together.col)
    return together.row[kept] + start, together.col[kept], together.data[kept]


def _row_products(rows: sparse.csr_matrix, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    parts = [rows[a].multiply(rows[b]).sum(axis=1) for a, b in _blocks(first, second)]
    return np.concatenate([np.asarray(p).ravel() for p in parts]) if parts else np.zeros(0)


def _blocks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(arrays[0]), _BLOCK * 8):
        yield tuple(a[start : start + _BLOCK * 8] for a in arrays)


def _surprise(joint: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Chernoff's bound on −ln P(X ≥ joint) for a Poisson variable of that mean; 0 where no more than expected."""
    mean = np.maximum(expected, 1e-9)
    return np.where(joint > mean, joint * np.log(joint / mean) - (joint - mean), 0.0)


def _groups(first: np.ndarray, second: np.ndarray, joint: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Core number and community of each patient in the graph of ties."""
    core, group = np.zeros(size, np.int64), np.full(size, -1, np.int64)
    if not len(first):
        return core, group
    from sknetwork.clustering import Louvain
    from sknetwork.topology import get_core_decomposition

    tied, ends = np.unique(np.concatenate([first, second]), return_inverse=True)
    own, other = ends[: len(first)], ends[len(first) :]
    both = np.concatenate([own, other]), np.concatenate([other, own])
    graph = sparse.csr_matrix((np.tile(joint, 2).astype(float), both), (len(tied), len(tied)))
    core[tied] = get_core_decomposition(graph)
    # Without shuffling, the communities depend on the order of ids alone.
    group[tied] = Louvain(shuffle_nodes=False, random_state=0).fit_predict(graph)
    return core, group


def _shared_providers(
    visits: _Visits, attended: sparse.csr_matrix, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Providers at which each pair was together."""
    provider_of = np.zeros(attended.shape[1], np.int64)
    provider_of[visits.place] = visits.provider
    found = [np.zeros(0, np.int64)]
    for a, b in _blocks(first, second):
        common = attended[a].multiply(attended[b]).tocoo()
        found.append(_distinct(common.row.astype(np.int64), provider_of[common.col], len(a)))
    return np.concatenate(found)


def _in_company(visits: _Visits, ties: Ties) -> np.ndarray:
    """Visits on which at least `COMPANY` members of the patient's ring were at the provider on that day."""
    ring = ties.ring[visits.patient]
    key = ring * (int(visits.place.max(initial=0)) + 1) + visits.place
    _, which = np.unique(key, return_inverse=True)
    members = _distinct(which, visits.patient, int(which.max(initial=-1)) + 1)
    return np.asarray((ring >= 0) & visits.quiet & (members[which] >= COMPANY))


def _distinct(which: np.ndarray, what: np.ndarray, size: int) -> np.ndarray:
    """How many different `what` there are for each of `size` values of `which`."""
    if not len(which):
        return np.zeros(size, np.int64)
    width = int(what.max()) + 1
    pairs = np.unique(which * width + what)
    return np.bincount(pairs // width, minlength=size)


class JointStaySource:
    """Pairs of patients who were admitted together again and again, for patients or providers."""

    def __init__(self, entity: str) -> None:
        self.entity = entity

    def table(self, connection: duckdb.DuckDBPyConnection, snapshot: datetime, days: int) -> pa.Table:
        """The table `joint_stays`, both ways round, as of a snapshot."""
        rows = connection.sql(_JOINT_STAYS, params={"day": snapshot, "days": days}).to_arrow_table()
        first, second = rows["first"].to_pylist(), rows["second"].to_pylist()
        provider = np.array(rows["provider_id"].to_pylist(), dtype=object)
        patients = np.array(first + second, dtype=object)
        others = np.array(second + first, dtype=object)
        places = np.tile(provider, 2)
        columns = {
            "entity_id": patients if self.entity == "patient" else places,
            "patient_id": patients,
            "other_id": others,
            "provider_id": places,
            "joint_stays": np.tile(rows["joint_stays"].to_numpy(), 2),
            "cluster_size": np.tile(_cluster_sizes(provider, first, second), 2),
        }
        return _arrow("joint_stays", columns, snapshot)


def _cluster_sizes(provider: np.ndarray, first: list[str], second: list[str]) -> np.ndarray:
    """Persons in the cluster of each pair: those at one provider whom joint admissions link together."""
    ends = [(p, i) for p, i in zip(np.tile(provider, 2), first + second, strict=True)]
    if not ends:
        return np.zeros(0, np.int64)
    number = {end: i for i, end in enumerate(sorted(set(ends)))}
    codes = np.array([number[end] for end in ends])
    own, other = codes[: len(first)], codes[len(first) :]
    graph = sparse.csr_matrix((np.ones(len(own)), (own, other)), (len(number), len(number)))
    label: np.ndarray = connected_components(graph, directed=False)[1]
    sizes: np.ndarray = np.bincount(label)[label[own]]
    return sizes


# Only patients with several stays at the provider can have been admitted with somebody several times.
_JOINT_STAYS = f"""
    WITH stays AS (
        SELECT DISTINCT patient_id, provider_id, admitted_at::DATE AS day FROM claims
        WHERE visit_type = 'inpatient' AND settled_at < $day AND settled_at >= $day - to_days($days::INTEGER)
        QUALIFY count(*) OVER (PARTITION BY patient_id, provider_id) >= {MIN_JOINT_STAYS})
    SELECT a.provider_id, a.patient_id AS first, b.patient_id AS second, count(DISTINCT a.day) AS joint_stays
    FROM stays a JOIN stays b ON a.provider_id = b.provider_id AND a.patient_id < b.patient_id
        AND b.day BETWEEN a.day - {STAY_GAP_DAYS} AND a.day + {STAY_GAP_DAYS}
    GROUP BY ALL HAVING count(DISTINCT a.day) >= {MIN_JOINT_STAYS} AND count(DISTINCT b.day) >= {MIN_JOINT_STAYS}
    ORDER BY ALL"""


def _arrow(name: str, columns: dict[str, np.ndarray], snapshot: datetime) -> pa.Table:
    rows = len(columns["entity_id"])
    days = pa.array([snapshot] * rows, pa.timestamp("us"))
    types = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}
    made = {n: pa.array(v, types[PREPARED[name].types[n]]) for n, v in columns.items()}
    return pa.table({"entity_id": made.pop("entity_id"), "snapshot": days, **made})
