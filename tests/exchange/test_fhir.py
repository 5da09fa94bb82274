"""FHIR R4: a Claim in, a ClaimResponse or an OperationOutcome out."""

from __future__ import annotations

import copy
import json
from datetime import date, datetime
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud.claims.pseudonyms import pseudonym
from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue
from fraud.store import Store
from fraud.store.versions import StoredBundle
from fraud.web.app import build_app
from fraud.web.exchange.audit_settings import load_audit_settings
from fraud.web.running.door import Door
from fraud.web.running.runtime import Runtime
from tests.exchange.messages import FHIR, fhir_claim, item
from tests.exchange.rooms import runtime_on
from tests.web.client import Client

MEDIA_TYPE = "application/fhir+json"
KEY = b"0123456789abcdef"


def sent(client: Client, claim: Any, **headers: str) -> httpx.Response:
    return client.post(FHIR, content=json.dumps(claim).encode(), headers={"Content-Type": MEDIA_TYPE, **headers})


def response(client: Client, claim: Any, **headers: str) -> dict[str, Any]:
    """The ClaimResponse, which has what R4 asks of one."""
    answer = sent(client, claim, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    found: dict[str, Any] = answer.json()
    required = {"status", "type", "use", "patient", "created", "insurer", "outcome"}
    assert found["resourceType"] == "ClaimResponse"
    assert required <= found.keys()
    assert not any(_is_empty(v) for v in _values(found)), "FHIR has no nulls and nothing empty"
    return found


def issues(client: Client, claim: Any, status: int = 422) -> set[tuple[str, str]]:
    """Place and code of every issue of the OperationOutcome."""
    answer = sent(client, claim)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    found = answer.json()
    assert found["resourceType"] == "OperationOutcome"
    assert all(i["severity"] in ("fatal", "error") and i["code"] for i in found["issue"])
    return {(i.get("expression", [""])[0], i["details"]["coding"][0]["code"]) for i in found["issue"]}


def _values(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(v for i in inner for v in _values(i))]


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def kept(store: Store, claim_id: str = "claim-9") -> StoredBundle:
    found = store.claim(claim_id)
    assert found is not None
    return found


# --- in ---------------------------------------------------------------------------------------------------


def test_a_claim_arrives_in_the_canonical_columns(client: Client, store: Store) -> None:
    response(client, fhir_claim())
    found = kept(store)
    claim = found.claim
    assert (claim["patient_id"], claim["provider_id"], claim["physician_id"]) == ("p-17", "h-3", "d-8")
    assert (claim["visit_type"], claim["primary_diagnosis"]) == ("inpatient", "I109")
    assert (claim["admitted_at"], claim["discharged_at"]) == (datetime(2024, 3, 1, 9, 30), datetime(2024, 3, 3))
    assert claim["settled_at"] == datetime(2024, 3, 4)
    assert (claim["total_amount"], claim["fund_amount"], claim["currency"]) == (50.0, 50.0, "CNY")
    assert [(d["position"], d["code"], d["present_on_admission"]) for d in found.diagnoses] == [
        (1, "E119", None),
        (2, "I109", True),
    ]
    assert [(p["code"], p["performed_at"]) for p in found.procedures] == [("3722", datetime(2024, 3, 2))]
    line = found.lines[0]
    assert (line["line_no"], line["item_code"], line["item_name"]) == (1, "X1", "a service")
    assert (line["quantity"], line["unit_price"], line["amount"]) == (2.0, 5.0, 10.0)
    assert (line["service_at"], line["physician_id"]) == (datetime(2024, 3, 1, 10), "d-1")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"type": {"coding": [{"code": "pharmacy"}]}}, "pharmacy"),
        ({"type": {"coding": [{"code": "professional"}]}}, "outpatient"),
        ({"billablePeriod": {"start": "2024-03-01", "end": "2024-03-01"}}, "outpatient"),
        ({"subType": {"coding": [{"code": "inpatient-facility"}]}, "billablePeriod": None}, "inpatient"),
        ({"subType": {"coding": [{"code": "emergency"}]}}, "emergency"),
        ({"item": [item(1, locationCodeableConcept={"coding": [{"code": "23"}]})]}, "emergency"),
        (
            {
                "billablePeriod": {"start": "2024-03-01", "end": "2024-03-01"},
                "supportingInfo": [
                    {
                        "sequence": 1,
                        "category": {"coding": [{"code": "admissionperiod"}]},
                        "timingPeriod": {"start": "2024-02-27", "end": "2024-03-01"},
                    }
                ],
            },
            "inpatient",
        ),
    ],
)
def test_the_kind_of_visit_is_read_from_what_the_claim_says(
    client: Client, store: Store, changes: dict[str, Any], kind: str
) -> None:
    response(client, fhir_claim(**changes))
    assert kept(store).claim["visit_type"] == kind


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({"net": {"value": 7.5}}, 7.5),
        ({"factor": 0.5}, 5.0),
        ({"quantity": None}, 5.0),
        ({"net": {"value": 0}, "unitPrice": None}, 0.0),
    ],
)
def test_an_item_costs_its_net_or_else_price_times_quantity(
    client: Client, store: Store, changes: dict[str, Any], amount: float
) -> None:
    line = {n: v for n, v in item(1, **changes).items() if v is not None}
    response(client, fhir_claim(item=[line]))
    assert kept(store).lines[0]["amount"] == amount


