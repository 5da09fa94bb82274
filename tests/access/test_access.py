"""Who may make which call, for whose records, how often, and who they get to see."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest

from fraud.errors import SpecError
from fraud.store import Keys, Ledger, Store
from fraud.store.keys import ROLES
from fraud.store.ledger import Record, Seal
from fraud.web.access.guard import RULES, Guard, demands_of, is_local
from fraud.web.app import CALLS
from fraud.web.bodies.problems import Problem
from fraud.web.calls.accounts import LedgerAnswer
from fraud.web.running.runtime import Runtime
from tests.access.parts import Clock, Ticks, bearer
from tests.store.made import bundle, row
from tests.web.client import Client, body, check_problem

SCORE, ADD, MODEL = "/v1/claims/score", "/v1/claims", "/v1/model"
REPORT = "/v1/claims/c-1/report"
PURPOSE = {"X-Purpose": "complaint 2026-17"}


@pytest.fixture
def secret(keys: Keys) -> dict[str, str]:
    """A key of each role, unbounded."""
    return {role: keys.add(role, role, "person:x")[1] for role in ROLES}


def told(store: Store) -> list[tuple[str, str | None]]:
    """What the ledger heard of calls, the oldest first."""
    entries = reversed(Ledger(store.database).entries(most=1_000))
    return [(e.what, e.purpose) for e in entries if not e.what.startswith("key.")]


def address(path: str) -> str:
    for name in ("request_id", "claim_id", "entity_id", "id"):
        path = path.replace(f"{{{name}}}", "x-1")
    return path


# --- the table --------------------------------------------------------------------------------------------


def test_every_call_of_the_service_has_its_entry_in_the_table() -> None:
    assert {name for _, _, name, _ in CALLS} <= set(RULES)


def test_every_entry_gives_the_call_to_roles_that_exist_or_to_everybody() -> None:
    assert all(rule.roles <= set(ROLES) and (rule.public or rule.roles) for rule in RULES.values())


def test_a_call_that_is_in_no_table_is_refused_even_without_any_key(runtime: Runtime) -> None:
    with pytest.raises(Problem) as raised:
        asyncio.run(runtime.guard.admit("invented", {}))
    assert raised.value.kind.status == 403


@pytest.mark.parametrize(("path", "method", "name"), [c[:3] for c in CALLS], ids=[c[2] for c in CALLS])
@pytest.mark.requirement("002-39", "001-65", "000-39")
def test_a_call_is_open_to_exactly_the_roles_of_the_table(
    client: Client, secret: dict[str, str], path: str, method: str, name: str
) -> None:
    refused = set()
    for role, key in secret.items():
        answer = client.send(method, address(path), headers=bearer(key), json={} if method == "POST" else None)
        assert answer.status_code != 401
        # The neighbours' formats tell a refusal in their own way.
        if answer.status_code == 403 or (name != "docs" and "not-allowed" in answer.text):
            refused.add(role)
    assert refused == (set() if RULES[name].public else set(ROLES) - RULES[name].roles)


def test_only_readers_of_the_ledger_and_the_models_see_no_records(secret: dict[str, str], client: Client) -> None:
    for role in ("data-scientist", "admin"):
        check_problem(client.get(REPORT, headers=bearer(secret[role])), 403, "not-allowed")
        assert client.get(MODEL, headers=bearer(secret[role])).status_code == 200


# --- keys -------------------------------------------------------------------------------------------------


def test_without_any_key_the_machine_itself_is_served_and_the_model_call_says_so(client: Client, keys: Keys) -> None:
    assert client.get(MODEL).json()["access"] == "open"
    keys.add("east", "claims-system", "person:x")


@pytest.mark.requirement("002-39")
def test_from_the_first_key_on_everybody_needs_one(client: Client, keys: Keys, ticks: Ticks) -> None:
    assert client.post(SCORE, json=body()).status_code == 200
    _, secret = keys.add("east", "claims-system", "person:x")
    ticks.now += 3
    answer = client.post(SCORE, json=body())
    check_problem(answer, 401, "no-key")
    assert answer.headers["www-authenticate"] == 'Bearer realm="fraud"'
    found = client.get(MODEL, headers=bearer(secret))
    assert found.json()["access"] == "keys"


def test_when_all_keys_are_revoked_the_door_stays_shut(client: Client, keys: Keys) -> None:
    made, _ = keys.add("east", "claims-system", "person:x")
    keys.revoke(made.key_id, "person:x")
    check_problem(client.post(SCORE, json=body()), 401, "no-key")


def test_keys_can_be_demanded_before_there_is_any(client: Client, runtime: Runtime, store: Store) -> None:
    runtime.guard = Guard(store, "required")
    check_problem(client.post(SCORE, json=body()), 401, "no-key")
    assert client.get("/docs.json").status_code == 200


@pytest.mark.parametrize(
    ("host", "demand"),
    [(None, "when-any"), ("127.0.0.1", "when-any"), ("localhost", "when-any"), ("::1", "when-any")]
    + [(h, "required") for h in ("0.0.0.0", "::", "10.0.0.7", "fraud.payer.example")],
)
def test_a_service_that_others_reach_asks_everybody_for_a_key(host: str | None, demand: str) -> None:
    assert demands_of({}, host)["demand"] == demand


@pytest.mark.parametrize(
    ("server", "local"),
    [
        (("127.0.0.1", 3000), True),
        (("::1", 3000), True),
        (["127.8.0.1", 1], True),
        (("/run/fraud.sock", None), True),
        (None, True),
        (("0.0.0.0", 3000), False),
        (("10.0.0.7", 3000), False),
        (("fe80::1", 3000), False),
        (("::", 3000), False),
    ],
)
def test_a_request_over_the_network_needs_a_key_even_where_there_is_none(
    runtime: Runtime, server: object, local: bool
) -> None:
    assert is_local(server) is local
    if local:
        assert asyncio.run(runtime.guard.admit("model", {}, server)).role == "open"
    else:
        with pytest.raises(Problem) as raised:
            asyncio.run(runtime.guard.admit("model", {}, server))
        assert raised.value.name == "no-key"


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer  ", "Basic eDp5", "Bearer wrong", "Bearer fraud_00000000_" + "A" * 43]
)
def test_what_is_no_key_opens_nothing_even_where_none_is_demanded(client: Client, given: str) -> None:
    answer = client.get(MODEL, headers={"Authorization": given})
    check_problem(answer, 401, "bad-key")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_an_expired_key_is_told_so_and_a_revoked_one_is_refused_within_seconds(
    client: Client, keys: Keys, clock: Clock, ticks: Ticks
) -> None:
    made, secret = keys.add("east", "auditor", "person:x", days=1)
    assert client.get(MODEL, headers=bearer(secret)).status_code == 200
    keys.revoke(made.key_id, "person:x")
    ticks.now += 2
    assert "revoked" in check_problem(client.get(MODEL, headers=bearer(secret)), 401, "bad-key")["detail"]
    _, other = keys.add("west", "auditor", "person:x", days=1)
    clock.pass_by(timedelta(days=1))
    assert "expired" in check_problem(client.get(MODEL, headers=bearer(other)), 401, "bad-key")["detail"]


def test_a_key_is_looked_up_once_in_two_seconds(store: Store, keys: Keys, clock: Clock, ticks: Ticks) -> None:
    _, secret = keys.add("east", "auditor", "person:x")
    guard, looked = Guard(store, clock=clock, ticks=ticks), []
    find = guard._keys.find
    guard._keys.find = lambda s: looked.append(s) or find(s)  # type: ignore[assignment,func-returns-value]

    async def many() -> None:
        await asyncio.gather(*(guard.admit("model", {"authorization": f"Bearer {secret}"}) for _ in range(50)))
        ticks.now += 1.9
        await guard.admit("model", {"authorization": f"Bearer {secret}"})
        assert len(looked) == 1
        ticks.now += 0.2
        await guard.admit("model", {"authorization": f"Bearer {secret}"})

    asyncio.run(many())
    guard.close()
    assert len(looked) == 2


def test_a_known_key_is_checked_in_less_than_a_tenth_of_a_millisecond(store: Store, keys: Keys, clock: Clock) -> None:
    _, secret = keys.add("east", "auditor", "person:x")
    guard = Guard(store, clock=clock, per_second=1e6)
    headers = {"authorization": f"Bearer {secret}"}

    async def seconds() -> float:
        await guard.admit("model", headers)
        started = time.process_time()
        for _ in range(1_000):
            await guard.admit("model", headers)
        return time.process_time() - started

    found = min(asyncio.run(seconds()) for _ in range(3))
    guard.close()
    assert found / 1_000 < 1e-4


def test_wrong_keys_do_not_fill_the_memory(store: Store) -> None:
    guard = Guard(store)

    async def guess() -> None:
        for i in range(4_100):
            guard._seen[str(i).encode()] = (None, 0.0)
        with pytest.raises(Problem):
            await guard.admit("model", {"authorization": "Bearer wrong"})

    asyncio.run(guess())
    assert len(guard._seen) < 10


def test_the_use_of_a_key_is_noted_without_holding_the_request(client: Client, runtime: Runtime, keys: Keys) -> None:
    made, secret = keys.add("east", "auditor", "person:x")
    client.get(MODEL, headers=bearer(secret))
    runtime.guard.close()
    assert keys.get(made.key_id).last_used_at is not None


# --- rates ------------------------------------------------------------------------------------------------


def test_a_key_that_asks_too_often_is_told_when_to_come_back(client: Client, keys: Keys, ticks: Ticks) -> None:
    _, slow = keys.add("slow", "auditor", "person:x", per_second=2)
    _, other = keys.add("other", "auditor", "person:x")
    first = [client.get(MODEL, headers=bearer(slow)).status_code for _ in range(3)]
    assert first == [200, 200, 429]
    answer = client.get(MODEL, headers=bearer(slow))
    check_problem(answer, 429, "rate-limited")
    assert int(answer.headers["retry-after"]) >= 1
    assert client.get(MODEL, headers=bearer(other)).status_code == 200
    ticks.now += 1
    assert [client.get(MODEL, headers=bearer(slow)).status_code for _ in range(3)] == [200, 200, 429]


def test_a_key_of_less_than_one_request_a_second_says_how_long_to_wait(
    client: Client, keys: Keys, ticks: Ticks
) -> None:
    _, slow = keys.add("slow", "auditor", "person:x", per_second=0.1)
    client.get(MODEL, headers=bearer(slow))
    answer = client.get(MODEL, headers=bearer(slow))
    wait = int(answer.headers["retry-after"])
    assert 10 <= wait <= 11
    ticks.now += wait
    assert client.get(MODEL, headers=bearer(slow)).status_code == 200


@pytest.mark.parametrize(
    "service",
    [{"keys": "sometimes"}, {"requests_per_second": 0}, {"requests_per_second": "many"}, {"requests_per_second": True}],
)
def test_settings_that_cannot_be_are_refused(service: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="service"):
        demands_of(service)


# --- bounds -----------------------------------------------------------------------------------------------


@pytest.fixture
def two_regions(store: Store, client: Client) -> dict[str, str]:
    """A claim at each of two providers in two regions, and the decision on each."""
    for house, region in (("h-1", "3301"), ("h-2", "1101")):
        with store.database.write() as connection:
            from fraud.store.tables import CANONICAL

            connection.execute(CANONICAL["providers"].insert(), row("providers", provider_id=house, region=region))
    decisions = {}
    for n, house in ((1, "h-1"), (2, "h-2")):
        store.add_claim(bundle(f"c-{n}", provider_id=house, patient_id=f"p-{n}"))
        given = body(f"s-{n}", provider_id=house, patient_id=f"p-{n}")
        decisions[f"s-{n}"] = client.post(SCORE, json=given).json()["request_id"]
    return decisions


@pytest.mark.parametrize(
    "bounds", [{"regions": ["33*"]}, {"providers": ["h-1"]}, {"regions": ["3301"], "providers": ["h-1"]}]
)
@pytest.mark.requirement("001-65")
def test_a_record_out_of_bounds_is_answered_as_one_that_is_not_there(
    client: Client, store: Store, keys: Keys, two_regions: dict[str, str], bounds: dict[str, list[str]]
) -> None:
    _, secret = keys.add("east", "supervisor", "person:x", **bounds)
    headers = bearer(secret)
    for own, other, unknown in (
        ("/v1/claims/c-1/report", "/v1/claims/c-2/report", "/v1/claims/nobody/report"),
        ("/v1/claims/s-1/report", "/v1/claims/s-2/report", "/v1/claims/nobody/report"),
        tuple(f"/v1/decisions/{i}" for i in (two_regions["s-1"], two_regions["s-2"], "nobody")),
    ):
        assert client.get(own, headers=headers).status_code == 200
        hidden, absent = client.get(other, headers=headers), client.get(unknown, headers=headers)
        check_problem(hidden, 404, "not-found")
        assert anonymous(hidden) == anonymous(absent)
    refused = [what for what, _ in told(store) if what.endswith(".refused")]
    assert refused == ["claim.refused"] * 4 + ["decision.refused"] * 2


@pytest.mark.parametrize("kind", ["providers", "patients", "physicians"])
def test_the_risk_of_whoever_is_out_of_bounds_is_answered_as_of_nobody(
    client: Client, keys: Keys, two_regions: dict[str, str], kind: str
) -> None:
    _, secret = keys.add("east", "auditor", "person:x", providers=["h-1"])
    own = {"providers": "h-2", "patients": "p-2", "physicians": "d-2"}[kind]
    answers = [client.get(f"/v1/{kind}/{i}/risk", headers=bearer(secret)) for i in (own, "nobody")]
    assert anonymous(answers[0]) == anonymous(answers[1])


def anonymous(answer: httpx.Response) -> dict[str, Any]:
    """A problem without the request's own id."""
    found: dict[str, Any] = answer.json()
    return {k: v for k, v in found.items() if k != "instance"}


