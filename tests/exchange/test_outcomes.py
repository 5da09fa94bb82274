from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from fraud.claims.schema import TABLES
from fraud.store import Store
from fraud.web.exchange.outcomes import OutcomesAnswer
from tests.web.client import Client, check_problem

OUTCOMES = "/v1/outcomes"
FOUND: dict[str, Any] = {
    "entity": "provider",
    "entity_id": "h-3",
    "verdict": "confirmed_abuse",
    "violation": "T07",
    "period_from": "2024-01-01",
    "period_to": "2024-03-31",
    "decided_at": "2024-04-02T15:00:00",
    "amount": 60.5,
    "investigators": ["a-1", "a-2"],
    "source": "desk audit",
}


def test_every_column_of_an_outcome_arrives_where_labels_are_made_from(client: Client, store: Store) -> None:
    answer = client.post(OUTCOMES, json=FOUND)
    OutcomesAnswer.model_validate(answer.json(), strict=True)
    assert answer.json()["outcomes"] == [{"entity": "provider", "entity_id": "h-3", "status": "added"}]
    (row,) = store.table("outcomes").to_pylist()
    assert set(FOUND) == set(TABLES["outcomes"].by_name)
    assert {c: v.isoformat() if hasattr(v, "isoformat") else v for c, v in row.items()} == FOUND


def test_an_outcome_that_is_sent_again_changes_nothing(client: Client, store: Store) -> None:
    given = {"outcomes": [FOUND, FOUND, {**FOUND, "violation": None}]}
    assert client.post(OUTCOMES, json=given).json()["counts"] == {"added": 2, "unchanged": 1}
    assert client.post(OUTCOMES, json=given).json()["counts"] == {"unchanged": 3}
    assert len(store.table("outcomes")) == 2


def test_what_was_found_is_never_changed_and_the_sender_is_told(client: Client, store: Store) -> None:
    client.post(OUTCOMES, json=FOUND)
    answer = client.post(OUTCOMES, json={**FOUND, "amount": 1})
    assert answer.json()["counts"] == {"different": 1}
    assert store.table("outcomes").to_pylist()[0]["amount"] == 60.5
    corrected = {**FOUND, "amount": 1, "decided_at": "2024-04-09"}
    assert client.post(OUTCOMES, json=corrected).json()["counts"] == {"added": 1}


@pytest.mark.requirement("001-76")
@pytest.mark.parametrize("verdict", TABLES["outcomes"].by_name["verdict"].values)
def test_fraud_errors_in_data_and_errors_in_operation_are_told_apart(
    client: Client, store: Store, verdict: str
) -> None:
    client.post(OUTCOMES, json={**FOUND, "verdict": verdict})
    assert store.table("outcomes").to_pylist()[0]["verdict"] == verdict


def test_all_faults_of_all_outcomes_are_named_at_once_and_nothing_is_stored(client: Client, store: Store) -> None:
    bad = {"entity": "house", "verdict": "guilty", "violation": "T99", "period_from": "2024-02-01"}
    bad |= {"period_to": "2024-01-01", "investigators": "a-1", "amount": -1, "decidet_at": "2024-01-01"}
    problem = check_problem(client.post(OUTCOMES, json={"outcomes": [FOUND, bad]}), 422, "faults")
    assert {(e["pointer"].removeprefix("/outcomes/1"), e["code"]) for e in problem["errors"]} == {
        ("/entity", "not_in_set"),
        ("/entity_id", "missing"),
        ("/verdict", "not_in_set"),
        ("/violation", "not_in_set"),
        ("/period_to", "period_reversed"),
        ("/investigators", "not_a_list"),
        ("/amount", "negative"),
        ("/decided_at", "missing"),
        ("/decidet_at", "unknown_field"),
    }
    assert len(store.table("outcomes")) == 0


def test_faults_of_a_single_outcome_are_named_at_its_own_places(client: Client) -> None:
    problem = check_problem(client.post(OUTCOMES, json={**FOUND, "amount": "much"}), 422, "faults")
    assert [e["pointer"] for e in problem["errors"]] == ["/amount"]
    unknown = check_problem(client.post(OUTCOMES, json={**FOUND, "verdikt": "waste"}), 422, "faults")
    assert 'did you mean "verdict"' in unknown["errors"][0]["detail"]


@pytest.mark.parametrize("given", [{}, [], {"outcomes": []}, {"outcomes": [FOUND] * 1_001}, {"outcomes": [3]}, "x"])
def test_what_is_no_outcome_is_refused(client: Client, given: Any) -> None:
    check_problem(client.post(OUTCOMES, json=given), 422, "faults")


def test_an_outcome_is_there_for_training_with_the_moment_it_was_decided(client: Client, store: Store) -> None:
    client.post(OUTCOMES, json={**FOUND, "decided_at": "2024-05-01"})
    assert store.table("outcomes").column("decided_at").to_pylist() == [datetime(2024, 5, 1)]
