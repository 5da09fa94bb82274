"""Small models of claims, fitted in a moment."""

from __future__ import annotations

import numpy as np

from fraud.learning.calibration.calibration import UNKNOWN, Calibration, rank_standing
from fraud.learning.fitting import fit_ensemble
from fraud.learning.model import FittedModel
from fraud.learning.novelty import fit_novelty
from fraud.learning.spec import parse_spec
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import Reference
from fraud.signals.norms import no_norms
from tests.learning.town import CLAIM_SPEC, spec

NAMES = ("claim.amount", "claim.stay")


def small_model(room: Catalogue, version: int, alias: str, sign: int) -> FittedModel:
    """A small model of claims that thinks the dearer (or the cheaper) the riskier."""
    values = _values(version)
    labels = (sign * values[:, 0] > np.median(sign * values[:, 0])).astype(float)
    chosen = spec(CLAIM_SPEC, signals=["claim.*"])
    ensemble = fit_ensemble(values, labels, NAMES, (0, 0), chosen.parameters, seed=version)
    calibration = Calibration(1.0, 0.0)
    return _model(
        spec=chosen,
        ensemble=ensemble,
        calibration=calibration,
        standing=rank_standing(calibration.probability(ensemble.margins(values))),
        version=version,
        alias=alias,
    )


def small_novelty(version: int = 1) -> FittedModel:
    """A model without labels: it knows how odd a claim is, and no probability."""
    values = _values(version)
    novelty = fit_novelty(values, (1, 1))
    table = {"name": "claim_risk", "kind": "novelty", "entity": "claim", "seed": 3, "window_days": 365}
    return _model(
        spec=parse_spec({**table, "signals": ["claim.*"]}),
        ensemble=novelty,
        calibration=UNKNOWN,
        standing=rank_standing(novelty.margins(values)),
        version=version,
        alias="champion",
    )


def _values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1000, (400, 2))


def _model(**own: object) -> FittedModel:
    return FittedModel(
        names=NAMES,
        signal_ids=NAMES,
        monotone=(0, 0),
        reference=Reference(no_norms(), {}),
        as_of="2024-01-01T00:00:00",
        data_digest="sha256:0",
        catalogue_digest="sha256:0",
        signal_digests=dict.fromkeys(NAMES, "sha256:0"),
        **own,  # type: ignore[arg-type]
    )