def test_a_key_with_bounds_can_send_only_claims_within_them(client: Client, keys: Keys, two_regions: Any) -> None:
    _, secret = keys.add("house", "claims-system", "person:x", providers=["h-1"])
    headers = bearer(secret)
    assert client.post(SCORE, json=body("a-1", provider_id="h-1"), headers=headers).status_code == 200
    problem = check_problem(
        client.post(SCORE, json=body("a-2", provider_id="h-2"), headers=headers), 403, "not-allowed"
    )
    assert [e["pointer"] for e in problem["errors"]] == ["/claim/provider_id"]
    assert problem["errors"][0]["code"] == "out_of_bounds"
    several = {"claims": [body("a-3", provider_id="h-1"), body("a-4", provider_id="h-2")]}
    for claim in several["claims"]:
        claim.pop("options", None)
    problem = check_problem(client.post(ADD, json=several, headers=headers), 403, "not-allowed")
    assert [e["pointer"] for e in problem["errors"]] == ["/claims/1/claim/provider_id"]
    check_problem(client.post(ADD, json={"claim": {}}, headers=headers), 403, "not-allowed")


def test_a_regional_key_can_send_claims_of_its_regions_providers_only(
    client: Client, keys: Keys, two_regions: Any
) -> None:
    _, secret = keys.add("province", "claims-system", "person:x", regions=["33*"])
    found = [
        client.post(SCORE, json=body(f"a-{h}", provider_id=h), headers=bearer(secret)).status_code
        for h in ("h-1", "h-2", "h-unknown")
    ]
    assert found == [200, 403, 403]


