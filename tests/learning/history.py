"""A payer's history made up in memory: rows with a risk that is known, decided weeks after they happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from fraud.learning.datasets.dataset import Dataset, Feature
from fraud.signals.frames import Reference

START = datetime(2024, 1, 1)
UNTIL = datetime(2024, 12, 1)
CUTS = (datetime(2024, 8, 1), datetime(2024, 10, 1))


def rows(n: int = 4_000, seed: int = 1, groups: int = 200, noise: float = 1.0) -> Dataset:
    """Claims of eleven months; two figures carry the risk, one grows with size, one is of the network, two are noise.

    Half of the rows are looked at, by chance, and decided within two months. Every tenth group has more risk.
    """
    random = np.random.default_rng(seed)
    group = random.integers(0, groups, n)
    values = random.normal(size=(n, 6))
    margin = -3 + 1.5 * values[:, 0] + 1.0 * values[:, 1] + 1.0 * (group % 10 == 0)
    at_fault = (random.random(n) < 1 / (1 + np.exp(-margin / noise))).astype(float)
    seconds = np.sort(random.integers(0, int((UNTIL - START).total_seconds()), n))
    happened = np.datetime64(START, "us") + seconds.astype("timedelta64[s]")
    looked = random.random(n) < 0.5
    delay = random.integers(5, 60, n).astype("timedelta64[D]")
    return Dataset(
        entity="claim",
        ids=tuple(f"C{i:05d}" for i in range(n)),
        happened_at=happened,
        features=features("claim.first", "claim.second", "claim.size", "network.ties", "claim.noise", "claim.more"),
        values=values,
        labels=np.where(looked, at_fault, np.nan),
        groups=np.array([f"H{g:03d}" for g in group], dtype=object),
        amounts=random.lognormal(6, 1, n).round(2),
        decided_at=np.where(looked, happened + delay, np.datetime64("NaT")),
        reference=Reference(None, {}),  # type: ignore[arg-type]
        skipped={},
        notes=(),
        as_of=UNTIL,
        data_digest="sha256:data",
        signal_digests={},
        catalogue_digest="sha256:catalogue",
        weights=np.ones(n),
        investigated=looked,
        recovered=np.full(n, np.nan),
        mature=np.ones(n, dtype=bool),
        segments={
            "region": np.array([f"R{g % 3}" for g in group], dtype=object),
            "sex": random.choice(np.array(["female", "male"], dtype=object), n),
            "level": np.full(n, None, dtype=object),
        },
    )


def features(*names: str) -> tuple[Feature, ...]:
    """Feature columns of these names; one that ends in `size` grows with the entity."""
    return tuple(Feature(n, n, 0, n.endswith("size")) for n in names)


@dataclass(frozen=True)
class MadeUp:
    """The history of rows that know when they happened and when they were decided."""

    described: Dataset

    def training(self, cut: datetime) -> Dataset:
        """Rows before the cut, with the labels decided before it."""
        day = np.datetime64(cut, "us")
        known = self.described.take(np.flatnonzero(self.described.happened_at < day))
        labels = np.where(known.decided_at < day, known.labels, np.nan)
        return replace(known, labels=labels)

    def test(self, cut: datetime, until: datetime) -> Dataset:
        """Rows from the cut on, with the labels known in the end."""
        happened = self.described.happened_at
        after = (happened >= np.datetime64(cut, "us")) & (happened < np.datetime64(until, "us"))
        return self.described.take(np.flatnonzero(after))


@dataclass(frozen=True)
class Snapshots:
    """The history of 600 providers, each described anew at every cut; a fifth of them are decided in each period."""

    seed: int = 1
    providers: int = 600

    def training(self, cut: datetime) -> Dataset:
        """Those decided in the periods before the cut, as they were then."""
        return self._at(cut, periods=range(1 + CUTS.index(cut)))

    def test(self, cut: datetime, until: datetime) -> Dataset:
        """All providers on the day of the cut; those decided in the period after it are labelled."""
        return self._at(cut, periods=(1 + CUTS.index(cut),))

    def _at(self, cut: datetime, periods: Iterable[int]) -> Dataset:
        random = np.random.default_rng(self.seed)
        lasting = random.normal(size=(self.providers, 6))
        at_fault = (random.random(self.providers) < 1 / (1 + np.exp(1.2 - 1.5 * lasting[:, 0]))).astype(float)
        when = random.integers(0, 5, self.providers)
        lately = np.random.default_rng([self.seed, cut.month]).normal(scale=0.3, size=lasting.shape)
        base = rows(n=self.providers, groups=self.providers)
        ids = tuple(f"H{i:03d}" for i in range(self.providers))
        return replace(
            base,
            entity="provider",
            ids=ids,
            groups=np.array(ids, dtype=object),
            happened_at=np.full(self.providers, np.datetime64(cut, "us")),
            values=lasting + lately,
            labels=np.where(np.isin(when, list(periods)), at_fault, np.nan),
            investigated=np.isin(when, list(periods)),
        )
