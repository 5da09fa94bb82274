from __future__ import annotations

import gzip
import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud.claims.schema import TABLES
from fraud.web.bodies.problems import FAULTS, PROBLEMS
from tests.web.client import GOOD, JSON, Client, body, check_problem

SCORE = "/v1/claims/score"


def nested(depth: int) -> bytes:
    return b'{"claim":' + b"[" * depth + b"]" * depth + b"}"


def lines(count: int) -> bytes:
    row = {"line_no": 1, "item_code": "X", "quantity": 1, "amount": 1}
    return orjson.dumps(GOOD | {"lines": [row | {"line_no": n} for n in range(count)]})


TEXT = orjson.dumps(GOOD)
BODIES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "nothing": (b"", JSON, 400, "not-json"),
    "random bytes": (random.Random(1).randbytes(4096), JSON, 400, "not-json"),
    "cut in the middle": (TEXT[:200], JSON, 400, "not-json"),
    "not a number": (TEXT.replace(b"90.5", b"NaN"), JSON, 400, "not-json"),
    "infinity": (TEXT.replace(b"90.5", b"-Infinity"), JSON, 400, "not-json"),
    "another encoding": (TEXT.decode().encode("utf-16"), JSON, 400, "not-json"),
    "half a character": (TEXT.replace(b"I109", b"\xe4\xb8"), JSON, 400, "not-json"),
    "a lone surrogate": (TEXT.replace(b"I109", b"\\ud800"), JSON, 400, "not-json"),
    "two values": (TEXT + TEXT, JSON, 400, "not-json"),
    "65 levels": (nested(65), JSON, 400, "too-deep"),
    "100,000 levels": (nested(100_000), JSON, 400, "too-deep"),
    "a list": (b"[]", JSON, 422, "faults"),
    "null": (b"null", JSON, 422, "faults"),
    "a text": (b'"claim"', JSON, 422, "faults"),
    "an empty object": (b"{}", JSON, 422, "faults"),
    "64 levels": (nested(60), JSON, 422, "faults"),
    "10 MB": (b" " * 10_000_000, JSON, 413, "too-large"),
    "2,001 lines": (lines(2_001), JSON, 413, "too-many-lines"),
    "packed": (gzip.compress(TEXT), JSON | {"Content-Encoding": "gzip"}, 415, "media-type"),
    "packed without saying so": (gzip.compress(TEXT), JSON, 400, "not-json"),
    "no media type": (TEXT, {}, 415, "media-type"),
    "a form": (TEXT, {"Content-Type": "application/x-www-form-urlencoded"}, 415, "media-type"),
    "plain text": (TEXT, {"Content-Type": "text/plain"}, 415, "media-type"),
    "latin letters": (TEXT, {"Content-Type": "application/json; charset=latin-1"}, 415, "media-type"),
}


@pytest.mark.parametrize(("sent", "headers", "status", "name"), BODIES.values(), ids=list(BODIES))
def test_a_malformed_body_gets_a_clear_answer(
    client: Client, sent: bytes, headers: dict[str, str], status: int, name: str
) -> None:
    check_problem(client.post(SCORE, content=sent, headers=headers), status, name)


def test_2000_lines_are_a_claim(client: Client) -> None:
    assert client.post(SCORE, content=lines(2_000), headers=JSON).status_code == 200


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=UTF-8"])
def test_json_may_say_that_it_is_utf8(client: Client, media_type: str) -> None:
    assert client.post(SCORE, content=TEXT, headers={"Content-Type": media_type}).status_code == 200