def test_without_a_total_the_items_are_added_up(client: Client, store: Store) -> None:
    response(client, fhir_claim(items=3, total=None))
    assert kept(store).claim["total_amount"] == 30.0


def test_days_of_supply_come_from_the_information_that_an_item_names(client: Client, store: Store) -> None:
    days = {"sequence": 4, "category": {"coding": [{"code": "dayssupply"}]}, "valueQuantity": {"value": 30}}
    items = [item(1, informationSequence=[4]), item(2, informationSequence=[5])]
    response(client, fhir_claim(supportingInfo=[days], item=items))
    assert [line["days_supply"] for line in kept(store).lines] == [30.0, None]


def test_a_condition_within_the_claim_is_a_diagnosis(client: Client, store: Store) -> None:
    condition = {"resourceType": "Condition", "id": "c", "code": {"coding": [{"code": "J45.9"}]}}
    diagnosis = {"sequence": 1, "diagnosisReference": {"reference": "#c"}}
    response(client, fhir_claim(contained=[condition], diagnosis=[diagnosis]))
    assert kept(store).diagnoses[0]["code"] == "J459"


def test_what_stands_within_the_claim_about_a_person_counts_for_the_request(client: Client, store: Store) -> None:
    decision = store.decision(response(client, fhir_claim())["id"])
    assert decision is not None
    patient = orjson.loads(decision.request)["beside"]["patient"]
    assert (patient["sex"], patient["birth_date"]) == ("female", str(date(1956, 4, 1)))
    assert b"C. Patient" not in decision.request


@pytest.mark.parametrize(
    "changes",
    [{"use": "preauthorization"}, {"use": "predetermination"}, {"status": "draft"}, {"status": "cancelled"}],
)
def test_what_is_no_claim_for_money_is_scored_and_not_kept(
    client: Client, store: Store, changes: dict[str, Any]
) -> None:
    assert response(client, fhir_claim(**changes))["processNote"]
    assert store.claim("claim-9") is None


def test_elements_that_are_not_known_are_let_through(client: Client) -> None:
    odd = fhir_claim(_status={"id": "x"}, extension=[{"url": "u", "valueString": "v"}], anything={"a": [1]})
    odd["item"][0]["newElement"] = 3
    odd["contained"].append({"resourceType": "Basic", "id": "b", "type": 7, "code": "x", "name": 3})
    response(client, odd)


def test_plain_json_is_taken_as_well_and_other_media_types_are_not(client: Client) -> None:
    assert client.post(FHIR, json=fhir_claim()).status_code == 200
    answer = client.post(FHIR, content=b"<Claim/>", headers={"Content-Type": "application/fhir+xml"})
    assert (answer.status_code, answer.json()["resourceType"]) == (415, "OperationOutcome")


# --- out --------------------------------------------------------------------------------------------------


def test_findings_are_adjudications_of_the_items_behind_them_and_notes_in_words(client: Client) -> None:
    found = response(client, fhir_claim())
    assert [i["itemSequence"] for i in found["item"]] == [1, 2, 3, 4, 5]
    submitted, held = found["item"][0]["adjudication"]
    assert submitted["category"]["coding"][0]["code"] == "submitted"
    assert held["category"]["coding"][0] == {"system": "urn:fraud:adjudication", "code": "hold"}
    assert held["amount"] == {"value": 10.0, "currency": "CNY"}
    assert held["reason"]["coding"][0]["code"] == "claim.many_lines"
    (note,) = found["processNote"]
    assert (note["number"], note["text"]) == (found["item"][0]["noteNumber"][0], "5 lines; 3 at most.")
    assert {"url": "urn:fraud:action", "valueCode": "hold"} in found["extension"]


def test_findings_on_the_whole_claim_stand_at_its_head(client: Client) -> None:
    for day in (1, 2, 3):
        early = {"billablePeriod": {"start": f"2024-02-0{day}"}, "created": f"2024-02-0{day}"}
        response(client, fhir_claim(items=1, identifier=[{"value": f"e-{day}"}], **early))
    found = response(client, fhir_claim(items=1))
    (head,) = found["adjudication"]
    assert head["category"]["coding"][0]["code"] == "question"
    assert head["reason"]["coding"][0]["code"] == "claim.many_past"
    assert "noteNumber" not in found["item"][0]


def test_nothing_found_says_so_in_the_language_asked_for(client: Client) -> None:
    answer = client.post(f"{FHIR}?locale=zh-CN", json=fhir_claim(items=1))
    assert answer.json()["disposition"] == "未发现需要审核的情形。"
    assert "processNote" not in answer.json()
    assert client.post(f"{FHIR}?locale=xx", json=fhir_claim()).status_code == 400


def test_no_answer_says_that_anybody_is_guilty_of_anything(client: Client) -> None:
    text = json.dumps(response(client, fhir_claim())).lower().replace("urn:fraud", "")
    assert not any(word in text for word in ("fraud", "guilt", "commit"))


