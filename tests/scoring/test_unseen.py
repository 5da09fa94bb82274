"""Somebody whom no snapshot tells of is judged as a snapshot would."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle, History
from fraud.scoring.snapshots import known_entities, latest_days, pairs_on
from fraud.signals.assembly import entity_features, feature_names
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder, Reference, freeze_peers
from fraud.signals.norms import no_norms
from tests.web.models import small_model


@pytest.mark.parametrize("born_after", [0, 14_000, 25_000])
def test_a_patient_without_a_snapshot_stands_among_peers_of_the_own_age(
    city: ClaimsFolder, catalogue: Catalogue, born_after: int
) -> None:
    signals = [s for s in catalogue.of("patient") if s.peer and s.default is not None]
    with connect() as connection:
        city.attach(connection)
        builder = FrameBuilder(connection, catalogue)
        _, month = latest_days(connection)
        everybody = builder.entities(signals, "patient", pairs_on(known_entities(connection, "patient"), month))
        builder.reference = Reference(no_norms(), {"patient": freeze_peers(everybody)})
        (person,) = _people(connection, f"birth_date >= DATE '1930-01-01' + {born_after}")
        # In a month before all claims nobody has done anything yet.
        start = datetime(2010, 1, 1)
        expected = entity_features(builder, "patient", signals, pairs_on([person["patient_id"]], start))
    names = feature_names(signals)
    chosen = tuple(s.id for s in signals)
    model = small_model(catalogue, 1, "champion", 1)
    model = replace(model, names=names, signal_ids=chosen, reference=builder.reference)
    claim = {"patient_id": person["patient_id"], "settled_at": start + timedelta(days=20)}
    found = ClaimScorer(catalogue, model).vector(ClaimBundle(claim), History(patient=person), {})
    assert any(n.endswith(".peer_z") for n in names)
    np.testing.assert_allclose(found, expected.select(names)[0], rtol=1e-9, atol=1e-9)


def _people(connection, where: str):  # type: ignore[no-untyped-def]
    found = connection.execute(f"SELECT * FROM patients WHERE {where} ORDER BY birth_date LIMIT 1")
    names = [d[0] for d in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
