"""Trees that learned from verdicts, and surprise that needed none, in one score.

Verdicts are few and lean towards what was looked for: schemes that hardly anybody was ever convicted of teach the
trees nothing. Surprise (`fraud.learning.novelty`) knows no verdict and so has no such leaning. Beyond `beyond`
(2: rarer than one row in a hundred) each further power of ten adds `weight` log-odds to the trees' margin.

Both parts are sums over features, so that contributions stay exact; both never fall as a feature rises in its riskier
direction. The trees are fitted without knowing of the surprise: told of it they would take back what it says of rows
that nobody looked at, since these count as negatives (docs/decisions/0030-surprise-beside-verdicts.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fraud.learning.fitting import Ensemble, Shared, fit_ensemble, rows_of
from fraud.learning.novelty import Novelty, fit_novelty
from fraud.learning.spec import ModelSpec, Surprise, matches

__all__ = ["Blend", "Scoring", "fit_scoring", "scoring_of"]


@dataclass(frozen=True, eq=False)
class Blend:
    """An ensemble and thresholds of surprise over the same features; has the face of an ensemble."""

    trees: Ensemble
    novelty: Novelty
    weight: float
    beyond: float

    def margins(self, values: np.ndarray, threads: int = 1) -> np.ndarray:
        """Log-odds of each row of rows × features."""
        found: np.ndarray = self.trees.margins(values, threads) + self._added(self.novelty.margins(values))
        return found

    def contributions(self, values: np.ndarray, threads: int = 1) -> np.ndarray:
        """Exact contribution of each feature to the margin, rows × (features + 1); the last column is the base."""
        shares = self.novelty.contributions(values)
        scores = shares.sum(axis=1)
        scale = np.divide(self._added(scores), scores, out=np.zeros_like(scores), where=scores > 0)
        found: np.ndarray = self.trees.contributions(values, threads) + shares * scale[:, None]
        return found

    def _added(self, scores: np.ndarray) -> np.ndarray:
        added: np.ndarray = self.weight * np.maximum(scores - self.beyond, 0.0)
        return added

    @property
    def texts(self) -> tuple[str, ...]:
        """The boosters and then the thresholds, each as it writes itself."""
        return (*self.trees.texts, *self.novelty.texts)


# What puts rows in order.
Scoring = Ensemble | Novelty | Blend


def fit_scoring(
    values: np.ndarray | Shared,
    labels: np.ndarray,
    names: Sequence[str],
    signs: Sequence[int],
    spec: ModelSpec,
    seed: int,
    *,
    rows: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    bags: int | None = None,
    threads: int = 1,
) -> Ensemble | Blend:
    """What the spec asks for, fitted on rows × features and labels of 0 and 1; as `fit_ensemble` otherwise.

    Surprise is learned from the same rows, as many as their weights say, and from none of their labels.
    """
    trees = fit_ensemble(
        values, labels, names, signs, spec.parameters, seed, rows=rows, weights=weights, bags=bags, threads=threads
    )
    if not spec.surprise.weight:
        return trees
    heeded = [sign if _surprises(spec.surprise, name) else 0 for name, sign in zip(names, signs, strict=True)]
    novelty = fit_novelty(rows_of(values, rows), heeded, weights)
    return Blend(trees, novelty, spec.surprise.weight, spec.surprise.beyond)


def scoring_of(spec: ModelSpec, texts: Sequence[str]) -> Scoring:
    """What the `texts` of a fitted model of this spec were taken from."""
    if spec.kind == "novelty":
        return Novelty.from_texts(texts)
    if not spec.surprise.weight:
        return Ensemble.from_texts(texts)
    parts = Ensemble.from_texts(texts[:-1]), Novelty.from_texts(texts[-1:])
    return Blend(*parts, spec.surprise.weight, spec.surprise.beyond)


def _surprises(surprise: Surprise, name: str) -> bool:
    return matches(name, surprise.signals) and not matches(name, surprise.exclude)
