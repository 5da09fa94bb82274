"""Online equals batch: every feature of 800 claims, through the service's own store (`bench_parity.py`: of 20,000)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache

import numpy as np
import pytest

from benchmarks.endurance.parity import unequal
from fraud.claims.folder import ClaimsFolder, connect
from fraud.learning.model import FittedModel
from fraud.scoring.batch import score_folder
from fraud.scoring.claim_signals import ClaimSignals
from fraud.scoring.explain import explain_in_folder
from fraud.scoring.occasions import occasions_in_frame, occasions_of_claim
from fraud.scoring.refresh import fill_store
from fraud.scoring.sample import claim_bundles
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle
from fraud.scoring.snapshots import known_entities, pairs_on
from fraud.signals.assembly import claim_features
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.limits import Place
from fraud.store import NO_LINES, Store

CLAIMS = 800


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel
) -> Iterator[Store]:
    connection = connect()
    city.attach(connection, ["claims"])
    months = connection.execute("SELECT DISTINCT date_trunc('month', settled_at)::TIMESTAMP FROM claims").fetchall()
    connection.close()
    with Store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'fraud.db'}") as store:
        fill_store(store, city, catalogue, [claim_model], days=sorted(m[0] for m in months))
        yield store


@pytest.fixture(scope="module")
def batch(city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel) -> SignalFrame:
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue, days=claim_model.spec.window_days, reference=claim_model.reference)
    frame = claim_features(builder, catalogue.of("claim") + _others(catalogue, claim_model))
    connection.close()
    return frame


def _others(catalogue: Catalogue, model: FittedModel) -> list:  # type: ignore[type-arg]
    return [s for s in (catalogue[i] for i in model.signal_ids) if s.entity != "claim"]


@cache
def _bundles(city: ClaimsFolder) -> list[ClaimBundle]:
    return list(claim_bundles(city))[-CLAIMS:]


def _scorer(catalogue: Catalogue, model: FittedModel, store: Store) -> ClaimScorer:
    return ClaimScorer(catalogue, model, items=store.table("catalogue"), exclusions=store.table("exclusions"))


def test_every_claim_signal_is_the_same_online_as_in_batch(
    city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel, store: Store, batch: SignalFrame
) -> None:
    signals = catalogue.of("claim")
    online = ClaimSignals(
        catalogue,
        signals,
        norms=claim_model.reference.norms,
        items=store.table("catalogue"),
        exclusions=store.table("exclusions"),
    )
    names = [s.id for s in signals]
    place = {claim: row for row, claim in enumerate(batch.ids)}
    found = [online.compute(b, store.history(b.claim)).values for b in _bundles(city)]
    rows = [place[b.claim["claim_id"]] for b in _bundles(city)]
    assert len(_bundles(city)) == CLAIMS
    assert unequal(names, np.array([[v[n] for n in names] for v in found]), batch.select(names)[rows]) == {}


def test_what_the_model_reads_is_the_same_online_as_in_batch(
    city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel, store: Store, batch: SignalFrame
) -> None:
    scorer = _scorer(catalogue, claim_model, store)
    place = {claim: row for row, claim in enumerate(batch.ids)}
    found = []
    for bundle in _bundles(city)[::4]:
        history = store.history(bundle.claim, scorer.wanted, claim_model.spec.name)
        found.append(scorer.vector(bundle, history, scorer.values(bundle, history)))
    rows = [place[b.claim["claim_id"]] for b in _bundles(city)[::4]]
    assert unequal(claim_model.names, np.array(found), batch.select(claim_model.names)[rows]) == {}


def test_scored_in_a_batch_is_scored_alone(
    city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel, store: Store
) -> None:
    table = score_folder(city, claim_model, catalogue)
    scores = dict(zip(table["entity_id"].to_pylist(), table["probability"].to_pylist(), strict=True))
    scorer = _scorer(catalogue, claim_model, store)
    for bundle in _bundles(city)[::40]:
        score = scorer.score(bundle, store.history(bundle.claim, scorer.wanted, claim_model.spec.name))
        assert score.risk is not None
        assert score.risk.probability == pytest.approx(scores[bundle.claim["claim_id"]], abs=1e-9)


def test_contributions_and_base_add_up_to_the_margin(
    city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel, store: Store
) -> None:
    scorer = _scorer(catalogue, claim_model, store)
    for bundle in _bundles(city)[::200]:
        score = scorer.score(bundle, store.history(bundle.claim, scorer.wanted, claim_model.spec.name), explain="full")
        assert score.risk is not None
        total = score.risk.base + sum(r.contribution for r in score.risk.reasons)
        assert total == pytest.approx(score.risk.margin, abs=1e-9)


@pytest.mark.requirement("001-72")
def test_without_a_model_the_rules_answer_and_say_so(city: ClaimsFolder, catalogue: Catalogue, store: Store) -> None:
    scorer = ClaimScorer(catalogue, None, items=store.table("catalogue"), exclusions=store.table("exclusions"))
    scores = [scorer.score(b, store.history(b.claim)) for b in _bundles(city)[:200]]
    assert {s.degraded for s in scores} == {("model",)}
    assert all(s.risk is None for s in scores)
    assert all(s.action == "pass" or s.findings for s in scores)


def test_a_claim_that_names_no_physician_is_explained(
    city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel
) -> None:
    nameless = next(b for b in _bundles(city) if b.claim["physician_id"] is None)
    found = explain_in_folder(
        city, claim_model, catalogue, "claim", nameless.claim["claim_id"], now=datetime(2026, 1, 1)
    )
    assert found.base is not None
    assert found.base + sum(r.contribution for r in found.reasons) == pytest.approx(found.margin, abs=1e-9)


def test_reasons_are_the_same_online_as_in_the_explanation_of_a_folder(
    city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel, store: Store
) -> None:
    scorer = _scorer(catalogue, claim_model, store)
    bundle = next(b for b in reversed(_bundles(city)) if b.claim["physician_id"] is not None)
    history = store.history(bundle.claim, scorer.wanted, claim_model.spec.name)
    risk = scorer.score(bundle, history, explain="full").risk
    found = explain_in_folder(city, claim_model, catalogue, "claim", bundle.claim["claim_id"], now=datetime(2026, 1, 1))
    assert risk is not None
    assert [r.signal for r in found.top()] == [r.signal for r in risk.reasons[: len(found.top())]]
    online = {r.signal: (r.peer_group, r.peer_median) for r in risk.reasons}
    assert {r.signal: (r.peer_group, r.peer_median) for r in found.reasons} == online
    # Each names the limit of its own day and region.
    assert {r.signal: r.sentences for r in found.reasons} == {r.signal: r.sentences for r in risk.reasons}


def test_a_claim_is_judged_by_the_same_days_and_regions_online_as_in_batch(
    city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel, store: Store
) -> None:
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue)
    frame = builder.claims([])
    batch = dict(zip(frame.ids, occasions_in_frame(builder, frame), strict=True))
    connection.close()
    for bundle in _bundles(city)[::20]:
        online = occasions_of_claim(bundle, store.history(bundle.claim, NO_LINES, claim_model.spec.name))
        assert online == batch[bundle.claim["claim_id"]]
    assert {o["patient"].regions["insured"] is None for o in batch.values()} == {False}


@pytest.mark.parametrize(("entity", "place"), [("patient", "insured"), ("provider", "care"), ("physician", None)])
def test_whoever_has_a_snapshot_is_judged_by_its_day_and_the_own_region(
    city: ClaimsFolder, catalogue: Catalogue, entity: str, place: Place | None
) -> None:
    day = datetime(2025, 3, 1)
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue)
    frame = builder.entities([], entity, pairs_on(known_entities(connection, entity)[:50], day))
    found = [row[entity] for row in occasions_in_frame(builder, frame)]
    connection.close()
    assert {o.day for o in found} == {day}
    assert {tuple(o.regions) for o in found} == {(place,) if place else ()}
    assert None not in {o.regions[place] for o in found if place}