def test_a_key_with_bounds_judges_only_whoever_lies_within_them(client: Client, keys: Keys, two_regions: Any) -> None:
    _, secret = keys.add("east", "investigator", "person:x", regions=["33*"])
    own = {"entity": "provider", "entity_id": "h-1", "verdict": "waste", "decided_at": "2026-02-01"}
    assert client.post("/v1/outcomes", json=own, headers=bearer(secret)).status_code == 200
    others = [own | {"entity_id": "h-2"}, own | {"entity": "patient", "entity_id": "nobody"}]
    answer = client.post("/v1/outcomes", json={"outcomes": [own, *others]}, headers=bearer(secret))
    problem = check_problem(answer, 403, "not-allowed")
    assert [e["pointer"] for e in problem["errors"]] == ["/outcomes/1/entity_id", "/outcomes/2/entity_id"]


def test_a_key_with_bounds_does_not_read_the_ledger_of_all(client: Client, keys: Keys) -> None:
    _, secret = keys.add("east", "auditor", "person:x", regions=["33*"])
    check_problem(client.get("/v1/ledger", headers=bearer(secret)), 403, "not-allowed")


def test_the_same_idempotency_key_of_two_callers_is_two_keys(client: Client, keys: Keys) -> None:
    secrets = [keys.add(name, "claims-system", "person:x")[1] for name in ("east", "west")]
    answers = [client.post(SCORE, json=body(), headers=bearer(s, Idempotency_Key="k")) for s in secrets]
    assert len({a.json()["request_id"] for a in answers}) == 2
    again = client.post(SCORE, json=body(), headers=bearer(secrets[0], Idempotency_Key="k"))
    assert again.content == answers[0].content


