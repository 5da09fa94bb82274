"""Cases over HTTP, with keys of every role: the queue, one case, changes, decisions, and who may do what."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from fraud.review.cases.reviewing import reviews
from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Keys, Ledger, Store
from fraud.store.ledger import Record
from fraud.web.app import build_app
from fraud.web.openapi import description
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.access.parts import bearer
from tests.cases.parts import Clock
from tests.web.client import Client, body, check_problem
from tests.web.room import write_room

CASES, SCORE, OUTCOMES = "/v1/cases", "/v1/claims/score", "/v1/outcomes"
PEOPLE = {"gateway": "claims-system", "ann": "investigator", "bob": "investigator", "eve": "investigator"}
PEOPLE |= {"sue": "supervisor", "ada": "auditor"}
PROPOSE = {"decision": "propose", "result": "violation", "reason": "Two were billed.", "violation": "T07", "amount": 60}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalogue, ClaimScorer]:
    """More than three lines may hold a payment."""
    catalogue = load_catalogue(write_room(tmp_path_factory.mktemp("home")) / "features")
    return catalogue, ClaimScorer(catalogue, None)


@pytest.fixture
def runtime(store: Store, room: tuple[Catalogue, ClaimScorer], clock: Clock) -> Iterator[Runtime]:
    made = Runtime(store, *room, Models(), now=clock)
    yield made
    made.guard.close()
    made.histories.close()


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    opened = Client(build_app(runtime, Door(seconds=60)))
    yield opened
    opened.close()


class _Secrets(dict[str, str]):
    """The key of each person, made when it is first needed."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def __missing__(self, who: str) -> str:
        self[who] = self._keys.add(who, PEOPLE[who], "person:x")[1]
        return self[who]


