"""Many claims scored at once are scored as each would be alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isnan
from typing import Any

import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.learning.model import FittedModel
from fraud.scoring.refresh import fill_store
from fraud.scoring.sample import claim_bundles
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle, History, Score
from fraud.scoring.triage import Triage
from fraud.signals.catalogue import Catalogue
from fraud.signals.rules import findings, regions_of_claim
from fraud.store import Store


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel
) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path_factory.mktemp('many') / 'store.db'}") as opened:
        fill_store(opened, city, catalogue, [claim_model])
        yield opened


@pytest.fixture(scope="module")
def scorer(store: Store, catalogue: Catalogue, claim_model: FittedModel) -> ClaimScorer:
    # A threshold that some of the claims pass.
    library = {"items": store.table("catalogue"), "exclusions": store.table("exclusions")}
    return ClaimScorer(catalogue, claim_model, triage=Triage(review=60), **library)


@pytest.fixture(scope="module")
def bundles(city: ClaimsFolder) -> list[ClaimBundle]:
    """Claims of the last weeks, and some of every month before."""
    found = list(claim_bundles(city))
    return [*found[-48:], *found[:: len(found) // 16]]


@pytest.fixture(scope="module")
def histories(store: Store, scorer: ClaimScorer, bundles: list[ClaimBundle]) -> list[History]:
    return store.histories([b.claim for b in bundles], scorer.wanted, "claim_risk")


def scores(found: list[Score | Exception]) -> list[Score]:
    assert not [e for e in found if isinstance(e, Exception)]
    return found  # type: ignore[return-value]


def said(score: Score) -> list[Any]:
    return [(f.signal.id, f.status, f.lines, f.amount, f.sentences) for f in score.findings]


def test_every_score_is_the_same_alone_and_among_many(
    scorer: ClaimScorer, bundles: list[ClaimBundle], histories: list[History]
) -> None:
    together = scores(scorer.score_many(bundles, histories, explain="full"))
    for bundle, history, many in zip(bundles, histories, together, strict=True):
        one = scorer.score(bundle, history, explain="full")
        assert (one.action, one.as_of, one.degraded, said(one)) == (many.action, many.as_of, many.degraded, said(many))
        assert one.risk is not None
        assert many.risk is not None
        for name in ("margin", "base", "probability", "probability_low", "probability_high", "percentile"):
            assert getattr(one.risk, name) == pytest.approx(getattr(many.risk, name), abs=1e-9), name
        assert one.risk.expected_recovery == pytest.approx(many.risk.expected_recovery, rel=1e-9)
        shares = [{r.signal: r.contribution for r in s.risk.reasons} for s in (one, many) if s.risk]
        assert shares[0] == pytest.approx(shares[1], abs=1e-9)


def test_only_what_is_flagged_is_explained_unless_asked(
    scorer: ClaimScorer, bundles: list[ClaimBundle], histories: list[History]
) -> None:
    found = scores(scorer.score_many(bundles, histories, explain="flagged"))
    assert {s.action for s in found} >= {"pass", "review"}
    for score in found:
        assert score.risk is not None
        assert bool(score.risk.reasons) == (score.action != "pass")
        assert isnan(score.risk.base) == (score.action == "pass")
    each = scores(scorer.score_many(bundles[:3], histories[:3], explain=["none", "reasons", "full"]))
    counts = [len(s.risk.reasons) for s in each if s.risk]
    assert counts[0] == 0
    assert 0 < counts[1] <= 4 < counts[2]


def test_a_claim_that_cannot_be_scored_harms_no_other(
    scorer: ClaimScorer, bundles: list[ClaimBundle], histories: list[History]
) -> None:
    spoilt = replace(bundles[1], claim={**bundles[1].claim, "settled_at": "yesterday"})
    found = scorer.score_many([bundles[0], spoilt, bundles[2]], histories[:3])
    assert isinstance(found[1], Exception)
    for place in (0, 2):
        score = found[place]
        assert isinstance(score, Score)
        assert said(score) == said(scorer.score(bundles[place], histories[place]))


def test_without_its_history_a_claim_is_scored_from_what_it_says_itself_and_rules_on_the_past_are_skipped(
    scorer: ClaimScorer, bundles: list[ClaimBundle], histories: list[History]
) -> None:
    known, unknown = scores(scorer.score_many(bundles[:2], [histories[0], None]))
    assert (known.degraded, unknown.degraded) == ((), ("history",))
    assert unknown.risk is not None
    past = {r.id for r in scorer.rules if {"past", "past_lines"} & set(r.scopes)}
    skipped = {f.signal.id for f in unknown.findings if f.status == "skipped"}
    assert past
    assert past <= skipped
    assert not past & {f.signal.id for f in unknown.findings if f.status == "hit"}
    assert past.isdisjoint(f.signal.id for f in known.findings if f.status == "skipped")
    again = scorer.score(bundles[1], None)
    assert (said(again), again.degraded) == (said(unknown), unknown.degraded)


def test_the_rules_that_are_left_say_what_all_of_them_say(
    scorer: ClaimScorer, bundles: list[ClaimBundle], histories: list[History]
) -> None:
    for bundle, history in zip(bundles, histories, strict=True):
        claim, values = bundle.claim, scorer.values(bundle, history)
        regions = regions_of_claim(claim)
        all_of_them = findings(scorer.catalogue, scorer.rules, values, claim["admitted_at"], regions=regions)
        told = scorer.score(bundle, history, explain="none").findings
        assert [(f.signal.id, f.status) for f in told] == [(f.signal.id, f.status) for f in all_of_them]


def test_no_claim_at_all_has_no_score(scorer: ClaimScorer) -> None:
    assert scorer.score_many([], []) == []