# --- identities -------------------------------------------------------------------------------------------


@pytest.fixture
def reported(store: Store) -> Store:
    """A claim whose evidence holds earlier claims of the patient."""
    for n in range(4):
        store.add_claim(bundle(f"e-{n}", days=-n - 1, patient_id="zhang-san", payee_account="622-ACCOUNT"))
    store.add_claim(bundle("c-1", patient_id="zhang-san", payee_account="622-ACCOUNT", physician_id="d-1"))
    return store


@pytest.mark.parametrize(
    ("role", "purpose", "sees"),
    [
        ("investigator", False, False),
        ("investigator", True, False),
        ("auditor", True, False),
        ("supervisor", False, False),
        ("supervisor", True, True),
    ],
)
@pytest.mark.requirement("002-44", "000-41")
def test_only_a_supervisor_who_says_why_sees_who_it_is(
    client: Client, reported: Store, secret: dict[str, str], role: str, purpose: bool, sees: bool
) -> None:
    headers = bearer(secret[role]) | (PURPOSE if purpose else {})
    for accept in ("application/json", "text/html") if role == "supervisor" else ("text/html",):
        answer = client.get(REPORT, headers=headers | {"Accept": accept})
        assert answer.status_code == 200
        assert ("zhang-san" in answer.text) is sees
        assert "d-1" in answer.text
    assert set(told(reported)) == {("claim.read", PURPOSE["X-Purpose"] if purpose else None)}


