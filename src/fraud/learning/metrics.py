"""Figures of a ranking: what reviewers gain at their capacity first, the area under the curve last.

Everything here takes labels (1 positive, 0 negative), scores (higher is riskier) and amounts as arrays of
the same length, and gives the same answer in whatever order the rows come: ties are shared out evenly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fraud.signals.backtest import wilson

__all__ = [
    "BASELINES",
    "GATE_METRICS",
    "HIGHER_IS_BETTER",
    "METRICS",
    "NOVELTY_METRICS",
    "average_precision",
    "average_precision_interval",
    "brier",
    "calibration_error",
    "calibration_of",
    "ends_of_ties",
    "measure",
    "money_at",
    "precision_at",
    "ranked_precision",
    "recall_at_share",
    "reliability",
    "roc_auc",
    "share_of_list",
    "wilson_of",
]

# In the order of the report; the text is what the table's head says.
METRICS: dict[str, str] = {
    "precision_at_k": "precision in the top k",
    "money_at_k": "money in the top k that was found at fault",
    "money_share_at_k": "share of all money at fault that is in the top k",
    "recovery_share_at_k": "the same when ranked by expected recovery",
    "average_precision": "average precision",
    "recall_at_1pct": "recall when 1 % is flagged",
    "calibration_error": "calibration error",
    "brier": "Brier score",
    "roc_auc": "ROC-AUC",
}
HIGHER_IS_BETTER = {name: name not in ("calibration_error", "brier") for name in METRICS}
BASELINES: dict[str, str] = {
    "single_feature": "single best feature, chosen inside the training fold",
    "logistic": "logistic regression, imputed and scaled",
    "scale_free": "the same model without any volume feature",
    "peers": "mean robust z-score against all others, without labels",
}
# What is known of a model without labels (`fraud.learning.unlabelled`); lists are 1 % of all rows.
NOVELTY_METRICS: dict[str, str] = {
    "list_stability": "share of the list that models of two halves of the rows have in common",
    "later_volume": "alerts among the latest rows, as a multiple of those expected from the earlier",
    "one_signal_share": "share of the list whose strongest reason is one and the same signal",
    "forest_agreement": "share of the list that an isolation forest over the same surprises has as well",
}
# What a gate may name.
GATE_METRICS: tuple[str, ...] = (
    *METRICS,
    *(f"{m}.sd" for m in METRICS),
    "average_precision.low",
    "average_precision.high",
    *(f"baseline.{b}.{m}" for b in BASELINES for m in METRICS),
    *(f"holdout.{m}" for m in METRICS),
)


def measure(
    labels: np.ndarray, scores: np.ndarray, probabilities: np.ndarray, amounts: np.ndarray, k: int
) -> dict[str, float]:
    """Every metric of `METRICS` by name; `k` is the length of the reviewers' list."""
    at_fault = float((amounts * labels).sum())
    money = money_at(labels, scores, amounts, k)
    return {
        "precision_at_k": precision_at(labels, scores, k),
        "money_at_k": money,
        "money_share_at_k": _ratio(money, at_fault),
        "recovery_share_at_k": _ratio(money_at(labels, probabilities * amounts, amounts, k), at_fault),
        "average_precision": average_precision(labels, scores),
        "recall_at_1pct": recall_at_share(labels, scores, 0.01),
        "calibration_error": calibration_error(labels, probabilities),
        "brier": brier(labels, probabilities),
        "roc_auc": roc_auc(labels, scores),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def precision_at(labels: np.ndarray, scores: np.ndarray, k: int) -> float:
    """Share of positives among the k highest scores.

    >>> precision_at(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.8, 0.1]), 2)
    0.75
    """
    k = min(k, len(scores))
    return float((labels * share_of_list(scores, k)).sum() / k) if k else float("nan")


def money_at(labels: np.ndarray, scores: np.ndarray, amounts: np.ndarray, k: int) -> float:
    """Sum of the amounts of the positives among the k highest scores."""
    return float((labels * amounts * share_of_list(scores, k)).sum())


def recall_at_share(labels: np.ndarray, scores: np.ndarray, share: float) -> float:
    """Share of the positives that is found when this share of all rows (at least one) is flagged."""
    k = max(1, round(share * len(scores)))
    total = labels.sum()
    return float((labels * share_of_list(scores, k)).sum() / total) if total else float("nan")


def share_of_list(scores: np.ndarray, k: int) -> np.ndarray:
    """For each row, its chance of a place in the top k when ties are drawn at random."""
    if k >= len(scores):
        return np.ones(len(scores))
    cut = np.partition(scores, -k)[-k]
    above, tied = scores > cut, scores == cut
    return np.asarray(above + tied * ((k - above.sum()) / tied.sum()))


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean of the precision over the recall, at every distinct score; NaN without a positive."""
    order = np.argsort(-scores, kind="stable")
    rank_ends = ends_of_ties(scores[order])
    weights = np.ones(len(scores)) if weights is None else weights
    return float(ranked_precision(labels[order], weights[order][None, :], rank_ends)[0])


def ranked_precision(labels: np.ndarray, weights: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Average precision of sorted rows for each row of `weights`."""
    hits = np.cumsum(weights * labels, axis=1)[:, ends]
    seen = np.cumsum(weights, axis=1)[:, ends]
    gained = np.diff(hits, axis=1, prepend=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(seen > 0, hits / seen, 0.0)
        return np.asarray((precision * gained).sum(axis=1) / hits[:, -1])


def ends_of_ties(ordered: np.ndarray) -> np.ndarray:
    """Positions at which sorted scores change to the next, and the last."""
    return np.flatnonzero(np.append(np.diff(ordered) != 0, True))


def average_precision_interval(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, seed: int, draws: int = 400, level: float = 0.95
) -> tuple[float, float]:
    """Bounds of the average precision from a bootstrap over groups.

    Groups are drawn, not rows: claims of one provider are not independent.
    """
    order = np.argsort(-scores, kind="stable")
    _, member = np.unique(groups[order], return_inverse=True)
    count = int(member.max()) + 1
    ends, labels = ends_of_ties(scores[order]), labels[order]
    generator = np.random.default_rng(seed)
    drawn = [generator.multinomial(count, np.full(count, 1 / count)) for _ in range(draws)]
    values = np.concatenate([ranked_precision(labels, d[member][None, :].astype(float), ends) for d in drawn])
    tail = (1 - level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def brier(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean squared distance of the probabilities from what was found."""
    return float(np.average((probabilities - labels) ** 2, weights=weights))


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean distance between predicted and found share over ten bins of about equal size.

    Few rows in a bin make it larger than it is: 200 rows of a perfect model still show about 0.06.
    """
    curve = reliability(labels, probabilities, weights=weights)
    return float(np.average([abs(b["predicted"] - b["found"]) for b in curve], weights=[b["weight"] for b in curve]))


def roc_auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Chance that a positive scores higher than a negative, ties counted half; NaN with one class."""
    weights = np.ones(len(labels)) if weights is None else weights
    _, place = np.unique(scores, return_inverse=True)
    positive, negative = np.bincount(place, weights * labels), np.bincount(place, weights * (1 - labels))
    pairs = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / pairs) if pairs else float("nan")


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 10, weights: np.ndarray | None = None
) -> list[Mapping[str, float]]:
    """Predicted against found share in bins of about equal size, from the lowest to the highest probability.

    Equal probabilities are in one bin, so that the order of the rows changes nothing.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    _, place, count = np.unique(probabilities, return_inverse=True, return_counts=True)
    middle = (np.cumsum(count) - count / 2)[place] / len(labels)
    number = np.minimum((middle * bins).astype(int), bins - 1)
    parts = [np.flatnonzero(number == b) for b in np.unique(number)]
    return [calibration_of(labels[p], probabilities[p], weights[p]) for p in parts if weights[p].sum() > 0]


def calibration_of(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> Mapping[str, float]:
    """Predicted and found share of some rows, with a 95 % Wilson interval of what was found.

    With weights the interval is that of as many rows as the weights are worth (Kish's effective number).
    """
    found = float(np.average(labels, weights=weights))
    low, high = wilson_of(found, float(weights.sum() ** 2 / (weights**2).sum()))
    return {
        "predicted": float(np.average(probabilities, weights=weights)),
        "found": found,
        "low": low,
        "high": high,
        "n": len(labels),
        "weight": float(weights.sum()),
    }


def wilson_of(share: float, n: float) -> tuple[float, float]:
    """The 95 % Wilson interval of a share that was found in `n` rows; the whole range where there is none."""
    return wilson(share * n, n) if n > 0 else (0.0, 1.0)
