from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fraud.claims.schema import TABLES
from fraud.web.app import CALLS
from fraud.web.bodies.problems import FAULTS, PROBLEMS
from fraud.web.openapi import description
from tests.web.client import GOOD, Client, body


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/docs.json").json()
    return found


def test_every_call_is_described_and_no_other(document: dict[str, Any]) -> None:
    described = {(path, method.upper()) for path, calls in document["paths"].items() for method in calls}
    served = {(path, method) for path, method, *_ in CALLS if path != "/docs.json"}
    assert described == served | {(p, "GET") for p in ("/livez", "/readyz", "/metrics")}
    assert document["openapi"] == "3.1.0"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', description().decode()))
    assert names <= set(document["components"]["schemas"])


@pytest.mark.parametrize(
    ("name", "table"), [("Claim", "claims"), ("Line", "lines"), ("Diagnosis", "diagnoses"), ("Procedure", "procedures")]
)
def test_rows_are_described_with_exactly_the_columns_of_their_table(
    document: dict[str, Any], name: str, table: str
) -> None:
    row = document["components"]["schemas"][name]
    assert list(row["properties"]) == list(TABLES[table].by_name)
    assert row["additionalProperties"] is False
    assert set(row["required"]) == set(TABLES[table].required) - ({"claim_id"} if table != "claims" else set())
    assert {c: p["description"] for c, p in row["properties"].items()} == {c.name: c.doc for c in TABLES[table].columns}


def _validator(document: dict[str, Any], name: str) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema)


def test_a_body_that_is_accepted_and_its_answer_are_as_described(client: Client, document: dict[str, Any]) -> None:
    _validator(document, "ScoreBody").validate(GOOD)
    _validator(document, "ClaimScore").validate(client.post("/v1/claims/score", json=GOOD).json())


@pytest.mark.parametrize(
    "change", [{"total_amount": -1}, {"visit_type": "x"}, {"admitted_at": "1.3.2024"}, {"patient_id": ""}, {"nope": 1}]
)
def test_a_body_that_is_refused_is_not_as_described_and_its_problem_is(
    client: Client, document: dict[str, Any], change: dict[str, Any]
) -> None:
    assert not _validator(document, "ScoreBody").is_valid(body(**change))
    answer = client.post("/v1/claims/score", json=body(**change))
    assert answer.status_code == 422
    _validator(document, "ProblemAnswer").validate(answer.json())


def test_the_page_about_the_service_lists_every_call_problem_and_fault() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text("utf-8")
    rows = {f"| `{n}` | {k.status} | {k.title}" for n, k in PROBLEMS.items()}
    rows |= {f"| `{code}` | {meaning} |" for code, meaning in FAULTS.items()}
    assert {row for row in rows if row not in page} == set()
    assert {path for path, *_ in CALLS if path.split("/{")[0] not in page} <= {"/docs.json"}