def test_a_masked_person_has_the_same_name_in_every_report_and_in_the_ledger(
    client: Client, reported: Store, secret: dict[str, str]
) -> None:
    name = Ledger(reported.database).name(Record("patient", "zhang-san"))
    pages = [client.get(f"/v1/claims/{c}/report", headers=bearer(secret["investigator"])).text for c in ("c-1", "e-0")]
    assert all(name in page for page in pages)
    entries = Ledger(reported.database).entries(Record("patient", "zhang-san"))
    assert [e.person for e in entries] == [name, name]


@pytest.mark.parametrize(
    ("given", "heard"),
    [
        ("complaint 17", "complaint 17"),
        ("%E4%B8%BE%E6%8A%A5", None),
        ("%E4%B8%BE%E6%8A%A5%E6%A0%B8%E6%9F%A5", "举报核查"),
        ("x", None),
        ("y" * 201, None),
        ("a%0Ab c", None),
    ],
)
def test_a_purpose_is_a_line_of_text_in_any_language(
    client: Client, reported: Store, secret: dict[str, str], given: str, heard: str | None
) -> None:
    answer = client.get(REPORT, headers=bearer(secret["supervisor"]) | {"X-Purpose": given})
    if heard is None:
        check_problem(answer, 400, "bad-header")
        assert told(reported) == []
    else:
        assert told(reported) == [("claim.read", heard)]