# Column of the claim, value, code of the fault, what is repeated of the value.
CELLS: list[tuple[str, Any, str, str]] = [
    ("claim_id", 7, "not_text", "number"),
    ("claim_id", None, "missing", "null"),
    ("patient_id", "", "empty", "text of 0 characters"),
    ("patient_id", "11010519491231002X" * 20, "too_long", "text of 360 characters"),
    ("patient_id", "a\x00b", "control_character", "text of 3 characters"),
    ("department", ["x"], "not_text", "list of 1"),
    ("visit_type", "hospital", "not_in_set", "hospital"),
    ("visit_type", None, "missing", "null"),
    ("registered", "yes", "not_a_boolean", "yes"),
    ("registered", 1, "not_a_boolean", "1"),
    ("admitted_at", "2024-03-01T09:30:00Z", "zone", "2024-03-01T09:30:00Z"),
    ("admitted_at", "2024-03-01T09:30+08:00", "zone", "2024-03-01T09:30+08:00"),
    ("admitted_at", "01.03.2024", "not_a_time", "01.03.2024"),
    ("admitted_at", "2024-02-30", "not_a_time", "2024-02-30"),
    ("admitted_at", 1709285400, "not_a_time", "1709285400"),
    ("admitted_at", "9999-01-01", "out_of_range", "9999-01-01"),
    ("admitted_at", "0000-01-01", "out_of_range", "0000-01-01"),
    ("admitted_at", "1899-12-31", "out_of_range", "1899-12-31"),
    ("total_amount", "120", "not_a_number", "120"),
    ("total_amount", "13812345678", "not_a_number", "text of 11 characters"),
    ("total_amount", True, "not_a_number", "true"),
    ("total_amount", -0.01, "negative", "-0.01"),
    ("total_amount", 1e300, "out_of_range", "1e+300"),
    ("total_amount", 10**30, "out_of_range", "1e+30"),
    ("primary_diagnosis", "I10.9", "dotted", "text of 5 characters"),
]


@pytest.mark.parametrize(("column", "value", "code", "repeated"), CELLS)
def test_a_faulty_value_is_named_with_its_place_and_code(
    client: Client, column: str, value: Any, code: str, repeated: str
) -> None:
    given = {"claim": GOOD["claim"] | {column: value}}
    problem = check_problem(client.post(SCORE, content=json.dumps(given), headers=JSON), 422, "faults")
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == (f"/claim/{column}", code)
    assert error.get("found") == repeated
    assert error["detail"]


def test_a_claim_with_ten_faults_gets_one_answer_that_names_all_ten(client: Client) -> None:
    given = body(
        patient_id=7,
        visit_type="out",
        admitted_at="2024-03-01T09:30:00Z",
        settled_at="9999-12-31",
        total_amount=-5,
        fund_amont=1,
    )
    given["claim"].pop("fund_amount")
    given["lines"] = [
        {"line_no": 1, "item_code": "X", "quantity": "two", "amount": 1},
        {"line_no": 1, "item_code": "X", "quantity": 1, "amount": 1, "claim_id": "another"},
    ]
    problem = check_problem(client.post(SCORE, json=given), 422, "faults")
    assert {(e["pointer"], e["code"]) for e in problem["errors"]} == {
        ("/claim/patient_id", "not_text"),
        ("/claim/visit_type", "not_in_set"),
        ("/claim/admitted_at", "zone"),
        ("/claim/settled_at", "out_of_range"),
        ("/claim/total_amount", "negative"),
        ("/claim/fund_amont", "unknown_field"),
        ("/claim/fund_amount", "missing"),
        ("/lines/0/quantity", "not_a_number"),
        ("/lines/1/line_no", "duplicate"),
        ("/lines/1/claim_id", "other_claim"),
    }
    assert problem["errors_total"] == 10
    assert 'did you mean "fund_amount"' in str(problem["errors"])


def test_times_out_of_order_are_found_beside_other_faults(client: Client) -> None:
    given = body(admitted_at="2024-03-05", discharged_at="2024-03-04", settled_at="2024-03-03", total_amount=-1)
    problem = check_problem(client.post(SCORE, json=given), 422, "faults")
    codes = {e["pointer"]: e["code"] for e in problem["errors"]}
    assert codes == {
        "/claim/total_amount": "negative",
        "/claim/discharged_at": "discharged_before_admitted",
        "/claim/settled_at": "settled_before_admitted",
    }


def test_items_are_numbered_once_within_their_kind(client: Client) -> None:
    given = body()
    given["diagnoses"] = [
        {"position": 1, "code": "A", "kind": "admission"},
        {"position": 1, "code": "A", "kind": "discharge"},
        {"position": 1, "code": "B", "kind": "discharge"},
    ]
    given["procedures"] = [{"position": 2, "code": "1"}, {"position": 2, "code": "2"}]
    problem = check_problem(client.post(SCORE, json=given), 422, "faults")
    assert [e["pointer"] for e in problem["errors"]] == ["/diagnoses/2/position", "/procedures/1/position"]


