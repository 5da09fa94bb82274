"""Explanations for whoever may not see who they are about."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pytest

from fraud.claims.pseudonyms import PERSONAL
from fraud.explaining.explanation import Explanation, Fact, Provenance
from fraud.signals.evidence import Evidence
from fraud.web.access.guard import OPEN, Caller
from fraud.web.access.masking import IDENTIFYING, masked
from fraud.web.bodies.messages import Incoming
from fraud.web.calls.risks import _shown
from fraud.web.running.runtime import Runtime

MADE = Provenance("r", "", "", datetime(2026, 1, 1), "fraud report patient zhang-san")
ROWS = pa.table({"claim_id": ["c-1", "c-2"], "patient_id": ["zhang-san", None], "other_id": ["li-si", "li-si"]})


def mask(column: str, value: str) -> str:
    return f"<{column}:{len(value)}>"


def explained(entity: str, entity_id: str) -> Explanation:
    facts = (
        Fact("patient_id", "zhang-san"),
        Fact("physician_id", "d-1"),
        Fact("died_on", date(2025, 3, 4)),
        Fact("age", 61),
    )
    # Whose evidence it is plays no part.
    evidence = {"patient.odd": [Evidence(signal="patient.odd", scope="past", rows=ROWS, total=2, amount=None)]}
    return Explanation(entity, entity_id, datetime(2026, 1, 1), MADE, facts=facts, evidence=evidence)


def test_the_report_of_a_patient_names_neither_the_patient_nor_those_around() -> None:
    found = masked(explained("patient", "zhang-san"), mask).as_dict()
    assert "zhang-san" not in str(found)
    assert "li-si" not in str(found)
    assert found["entity_id"] == "<patient_id:9>"
    assert [f["value"] for f in found["facts"]] == ["<patient_id:9>", "d-1", "2025", 61]
    assert found["evidence"]["patient.odd"][0]["rows"][1]["patient_id"] is None


def test_the_report_of_a_provider_keeps_its_name_and_its_network() -> None:
    found = masked(explained("provider", "h-1"), mask).as_dict()
    assert found["entity_id"] == "h-1"
    assert found["evidence"]["patient.odd"][0]["rows"][0] == {
        "claim_id": "c-1",
        "patient_id": "<patient_id:9>",
        "other_id": "li-si",
    }


def test_an_explanation_is_not_changed_by_masking_it() -> None:
    before = explained("patient", "zhang-san")
    masked(before, mask)
    assert before.as_dict() == explained("patient", "zhang-san").as_dict()


def test_what_is_masked_is_what_an_import_replaces_by_pseudonyms() -> None:
    assert {column for columns in PERSONAL.values() for column in columns} == IDENTIFYING


@pytest.mark.parametrize(
    ("entity", "sees", "shown"),
    [("patient", True, True), ("patient", False, False), ("provider", False, True), ("physician", False, True)],
)
def test_a_risk_names_its_entity_to_whoever_may_see_it(runtime: Runtime, entity: str, sees: bool, shown: bool) -> None:
    caller = OPEN if sees else Caller("k", "k", "investigator")
    found = _shown(entity, runtime, Incoming("r", {"entity_id": "zhang-san"}, {}, {}, caller=caller))
    assert (found == "zhang-san") is shown
    assert found.startswith("patient:") is not shown