# --- what the ledger hears --------------------------------------------------------------------------------


@pytest.mark.requirement("000-32", "002-70")
def test_each_reading_of_a_record_is_told_with_whoever_read_it_and_scoring_is_not(
    client: Client, store: Store, secret: dict[str, str]
) -> None:
    scored = client.post(SCORE, json=body(), headers=bearer(secret["claims-system"])).json()
    client.get(f"/v1/decisions/{scored['request_id']}", headers=bearer(secret["auditor"], X_Request_ID="r-9"))
    client.get(REPORT, headers=bearer(secret["investigator"]))
    client.get("/v1/decisions/nobody", headers=bearer(secret["auditor"]))
    assert told(store) == [("decision.read", None), ("claim.read", None)]
    entry = Ledger(store.database).entries(Record("decision", scored["request_id"]))[0]
    auditor = next(k for k in Keys(store.database).all() if k.role == "auditor")
    assert (entry.who, entry.request_id) == (auditor.key_id, "r-9")
    assert len(Ledger(store.database).entries(Record("patient", "p-1"))) == 2
    assert Ledger(store.database).verify().holds


def test_claims_that_are_added_are_told_by_the_digest_of_what_was_sent(
    client: Client, store: Store, secret: dict[str, str]
) -> None:
    given = body()
    client.post(ADD, json={k: given[k] for k in ("claim", "lines")}, headers=bearer(secret["claims-system"]))
    entry = Ledger(store.database).entries(most=1)[0]
    assert entry.what == "claims.added"
    assert entry.as_dict()["details"]["body"].startswith("sha256:")


@pytest.mark.requirement("001-50")
def test_an_auditor_reads_the_ledger_and_that_is_told_too(client: Client, store: Store, secret: dict[str, str]) -> None:
    client.post(SCORE, json=body(), headers=bearer(secret["claims-system"]))
    client.get(REPORT, headers=bearer(secret["supervisor"]) | PURPOSE)
    headers = bearer(secret["auditor"])
    found = client.get("/v1/ledger", headers=headers, params={"record": "patient:p-1", "most": "5"}).json()
    LedgerAnswer.model_validate(found)
    assert [(e["what"], e["purpose"]) for e in found["entries"]] == [("claim.read", PURPOSE["X-Purpose"])]
    assert "p-1" not in str(found["entries"])
    entries = client.get("/v1/ledger", headers=headers).json()["entries"]
    # That the key was used is noted beside the answer, and may come before or after it.
    assert next(e["what"] for e in entries if e["what"] != "key.used") == "ledger.read"
    kept = Seal.read(client.get("/v1/ledger", headers=headers).json()["seal"])
    assert Ledger(store.database).verify(kept).holds


@pytest.mark.parametrize("query", ["most=0", "most=1001", "most=x", "record=p-1", "record=person:p-1", "since=1"])
def test_the_ledger_is_asked_in_its_own_words(client: Client, query: str) -> None:
    check_problem(client.get(f"/v1/ledger?{query}"), 400, "bad-query")


def test_without_keys_readings_are_told_all_the_same(client: Client, store: Store) -> None:
    client.post(SCORE, json=body())
    client.get(REPORT)
    assert [(e.what, e.who) for e in Ledger(store.database).entries()] == [("claim.read", "open")]