@pytest.mark.parametrize(
    ("given", "pointer", "hint"),
    [
        ({"optons": {}}, "/optons", "options"),
        ({"options": {"explan": "full"}}, "/options/explan", "explain"),
        (
            {"lines": [{"line_no": 1, "item_code": "X", "quantity": 1, "amount": 1, "amout": 1}]},
            "/lines/0/amout",
            "amount",
        ),
        ({"a/b~c": 1}, "/a~1b~0c", None),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_known_name(
    client: Client, given: dict[str, Any], pointer: str, hint: str | None
) -> None:
    problem = check_problem(client.post(SCORE, json=GOOD | given), 422, "faults")
    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == (pointer, "unknown_field")
    assert ("did you mean" in error["detail"]) == (hint is not None)
    assert hint is None or f'"{hint}"' in error["detail"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"explain": "all"}, "not_in_set"),
        ({"locale": "zh"}, "not_in_set"),
        ({"store": 1}, "not_a_boolean"),
        (3, "not_an_object"),
    ],
)
def test_faulty_options_are_named(client: Client, options: Any, code: str) -> None:
    problem = check_problem(client.post(SCORE, json=GOOD | {"options": options}), 422, "faults")
    assert [e["code"] for e in problem["errors"]] == [code]


def test_a_problem_never_repeats_who_the_patient_is(client: Client) -> None:
    secret = "Zhang-San-11010519491231002X"
    given = body(patient_id=secret + "\n", nickname=secret, department=secret * 20, total_amount=secret)
    given["lines"][0]["claim_id"] = secret
    answer = client.post(SCORE, json=given)
    problem = check_problem(answer, 422, "faults")
    assert len(problem["errors"]) == 5
    assert secret not in "".join(e.get("found", "") for e in problem["errors"] if e["pointer"] != "/claim/total_amount")


def test_thousands_of_faults_are_counted_and_the_first_thousand_named(client: Client) -> None:
    problem = check_problem(client.post(SCORE, json=GOOD | {"lines": [{}] * 500}), 422, "faults")
    assert (problem["errors_total"], len(problem["errors"])) == (2000, 1000)


def test_every_fault_code_and_problem_is_documented(client: Client) -> None:
    described = client.get("/docs.json").json()["info"]["description"]
    assert [c for c in (*FAULTS, *PROBLEMS) if f"`{c}`" not in described] == []


# --- anything at all --------------------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_columns = st.sampled_from(sorted({*TABLES["claims"].by_name, *TABLES["lines"].by_name, "kind", "position"}))
_row = st.dictionaries(
    _columns, _json | st.sampled_from(["2024-03-01", "9999-01-01", "outpatient", 10**18]), max_size=6
)
_body = st.fixed_dictionaries(
    {},
    optional={
        "claim": _row.map(lambda r: GOOD["claim"] | r) | _json,
        "lines": st.lists(_row | _json, max_size=3) | _json,
        "diagnoses": st.lists(_row, max_size=3) | _json,
        "procedures": _json,
        "options": _json,
    },
)
_fuzz = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@_fuzz
@given(sent=_body | _json, address=st.sampled_from([SCORE, "/v1/claims"]))
def test_no_json_body_makes_the_service_fail(client: Client, sent: Any, address: str) -> None:
    answer = client.post(address, content=orjson.dumps(_storable(sent)), headers=JSON)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        problem = check_problem(answer, 422, "faults")
        assert {e["code"] for e in problem["errors"]} <= set(FAULTS)


@_fuzz
@given(sent=st.binary(max_size=200))
def test_no_bytes_make_the_service_fail(client: Client, sent: bytes) -> None:
    assert client.post(SCORE, content=sent, headers=JSON).status_code in (400, 422)


def _storable(value: Any) -> Any:
    """JSON as it can be sent: whole numbers of 64 bits, texts without lone surrogates."""
    if isinstance(value, dict):
        return {_storable(k): _storable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_storable(v) for v in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value if not isinstance(value, int) or abs(value) < 2**63 else float(value)