def test_a_decision_is_found_again_under_the_id_of_the_response(client: Client) -> None:
    found = response(client, fhir_claim())
    plain = client.get(f"/v1/decisions/{found['id']}").json()
    assert (plain["claim_id"], plain["action"]) == ("claim-9", "hold")


def test_the_same_key_gets_the_same_response_and_another_claim_is_refused(client: Client) -> None:
    key = {"Idempotency-Key": "k-1"}
    first, second = (sent(client, fhir_claim(), **key) for _ in range(2))
    assert first.content == second.content
    assert second.headers["idempotent-replayed"] == "true"
    other = sent(client, fhir_claim(items=2), **key)
    assert (other.status_code, other.json()["issue"][0]["code"]) == (422, "conflict")


# --- faults -----------------------------------------------------------------------------------------------


def test_all_faults_of_a_claim_are_named_at_once_where_they_stand(client: Client) -> None:
    claim = fhir_claim(use="gift", priority=None, created="2024-02-30", total={"value": -1})
    claim["item"][1]["net"] = {"value": -3}
    claim["item"][2] |= {"servicedDate": "2024-03-01"}
    claim["item"][3] |= {"productOrService": {"text": "no code"}, "sequence": "4"}
    claim["item"][4] |= {"unitPrice": {"value": "5"}}
    claim["diagnosis"][1]["sequence"] = 1
    claim["diagnosis"][0]["diagnosisCodeableConcept"] = None
    assert issues(client, claim) == {
        ("Claim.use", "not_in_set"),
        ("Claim.priority", "missing"),
        ("Claim.created", "not_a_time"),
        ("Claim.total.value", "negative"),
        ("Claim.item[1].net.value", "negative"),
        ("Claim.item[2].servicedDate", "not_in_set"),
        ("Claim.item[3].productOrService", "missing"),
        ("Claim.item[3].sequence", "not_a_number"),
        ("Claim.item[4].unitPrice.value", "not_a_number"),
        ("Claim.item[4].net.value", "missing"),
        ("Claim.diagnosis[1].sequence", "duplicate"),
        ("Claim.diagnosis[0].diagnosisCodeableConcept", "missing"),
    }


@pytest.mark.parametrize(
    "name", ["status", "type", "use", "patient", "created", "provider", "priority", "insurance", "resourceType"]
)
def test_what_r4_requires_of_a_claim_is_required(client: Client, name: str) -> None:
    assert issues(client, fhir_claim(**{name: None})) == {(f"Claim.{name}", "missing")}


def test_a_stay_cannot_end_before_it_began(client: Client) -> None:
    turned = fhir_claim(
        subType={"coding": [{"code": "inpatient"}]}, billablePeriod={"start": "2024-03-03", "end": "2024-03-01"}
    )
    assert issues(client, turned) == {("Claim.billablePeriod.end", "discharged_before_admitted")}


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100, b"3", b"[]", b'{"resourceType": "Patient"}'])
def test_what_is_no_claim_gets_an_operation_outcome(client: Client, body: bytes) -> None:
    answer = client.post(FHIR, content=body, headers={"Content-Type": MEDIA_TYPE})
    assert answer.status_code in (400, 422)
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_too_many_items_are_refused_before_any_is_read(client: Client) -> None:
    assert issues(client, {"item": [{}] * 2_001}, 413) == {("", "too-many-lines")}


def test_a_busy_service_says_so_with_a_time_to_wait(runtime: Runtime) -> None:
    client = Client(build_app(runtime, Door(most=0)))
    answer = sent(client, fhir_claim())
    client.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["issue"][0]["code"] == "throttled"


# --- persons ----------------------------------------------------------------------------------------------


def test_a_number_that_names_a_person_becomes_a_pseudonym_or_is_refused(
    client: Client, store: Store, two_rules: Catalogue, scorer: ClaimScorer
) -> None:
    named = fhir_claim(patient={"reference": "Patient/13800138000"})
    assert issues(client, named) == {("Claim.patient", "personal")}
    keyed = Client(build_app(runtime_on(store, two_rules, scorer), Door(seconds=60), load_audit_settings(key=KEY)))
    response(keyed, named)
    keyed.close()
    assert kept(store).claim["patient_id"] == pseudonym("13800138000", KEY)


# --- anything at all --------------------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(p for k, v in inner for p in _places(v, (*at, k)))]


_ALL = [p for p in _places(fhir_claim(items=1)) if p]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(_ALL), value=_json)
def test_whatever_stands_anywhere_in_a_claim_the_answer_is_a_resource(
    client: Client, place: tuple[Any, ...], value: Any
) -> None:
    claim = copy.deepcopy(fhir_claim(items=1))
    owner: Any = claim
    for step in place[:-1]:
        owner = owner[step]
    owner[place[-1]] = value
    answer = sent(client, claim)
    assert answer.status_code in (200, 400, 413, 422), answer.text
    assert answer.json()["resourceType"] in ("ClaimResponse", "OperationOutcome")
