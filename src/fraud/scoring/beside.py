"""A second version's scores beside those of the champion, for a whole folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder
from fraud.errors import InputError
from fraud.scoring.batch import open_folder
from fraud.signals.catalogue import Catalogue

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["SHADOW_COLUMNS", "Agreement", "agreement_of", "with_shadow"]

# What is added to `SCORES_SCHEMA`; the change is the shadow's percentile less the champion's.
SHADOW_COLUMNS = ("shadow_probability", "shadow_percentile", "shadow_expected_recovery", "percentile_change")


@dataclass(frozen=True)
class Agreement:
    """How much two versions have in common: `both` of the `k` that each would list, and the rank correlation."""

    k: int
    both: int
    rank_correlation: float


def with_shadow(
    scores: pa.Table,
    folder: ClaimsFolder,
    champion: FittedModel,
    shadow: FittedModel,
    catalogue: Catalogue,
    as_of: datetime | None = None,
) -> pa.Table:
    """The champion's scores with the shadow's columns on the right, row by row.

    Raises:
        InputError: the two score different kinds of entity.
    """
    if champion.spec.entity != shadow.spec.entity:
        raise InputError(
            f"{champion.name}: version {champion.version} scores {champion.spec.entity}s and version "
            f"{shadow.version} {shadow.spec.entity}s; they cannot stand side by side."
        )
    scored = open_folder(folder, shadow, catalogue, as_of)
    try:
        frame = scored.frame
        margins = shadow.margins(frame.select(shadow.names))
        probability, percentile = shadow.probability(margins), shadow.place(margins)
        recovery = probability * shadow.at_stake(scored.stakes)
        place = {entity_id: i for i, entity_id in enumerate(frame.ids)}
    finally:
        scored.connection.close()
    rows = np.array([place[i] for i in scores["entity_id"].to_pylist()], dtype=np.int64)
    change = percentile[rows] - scores["percentile"].to_numpy()
    for name, values in zip(SHADOW_COLUMNS, (probability[rows], percentile[rows], recovery[rows], change), strict=True):
        scores = scores.append_column(name, pa.array(values, type=pa.float64()))
    return scores


def agreement_of(scores: pa.Table, k: int) -> Agreement:
    """How far champion and shadow agree on the k highest probabilities and on the order of all."""
    own, other = (scores[c].to_numpy() for c in ("probability", "shadow_probability"))
    k = min(k, len(own))
    lists = [set(np.argsort(-v, kind="stable")[:k].tolist()) for v in (own, other)]
    return Agreement(k, len(lists[0] & lists[1]), _spearman(own, other))


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of the ranks, ties at their mean rank; NaN when one says nothing."""
    a, b = _ranks(first), _ranks(second)
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])
