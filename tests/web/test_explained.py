"""The service with a fitted model: risk, reasons, reports and snapshots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.learning.model import FittedModel
from fraud.scoring.refresh import fill_store
from fraud.scoring.sample import claim_body, recent_claims
from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue
from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.bodies.answers import ClaimScore, EntityRisk, ModelAnswer
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime, load_models
from tests.web.client import JSON, Client, check_problem

SCORE = "/v1/claims/score"


@pytest.fixture(scope="module")
def explained(
    tmp_path_factory: pytest.TempPathFactory, city: ClaimsFolder, catalogue: Catalogue, claim_model: FittedModel
) -> Iterator[Client]:
    """The service with the city as its history and the model of claims."""
    with Store(f"sqlite:///{tmp_path_factory.mktemp('served') / 'service.db'}") as store:
        fill_store(store, city, catalogue, [claim_model])
        scorer = ClaimScorer(
            catalogue, claim_model, items=store.table("catalogue"), exclusions=store.table("exclusions")
        )
        runtime = Runtime(store, catalogue, scorer, Models({"claim": claim_model}))
        client = Client(build_app(runtime, Door(seconds=60)))
        yield client
        client.close()


@pytest.fixture(scope="module")
def bodies(city: ClaimsFolder) -> list[dict[str, Any]]:
    """Claims of the city as a claim system would send them."""
    return [claim_body(city, claim_id) for claim_id in sorted(recent_claims(city))[:20]]


def send(client: Client, given: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = client.post(
        SCORE, content=orjson.dumps(given | {"options": {"explain": "reasons", **options}}), headers=JSON
    )
    assert answer.status_code == 200, answer.text
    ClaimScore.model_validate_json(answer.content)
    found: dict[str, Any] = answer.json()
    return found


def test_claims_of_the_city_are_scored_with_the_model(explained: Client, bodies: list[dict[str, Any]]) -> None:
    answers = [send(explained, b) for b in bodies]
    assert all(0 <= a["risk"]["probability"] <= 1 for a in answers)
    assert all(len(a["risk"]["reasons"]) <= 4 for a in answers)
    assert {a["model"]["name"] for a in answers} == {"claim_risk"}
    assert all(a["degraded"] == [] for a in answers)
    assert any(r["sentence"] for a in answers for r in a["risk"]["reasons"])


def test_only_a_violation_holds_a_payment(explained: Client, bodies: list[dict[str, Any]]) -> None:
    for given in bodies:
        answer = send(explained, given)
        holds = [f for f in answer["findings"] if f["status"] == "hit" and f["kind"] == "violation"]
        assert (answer["action"] == "hold") == bool(holds)


def test_in_full_the_contributions_add_up_to_the_margin(explained: Client, bodies: list[dict[str, Any]]) -> None:
    for given in bodies[:5]:
        risk = send(explained, given, explain="full")["risk"]
        total = risk["base"] + sum(r["contribution"] for r in risk["reasons"])
        assert total == pytest.approx(risk["margin"], abs=1e-9)


def test_without_explanation_there_are_no_reasons_and_no_base(explained: Client, bodies: list[dict[str, Any]]) -> None:
    risk = send(explained, bodies[0], explain="none")["risk"]
    assert (risk["reasons"], risk["base"]) == ([], None)


def test_sentences_come_in_chinese_when_asked(explained: Client, bodies: list[dict[str, Any]]) -> None:
    told = [r["sentence"] for b in bodies[:5] for r in send(explained, b, locale="zh-CN")["risk"]["reasons"]]
    assert told
    assert all(re.search(r"[\u4e00-\u9fff]", sentence) for sentence in told)


# --- reports ----------------------------------------------------------------------------------------------


def report(client: Client, claim_id: str, accept: str, **query: str) -> Any:
    return client.get(f"/v1/claims/{claim_id}/report", headers={"Accept": accept}, params=query)


def test_the_report_of_a_claim_says_what_its_score_said(explained: Client, bodies: list[dict[str, Any]]) -> None:
    score = send(explained, bodies[0], explain="full")
    answer = report(explained, score["claim_id"], "application/json")
    assert (answer.status_code, answer.headers["vary"]) == (200, "Accept")
    found = answer.json()
    assert (found["entity"], found["entity_id"]) == ("claim", score["claim_id"])
    assert found["probability"] == pytest.approx(score["risk"]["probability"])
    assert found["margin"] == pytest.approx(score["risk"]["margin"])
    assert [r["signal"] for r in found["reasons"]] == [r["signal"] for r in score["risk"]["reasons"]]
    assert found["provenance"]["run_id"] == score["request_id"]


@pytest.mark.parametrize(("locale", "language"), [("en", "en"), ("zh-CN", "zh")])
def test_the_report_is_a_page_in_both_languages(
    explained: Client, bodies: list[dict[str, Any]], locale: str, language: str
) -> None:
    claim_id = bodies[1]["claim"]["claim_id"]
    answer = report(explained, claim_id, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", locale=locale)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert f'lang="{language}' in answer.text
    assert "<script" not in answer.text
    assert claim_id in answer.text


@pytest.mark.parametrize("accept", ["application/msword", "text/csv;q=1, image/*", "text/html;q=0"])
def test_a_report_in_a_format_that_there_is_not_names_those_that_there_are(
    explained: Client, bodies: list[dict[str, Any]], accept: str
) -> None:
    problem = check_problem(report(explained, bodies[0]["claim"]["claim_id"], accept), 406, "not-acceptable")
    assert "application/json, text/html, application/pdf" in problem["detail"]


def test_a_claim_that_was_scored_but_not_kept_has_a_report(explained: Client, bodies: list[dict[str, Any]]) -> None:
    given = bodies[2] | {"claim": bodies[2]["claim"] | {"claim_id": "passing"}}
    for items in ("lines", "diagnoses", "procedures"):
        given[items] = [{k: v for k, v in r.items() if k != "claim_id"} for r in given[items]]
    score = send(explained, given, store=False)
    assert report(explained, "passing", "*/*").json()["probability"] == pytest.approx(score["risk"]["probability"])


def test_a_claim_that_nobody_knows_has_no_report(explained: Client) -> None:
    check_problem(report(explained, "nobody", "*/*"), 404, "not-found")


def test_a_language_that_there_is_not_is_a_problem(explained: Client, bodies: list[dict[str, Any]]) -> None:
    claim_id = bodies[0]["claim"]["claim_id"]
    check_problem(report(explained, claim_id, "*/*", locale="fr"), 400, "bad-query")


# --- providers, patients, physicians ------------------------------------------------------------------------


def test_a_kind_without_a_model_says_which_models_there_are(explained: Client) -> None:
    for kind in ("providers", "patients", "physicians"):
        problem = check_problem(explained.get(f"/v1/{kind}/x/risk"), 404, "no-model")
        assert "there are models of: claims" in problem["detail"]


def test_the_risk_of_a_provider_comes_from_its_latest_snapshot(
    explained: Client, claim_model: FittedModel, city: ClaimsFolder
) -> None:
    """The model of claims reads provider snapshots too: under another spec it stands in for one of providers."""
    runtime: Runtime = explained.app.state.runtime
    stand_in = replace(claim_model, spec=replace(claim_model.spec, entity="provider"))
    models = Models({**runtime.models.loaded, "provider": stand_in})
    client = Client(build_app(replace(runtime, models=models), Door(seconds=60)))
    provider_id = claim_body(city, sorted(recent_claims(city))[0])["claim"]["provider_id"]
    answer = client.get(f"/v1/providers/{provider_id}/risk", params={"locale": "zh-CN"})
    assert answer.status_code == 200, answer.text
    EntityRisk.model_validate_json(answer.content)
    found = answer.json()
    assert (found["entity"], found["entity_id"]) == ("provider", provider_id)
    # The snapshot lacks what only a claim has, and the answer says so.
    assert found["degraded"]
    assert not any(name.startswith("provider.") for name in found["degraded"])
    problem = check_problem(client.get("/v1/providers/nobody/risk"), 404, "not-found")
    assert problem["detail"] == "This provider is not known."
    client.close()


# --- models -----------------------------------------------------------------------------------------------


def test_the_model_in_force_is_told_with_its_figures(explained: Client, claim_model: FittedModel) -> None:
    answer = explained.get("/v1/model")
    ModelAnswer.model_validate_json(answer.content)
    found = answer.json()
    assert (found["name"], found["version"]) == ("claim_risk", claim_model.version)
    assert found["fitted_on"] == claim_model.as_of
    assert found["models"]["claim"]["data"] == claim_model.data_digest


def test_a_model_that_is_not_registered_is_no_failure_and_one_that_breaks_is(
    claim_model: FittedModel, tracking: tuple[str, Path], catalogue: Catalogue
) -> None:
    from fraud.learning import load_model

    def load(name: str) -> FittedModel:
        if name == "broken":
            raise OSError("disk")
        return load_model(name, str(claim_model.version), tracking[0], catalogue)

    found = load_models({"claim": "claim_risk", "provider": "never_trained", "patient": "broken"}, load)
    assert set(found.loaded) == {"claim"}
    assert found.failed == {"patient": "OSError"}
