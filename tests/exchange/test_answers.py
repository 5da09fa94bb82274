"""From an answer to the neighbours' forms: what a small room of two rules cannot show."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from fraud.scoring.shapes import ClaimBundle
from fraud.signals.catalogue import Catalogue
from fraud.web.exchange.audit_request import Asked, Audit, Envelope
from fraud.web.exchange.audit_result import decision_of, results_of
from fraud.web.exchange.audit_settings import load_audit_settings
from fraud.web.exchange.audit_shapes import AuditResult
from fraud.web.exchange.fhir_answer import claim_response
from fraud.web.exchange.judging import Beside
from tests.exchange.messages import fhir_claim

DECISION = "a" * 32
LINES = ({"line_no": 1, "amount": 10.005}, {"line_no": 2, "amount": 1e15})
BUNDLE = ClaimBundle({"claim_id": "m-9"}, LINES)
VISIT = Asked(BUNDLE, Beside(), "p-17", "m-9", {1: "rx-1"})
MESSAGE = Audit(Envelope("3101", "m", datetime(2024, 3, 1), "H", None, None), (VISIT,), "2", frozenset(), None)


def finding(**changes: Any) -> dict[str, Any]:
    """A finding as an answer has it."""
    return {
        "rule": "claim.many_lines",
        "version": 1,
        "violation": "T07",
        "national_code": None,
        "kind": "suspicion",
        "severity": "general",
        "status": "hit",
        "value": 5.0,
        "limit": 3.0,
        "unit": "lines",
        "amount": 20.0,
        "sentence": "5 lines.",
        "lines": [],
        "citations": ["law", "gone"],
        "innocent_explanations": [],
        **changes,
    }


def answer(*findings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An answer with these findings."""
    return {
        "request_id": DECISION,
        "scored_at": "2024-04-01T12:00:00",
        "action": "review",
        "findings": list(findings),
        "risk": None,
        "model": {"name": "claim_risk", "version": 7},
        "degraded": [],
        **changes,
    }


def results(catalogue: Catalogue, *findings: dict[str, Any]) -> list[dict[str, Any]]:
    """The results, each in the interface's bounds."""
    found = results_of(answer(*findings), VISIT, MESSAGE, load_audit_settings(), catalogue)
    for row in found:
        AuditResult.model_validate(row, strict=True)
    return found


# --- the audit interface ----------------------------------------------------------------------------------


def test_a_rule_that_could_not_be_evaluated_is_no_warning_and_takes_no_number_from_another(
    two_rules: Catalogue,
) -> None:
    found = results(two_rules, finding(status="error"), finding(status="skipped"), finding())
    assert [r["jr_id"] for r in found] == [f"{DECISION}003"]
    assert decision_of(found[0]["jr_id"]) == DECISION


def test_texts_and_amounts_stay_within_what_the_interface_can_carry(two_rules: Catalogue) -> None:
    (found,) = results(
        two_rules, finding(sentence="长" * 600, innocent_explanations=["因" * 600], amount=1e18, lines=[1, 2])
    )
    assert (len(found["vola_cont"]), len(found["vola_evid"])) == (500, 500)
    assert found["vola_cont"].endswith("…")
    assert found["vola_amt"] == 99999999999999.99
    # Half a cent is a cent, as on a bill.
    assert [d["vola_amt"] for d in found["judge_result_detail_dtos"]] == [10.01, 99999999999999.99]
    assert [d["rx_id"] for d in found["judge_result_detail_dtos"]] == ["rx-1", None]


def test_an_amount_that_is_not_known_says_so(two_rules: Catalogue) -> None:
    (found,) = results(two_rules, finding(amount=None, limit=None))
    assert (found["vola_amt"], found["vola_amt_stas"]) == (0.0, "0")
    assert "界限" not in found["vola_evid"]


def test_the_national_code_names_a_rule_where_it_has_one(two_rules: Catalogue) -> None:
    (found,) = results(two_rules, finding(national_code="GZ10000102012000"))
    assert found["rule_id"] == "GZ10000102012000"
    assert "gone" in found["vola_evid"]


@pytest.mark.parametrize(
    ("kind", "severity", "code"),
    [("violation", "general", "1"), ("suspicion", "critical", "2"), ("suspicion", "general", "3")],
)
def test_how_serious_it_is_comes_from_kind_and_severity(
    two_rules: Catalogue, kind: str, severity: str, code: str
) -> None:
    assert results(two_rules, finding(kind=kind, severity=severity))[0]["sev_deg"] == code


# --- FHIR -------------------------------------------------------------------------------------------------

REASON = {"signal": "patient.visits", "sentence": "Many visits."}
RISK = {
    "probability": 0.31,
    "probability_low": None,
    "probability_high": None,
    "percentile": 99.2,
    "band": "serious",
    "expected_recovery": 12.5,
    "reasons": [REASON],
}


def resource(*findings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return claim_response(answer(*findings, **changes), fhir_claim(), BUNDLE, "en")


def test_the_risk_is_an_extension_and_its_reasons_are_notes_after_those_of_findings() -> None:
    found = resource(finding(lines=[1]), risk=RISK)
    (risk,) = [e for e in found["extension"] if e["url"] == "urn:fraud:risk"]
    assert {e["url"]: e.get("valueDecimal", e.get("valueCode")) for e in risk["extension"]} == {
        "probability": 0.31,
        "percentile": 99.2,
        "expected-recovery": 12.5,
        "band": "serious",
    }
    assert [(n["number"], n["text"]) for n in found["processNote"]] == [(1, "5 lines."), (2, "Many visits.")]
    assert found["processNote"][1]["extension"] == [{"url": "urn:fraud:reason", "valueCode": "patient.visits"}]
    assert {"url": "urn:fraud:model", "valueString": "claim_risk 7"} in found["extension"]
    assert found["outcome"] == "complete"


def test_a_rule_that_could_not_be_evaluated_is_an_error_and_the_outcome_is_partial() -> None:
    found = resource(finding(status="error", sentence="a column is missing"), finding(status="skipped"))
    assert found["outcome"] == "partial"
    assert [(e["code"]["coding"][0]["code"], e["code"]["text"]) for e in found["error"]] == [
        ("claim.many_lines", "a column is missing")
    ]
    assert "processNote" not in found


def test_a_finding_without_a_known_amount_is_adjudicated_without_one() -> None:
    (head,) = resource(finding(amount=None, national_code="GZ1"))["adjudication"]
    assert "amount" not in head
    assert [c["code"] for c in head["reason"]["coding"]] == ["claim.many_lines", "GZ1", "T07"]