class Desk:
    """Sends requests in somebody's name."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self.client = client
        self.secrets = _Secrets(keys)

    def send(self, who: str, method: str, address: str, json: Any = None, **headers: str) -> httpx.Response:
        return self.client.send(method, address, json=json, headers=bearer(self.secrets[who], **headers))

    def flag(self, claim_id: str = "c-1", lines: int = 4, **claim: Any) -> dict[str, Any]:
        """The answer to a claim with so many lines."""
        sent = body(claim_id, **claim)
        sent["lines"] = [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 30} for n in range(lines)]
        answer: dict[str, Any] = self.send("gateway", "POST", SCORE, sent).raise_for_status().json()
        return answer

    def opened(self, claim_id: str = "c-1", **claim: Any) -> str:
        """The address of the case of a claim that is held."""
        return f"{CASES}/{self.flag(claim_id, **claim)['case']['id']}"

    def patch(self, who: str, address: str, **changes: Any) -> httpx.Response:
        return self.send(who, "PATCH", address, changes)

    def decide(self, who: str, address: str, decision: str, **more: Any) -> httpx.Response:
        return self.send(who, "POST", f"{address}/decisions", {"decision": decision, **more})


@pytest.fixture
def desk(client: Client, store: Store) -> Desk:
    return Desk(client, Keys(store.database))


# --- opening ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("002-71")
def test_a_held_claim_names_its_case_with_priority_and_due_time_and_the_case_is_there(desk: Desk) -> None:
    answer = desk.flag()
    assert answer["action"] == "hold"
    assert answer["case"] == {"id": "KWMOQK4KJY7ORUWH", "priority": "important", "due_at": "2026-03-03T09:00:00"}
    found = desk.send("ann", "GET", f"{CASES}/{answer['case']['id']}").json()
    assert (found["state"], found["entity_id"], found["request_id"]) == ("open", "c-1", answer["request_id"])
    assert (found["findings"], found["violation"]) == (["claim.many_lines"], "T07")
    assert (found["severity"], found["amount"]) == ("serious", 90.5)


def test_a_claim_that_passes_or_is_not_kept_opens_no_case(desk: Desk) -> None:
    assert desk.flag(lines=2)["case"] is None
    sent = body("c-2") | {"options": {"store": False}}
    sent["lines"] = [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 30} for n in range(4)]
    answer = desk.send("gateway", "POST", SCORE, sent).json()
    assert (answer["action"], answer["case"]) == ("hold", None)
    assert desk.send("ann", "GET", CASES).json()["total"] == 0


def test_a_claim_that_is_sent_again_keeps_its_case_and_brings_new_figures(desk: Desk, clock: Clock) -> None:
    first = desk.flag()
    clock.pass_by(hours=1)
    same, other = desk.flag(), desk.flag(lines=6, uploaded_at="2026-03-02T10:00:00")
    assert first["case"] == same["case"] == other["case"]
    found = desk.send("ann", "GET", f"{CASES}/{first['case']['id']}").json()
    assert found["request_id"] == other["request_id"]
    # The same version again is nothing new; another one is.
    assert [(e["number"], e["what"], e["who"]) for e in found["history"]] == [
        (1, "opened", ""),
        (2, "scored_again", ""),
    ]
    assert found["revision"] == 1


def test_what_was_decided_is_opened_again_by_another_version_only(desk: Desk) -> None:
    address = desk.opened()
    desk.patch("ann", address, take=True)
    assert desk.decide("ann", address, "unfounded", reason="all were done").json()["state"] == "unfounded"
    assert f"{CASES}/{desk.flag()['case']['id']}" == address
    assert desk.decide("ann", address, "close").json()["state"] == "closed"
    assert desk.flag()["case"] is None
    again = desk.flag(lines=7)["case"]
    assert f"{CASES}/{again['id']}" != address
    assert desk.send("ann", "GET", CASES + "?state=open").json()["cases"][0]["id"] == again["id"]


def test_claims_that_come_in_one_list_open_their_cases_together(desk: Desk) -> None:
    lines = [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 30} for n in range(4)]
    sent = [body(f"c-{n}") | {"lines": lines} for n in (1, 2, 1)] + [body("c-3")]
    answers = desk.send("gateway", "POST", "/v1/claims/score-batch", sent).json()
    assert [a["case"] and a["case"]["id"] for a in answers[::2]] == [answers[0]["case"]["id"]] * 2
    assert answers[3]["case"] is None
    assert desk.send("ann", "GET", CASES).json()["total"] == 2


def test_the_same_key_gets_the_same_case_again(desk: Desk) -> None:
    sent = body() | {"lines": [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 30} for n in range(4)]}
    first, second = (desk.send("gateway", "POST", SCORE, sent, Idempotency_Key="k-1") for _ in range(2))
    assert first.content == second.content
    assert desk.send("ann", "GET", CASES).json()["total"] == 1


# --- the workflow -----------------------------------------------------------------------------------------


@pytest.mark.requirement("000-48", "002-24", "002-45")
def test_a_case_goes_its_way_from_the_queue_to_an_upheld_appeal(desk: Desk, store: Store) -> None:
    address = desk.opened()
    (listed,) = desk.send("ann", "GET", CASES + "?state=open,assigned&order=-worth&counts=true").json()["cases"]
    assert address.endswith(listed["id"])
    taken = desk.patch("ann", address, take=True, note={"text": "called the ward"}, revision=1).json()
    assert (taken["state"], taken["assignee"], taken["revision"]) == ("assigned", "ann", 3)
    waiting = desk.patch("ann", address, evidence={"asked": "the record", "of": "h-1"}).json()
    assert (waiting["state"], waiting["paused"], waiting["due_at"]) == ("evidence", True, None)
    desk.patch("ann", address, evidence={"arrived": True}, check={"explanation": "A long stay.", "answer": "open"})
    assert desk.decide("ann", address, **PROPOSE).json()["state"] == "proposed"
    check_problem(desk.decide("ann", address, "confirm"), 403, "case-person")
    signed = desk.decide("bob", address, "confirm", remark="as the record says").json()
    assert (signed["state"], signed["proposer"], signed["signer"]) == ("confirmed", "ann", "bob")
    check_problem(desk.decide("bob", address, "confirm"), 409, "case-state")
    assert desk.decide("ann", address, "appeal", reason="all were done", by="h-1").json()["state"] == "appealed"
    closed = desk.decide("eve", address, "decide_appeal", upheld=True, reason="the record was found").json()
    assert closed["state"] == "closed"
    found = desk.send("ann", "GET", address).json()
    assert [e["state_after"] for e in found["history"]] == [
        "open", "assigned", "assigned", *["evidence"] * 3, "proposed", "confirmed", "appealed", "closed"
    ]  # fmt: skip
    assert found["possible"] == ["follow_up", "recover", "note"]
    validator(description_of("CaseFileAnswer")).validate(found)


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema)


def description_of(name: str) -> dict[str, Any]:
    document = json.loads(description())
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def test_the_sample_of_a_change_is_as_described_and_is_taken(desk: Desk) -> None:
    call = json.loads(description())["paths"]["/v1/cases/{id}"]["patch"]
    sample = call["requestBody"]["content"]["application/json"]["examples"]["sample"]["value"]
    validator(description_of("CasePatch")).validate(sample)
    changed = desk.patch("ann", desk.opened(), **sample).raise_for_status().json()
    validator(description_of("CaseStanding")).validate(changed)
    assert (changed["state"], changed["assignee"]) == ("evidence", "ann")


def test_a_step_that_is_not_allowed_names_those_that_are(desk: Desk) -> None:
    problem = check_problem(desk.decide("ann", desk.opened(), "confirm"), 409, "case-state")
    assert problem["detail"] == (
        "A case that is open cannot confirm. From here: take, assign, prioritise, attach, note."
    )


def test_an_older_revision_is_refused_and_changes_nothing(desk: Desk) -> None:
    address = desk.opened()
    assert desk.patch("ann", address, take=True, revision=1).status_code == 200
    check_problem(desk.patch("sue", address, assignee="bob", revision=1), 409, "case-changed")
    check_problem(desk.decide("ann", address, **PROPOSE, revision=1), 409, "case-changed")
    assert desk.send("ann", "GET", address).json()["assignee"] == "ann"


def test_all_of_a_change_is_made_or_nothing(desk: Desk) -> None:
    address = desk.opened()
    problem = check_problem(desk.patch("ann", address, take=True, priority="normal"), 422, "faults")
    assert [e["pointer"] for e in problem["errors"]] == ["/reason"]
    assert desk.send("ann", "GET", address).json()["state"] == "open"


def test_a_decision_with_a_key_is_made_once(desk: Desk) -> None:
    address = desk.opened()
    desk.patch("ann", address, take=True)
    sent = [desk.send("ann", "POST", f"{address}/decisions", PROPOSE, Idempotency_Key="p-1") for _ in range(2)]
    assert sent[0].content == sent[1].content
    assert sent[1].headers["idempotent-replayed"] == "true"
    other = desk.opened("c-2")
    desk.patch("ann", other, take=True)
    assert desk.send("ann", "POST", f"{other}/decisions", PROPOSE, Idempotency_Key="p-1").json()["entity_id"] == "c-2"


def test_a_file_is_handed_in_and_comes_back_with_the_archive(desk: Desk) -> None:
    address = desk.opened()
    content = base64.b64encode(b"%PDF a record").decode()
    desk.patch("ann", address, take=True, file={"name": "r.pdf", "media_type": "application/pdf", "content": content})
    (file,) = desk.send("ann", "GET", address).json()["attachments"]
    answer = desk.send("ada", "GET", f"{address}/files/{file['number']}")
    assert (answer.content, answer.headers["content-type"]) == (b"%PDF a record", "application/pdf")
    assert answer.headers["content-disposition"].startswith("attachment")
    check_problem(desk.send("ann", "GET", f"{address}/files/99"), 404, "not-found")
    with zipfile.ZipFile(io.BytesIO(desk.send("sue", "GET", f"{address}/pack").content)) as archive:
        names = set(archive.namelist())
    assert {"manifest.json", "decision.json", "reports/report.html", f"files/{file['number']:03d} r.pdf"} <= names


# --- what is sent wrongly ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "end", "sent", "faults"),
    [
        ("PATCH", "", {}, "missing"),
        ("PATCH", "", {"tak": True}, "/tak unknown_field"),
        ("PATCH", "", {"take": "yes", "priority": "soon"}, "/take not_a_boolean, /priority not_in_set"),
        ("PATCH", "", {"note": {"text": ""}, "revision": 1.5}, "/note/text empty, /revision not_a_whole_number"),
        ("PATCH", "", {"evidence": {"days": 0}}, "/evidence/days out_of_range"),
        ("PATCH", "", {"evidence": []}, "/evidence not_an_object"),
        ("PATCH", "", {"evidence": {"kind": "file"}}, "/evidence/asked missing"),
        ("PATCH", "", {"check": {"explanation": "A long stay.", "answer": "refuted"}}, "/check/remark missing"),
        ("PATCH", "", {"file": {"name": "a", "media_type": "?", "content": ""}},
         "/file/media_type bad_media_type, /file/content bad_size"),
        ("PATCH", "", {"hand_back": True}, "/reason missing"),
        ("PATCH", "", {"file": {"name": "a", "content": "?"}}, "/file/media_type missing, /file/content not_base64"),
        ("PATCH", "", {"follow_up": {"on": "soon", "satisfaction": 9}},
         "/follow_up/on not_a_date, /follow_up/satisfaction out_of_range"),
        ("POST", "/decisions", {}, "/decision missing"),
        ("POST", "/decisions", [], "not_an_object"),
        ("POST", "/decisions", {"decision": "nod"}, "/decision not_in_set"),
        ("POST", "/decisions", {"decision": "propose", "amount": -1},
         "/result missing, /reason missing, /amount negative"),
        ("POST", "/decisions", {"decision": "propose", "result": "violation", "reason": "r"},
         "/violation missing, /amount missing"),
        ("POST", "/decisions", {"decision": "close", "why": 1}, "/why unknown_field"),
    ],
)  # fmt: skip
def test_all_faults_of_a_body_are_named(desk: Desk, method: str, end: str, sent: Any, faults: str) -> None:
    address = desk.opened()
    desk.patch("ann", address, take=True)
    problem = check_problem(desk.send("ann", method, address + end, sent), 422, "faults")
    assert {f"{e['pointer']} {e['code']}".strip() for e in problem["errors"]} == set(faults.split(", "))


@pytest.mark.parametrize(
    "query",
    ["stat=open", "state=opened", "violation=T99", "priority=high", "order=name", "most=0", "most=x", "skip=-1",
     "overdue=yes", "amount_at_least=nan", "amount_at_least=much", "week=soon", "opened_from=2026-03-01T09:00:00Z",
     "selected_by=luck", "counts=1", "text="],
)  # fmt: skip
def test_a_query_that_cannot_be_is_refused(desk: Desk, query: str) -> None:
    check_problem(desk.send("ann", "GET", f"{CASES}?{query}"), 400, "bad-query")


# --- who may do what --------------------------------------------------------------------------------------


@pytest.mark.requirement("002-39")
def test_auditors_read_cases_and_systems_see_none(desk: Desk) -> None:
    address = desk.opened()
    assert desk.send("ada", "GET", address).json()["possible"] == []
    check_problem(desk.patch("ada", address, take=True), 403, "not-allowed")
    for call in (CASES, address):
        check_problem(desk.send("gateway", "GET", call), 403, "not-allowed")


@pytest.mark.requirement("002-44")
def test_only_a_supervisor_who_says_why_sees_whom_a_case_is_about(desk: Desk) -> None:
    address = desk.opened()
    names = {who: desk.send(who, "GET", address).json()["patient_id"] for who in ("ann", "sue", "ada")}
    assert len(set(names.values())) == 1
    assert names["ann"].startswith("patient:")
    shown = desk.send("sue", "GET", address, X_Purpose="complaint 2026-17").json()
    assert shown["patient_id"] == "p-1"
    assert "p-1" not in desk.send("ann", "GET", CASES).text
    assert "p-1" not in desk.patch("ann", address, take=True).text


@pytest.mark.requirement("002-39")
def test_a_key_with_bounds_lists_and_finds_only_what_lies_within(desk: Desk, store: Store) -> None:
    east = desk.opened("c-east", provider_id="h-1", care_region="330106")
    west = desk.opened("c-west", provider_id="h-2", care_region="510104")
    keys = Keys(store.database)
    for name, bounds in (("sky", {"regions": ["33*"]}), ("sea", {"providers": ["h-1"]})):
        desk.secrets[name] = keys.add(name, "investigator", "person:x", **bounds)[1]  # type: ignore[arg-type]
        page = desk.send(name, "GET", CASES + "?counts=true").json()
        assert ([c["entity_id"] for c in page["cases"]], page["counts"]["total"]) == (["c-east"], 1)
        assert desk.send(name, "GET", east).status_code == 200
        for answer in (desk.send(name, "GET", west), desk.patch(name, west, take=True)):
            check_problem(answer, 404, "not-found")
    assert desk.send("ann", "GET", west).json()["state"] == "open"


@pytest.mark.requirement("000-32")
def test_every_review_is_a_row_of_when_who_which_document_how_much_what_why_and_by_which_versions(
    desk: Desk, store: Store, clock: Clock
) -> None:
    address = desk.opened()
    desk.patch("ann", address, take=True)
    desk.decide("ann", address, **PROPOSE)
    clock.pass_by(hours=1)
    desk.decide("bob", address, "confirm", remark="as the record says")
    first, second = reviews(store, datetime(2026, 3, 1), datetime(2026, 4, 1))
    assert (first.at, first.who, first.entity, first.document) == (datetime(2026, 3, 2, 9), "ann", "claim", "c-1")
    assert (first.amount, first.confirmed_amount, first.decision) == (90.5, 60, "proposed")
    assert (first.result, first.reason) == ("improper_payment", "Two were billed.")
    assert first.versions == ("claim.many_lines@1",)
    assert (second.at, second.who, second.decision) == (datetime(2026, 3, 2, 10), "bob", "confirmed")
    assert list(reviews(store, datetime(2026, 4, 1), datetime(2026, 5, 1))) == []


def test_whoever_reads_or_changes_a_case_stands_in_the_ledger_once(desk: Desk, store: Store) -> None:
    address = desk.opened()
    desk.send("ann", "GET", CASES)
    desk.send("ann", "GET", address)
    desk.patch("ann", address, take=True)
    ledger = Ledger(store.database)
    entries = ledger.entries(Record("case", address.rpartition("/")[2]))
    assert [e.what for e in reversed(entries)] == ["case.read", "case.taken"]
    assert {e.person for e in entries} == {ledger.name(Record("patient", "p-1"))}
    assert "cases.listed" in {e.what for e in ledger.entries(most=20)}


def test_money_that_came_back_is_entered_once_and_corrected_by_an_entry_of_its_own(desk: Desk) -> None:
    address = desk.opened()
    desk.patch("ann", address, take=True)
    desk.send("ann", "POST", f"{address}/decisions", PROPOSE)
    check_problem(desk.patch("ann", address, payment={"amount": 1, "on": "2026-03-02"}), 409, "case-state")
    desk.decide("bob", address, "confirm")
    paid = {"payment": {"amount": 45.5, "on": "2026-03-02", "reference": "t-1"}}
    for _ in range(2):
        answer = desk.send("ann", "PATCH", address, paid, **{"Idempotency-Key": "pay-1"})
        assert (answer.status_code, answer.json()["recovered_amount"]) == (200, 45.5)
    schemas = json.loads(description())["components"]["schemas"]
    file = desk.send("ada", "GET", address).json()
    validator({"$ref": "#/components/schemas/CaseFileAnswer", "components": {"schemas": schemas}}).validate(file)
    (entry,) = file["payments"]
    assert (entry["amount"], entry["reference"], entry["recorded_by"]) == (45.5, "t-1", "ann")
    number = entry["number"]
    wrong = desk.patch("ann", address, payment={"amount": 99, "corrects": number, "reason": "too much"})
    assert [(e["pointer"], e["code"]) for e in check_problem(wrong, 422, "faults")["errors"]] == [
        ("/payment/amount", "more_than_left")
    ]
    less = desk.patch("ann", address, payment={"amount": 5.5, "corrects": number, "reason": "another case"})
    assert less.json()["recovered_amount"] == 40.0
    check_problem(desk.patch("ada", address, **paid), 403, "not-allowed")


def test_a_number_that_is_no_case_is_not_found(desk: Desk) -> None:
    for number in ("NOSUCHCASE", "%00", "a b", "漢"):
        check_problem(desk.send("ann", "GET", f"{CASES}/{number}"), 404, "not-found")


def test_a_claim_of_an_interface_opens_its_case_when_it_is_settled(desk: Desk, tmp_path: Path) -> None:
    items = [
        {"sequence": n, "productOrService": {"coding": [{"code": "X"}]}, "net": {"value": 30, "currency": "CNY"}}
        for n in range(1, 5)
    ]
    claim = {
        "resourceType": "Claim", "id": "c-5", "status": "active", "use": "claim", "created": "2026-03-01",
        "type": {"coding": [{"code": "professional"}]}, "priority": {"coding": [{"code": "normal"}]},
        "patient": {"identifier": {"value": "p-1"}}, "provider": {"reference": "Organization/h-1"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/1"}}], "item": items,
    }  # fmt: skip
    headers = bearer(desk.secrets["gateway"]) | {"Content-Type": "application/fhir+json"}
    desk.client.post("/fhir/Claim/$score", content=json.dumps(claim), headers=headers).raise_for_status()
    (case,) = desk.send("ann", "GET", CASES).json()["cases"]
    assert (case["entity_id"], case["opened_at"]) == ("c-5", datetime(2026, 3, 2, 9).isoformat())
