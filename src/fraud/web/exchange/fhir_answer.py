"""An answer as a FHIR R4 ClaimResponse, and a problem as an OperationOutcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from fraud.errors import Fault
from fraud.scoring.shapes import ClaimBundle
from fraud.web.bodies.answers import LANGUAGES
from fraud.web.bodies.problems import Problem

__all__ = ["MEDIA_TYPE", "claim_response", "operation_outcome"]

MEDIA_TYPE = "application/fhir+json"
_ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
# What a finding does to an amount: hold says that the law lets the payer refuse it, question asks for an answer.
_OURS = "urn:fraud:adjudication"
_DISPOSITION = {
    "en": {
        "pass": "Nothing found that asks for a review.",
        "review": "A person should look at this claim; what was found is a reason to look, not a verdict.",
        "hold": "A dated limit of law was passed: the payment may be held until a person has looked.",
    },
    "zh": {
        "pass": "未发现需要审核的情形。",
        "review": "建议人工审核;提示仅为核查线索,并非认定结论。",
        "hold": "超过有依据的法定限定,可暂缓支付,待人工审核。",
    },
}
# What FHIR calls a fault; every other is an invalid value.
_ISSUES = {
    "missing": "required",
    "not_an_object": "structure",
    "not_a_list": "structure",
    "not_in_set": "code-invalid",
    "duplicate": "duplicate",
    "personal": "suppressed",
    "too_long": "too-long",
    "discharged_before_admitted": "business-rule",
    "settled_before_admitted": "business-rule",
}
_PROBLEMS = {
    "not-found": "not-found",
    "still-running": "conflict",
    "key-reused": "conflict",
    "too-large": "too-long",
    "too-many-lines": "too-costly",
    "media-type": "not-supported",
    "overloaded": "throttled",
    "rate-limited": "throttled",
    "store-unavailable": "transient",
    "too-slow": "timeout",
    "slow-body": "timeout",
    "no-key": "login",
    "bad-key": "login",
    "not-allowed": "forbidden",
    "internal": "exception",
}


# --- answers ----------------------------------------------------------------------------------------------


def claim_response(
    answer: Mapping[str, Any], claim: Mapping[str, Any], bundle: ClaimBundle, locale: str
) -> dict[str, Any]:
    """The resource for an answer to a Claim; amounts are those that findings speak of."""
    hits = [f for f in answer["findings"] if f["status"] == "hit"]
    notes = _notes(hits, answer["risk"], locale)
    failed = [f for f in answer["findings"] if f["status"] == "error"]
    made = {
        "resourceType": "ClaimResponse",
        "id": answer["request_id"],
        "extension": list(_extensions(answer)),
        "status": "active",
        "type": claim["type"],
        "subType": claim.get("subType"),
        "use": claim["use"],
        "patient": _reference(claim["patient"]),
        # A day: our times are civil times without a zone, and FHIR's moments need one.
        "created": str(answer["scored_at"])[:10],
        "insurer": _reference(claim["insurer"]) if claim.get("insurer") else {"display": "not stated"},
        "requestor": _reference(claim["provider"]),
        "request": _request(claim),
        "outcome": "partial" if answer["degraded"] or failed else "complete",
        "disposition": _DISPOSITION[LANGUAGES[locale]][answer["action"]],
        "item": list(_items(hits, bundle)),
        "adjudication": [_adjudication(f, f["amount"], bundle) for f in hits if not f["lines"]],
        "processNote": notes,
        "error": [_error(f) for f in failed],
    }
    # FHIR has no empty lists and no nulls.
    return {name: value for name, value in made.items() if value not in (None, [], {})}


def _items(hits: list[Mapping[str, Any]], bundle: ClaimBundle) -> Iterator[dict[str, Any]]:
    """One for each billed line: what was asked for, and what findings say of it."""
    for line in bundle.lines:
        own = [(n, f) for n, f in enumerate(hits, 1) if line["line_no"] in f["lines"]]
        asked = {"category": _concept(_ADJUDICATION, "submitted"), "amount": _money(line["amount"], bundle)}
        spoken = [_adjudication(f, line["amount"], bundle) for _, f in own]
        notes = {"noteNumber": [n for n, _ in own]} if own else {}
        yield {"itemSequence": line["line_no"], **notes, "adjudication": [asked, *spoken]}


def _adjudication(finding: Mapping[str, Any], amount: float | None, bundle: ClaimBundle) -> dict[str, Any]:
    what = "hold" if finding["kind"] == "violation" else "question"
    rule = [{"system": "urn:fraud:rule", "code": finding["rule"], "version": str(finding["version"])}]
    if finding["national_code"]:
        rule.append({"system": "urn:fraud:national-rule", "code": finding["national_code"]})
    if finding["violation"]:
        rule.append({"system": "urn:fraud:violation", "code": finding["violation"]})
    told = {"category": _concept(_OURS, what), "reason": {"coding": rule, "text": finding["sentence"]}}
    return told if amount is None else told | {"amount": _money(amount, bundle)}


def _notes(hits: Iterable[Mapping[str, Any]], risk: Mapping[str, Any] | None, locale: str) -> list[dict[str, Any]]:
    """Sentences: of findings first, so that items can point at them by number, then the reasons of the risk."""
    said = [("finding", f["rule"], f["sentence"]) for f in hits]
    said += [("reason", r["signal"], r["sentence"]) for r in (risk or {}).get("reasons", ())]
    return [
        {
            "extension": [{"url": f"urn:fraud:{kind}", "valueCode": name}],
            "number": n,
            "type": "display",
            "text": text,
            "language": _concept("urn:ietf:bcp:47", locale),
        }
        for n, (kind, name, text) in enumerate(said, 1)
    ]


def _extensions(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What FHIR has no place for: action, risk, model, and what could not be used."""
    yield {"url": "urn:fraud:action", "valueCode": answer["action"]}
    risk, model = answer["risk"], answer["model"]
    if risk is not None:
        numbers = ("probability", "probability_low", "probability_high", "percentile", "expected_recovery")
        inner = [
            {"url": n.replace("_", "-"), "valueDecimal": risk[n]} for n in numbers if risk.get(n) is not None
        ]  # fmt: skip
        yield {"url": "urn:fraud:risk", "extension": [*inner, {"url": "band", "valueCode": risk["band"]}]}
    if model["name"] is not None:
        yield {"url": "urn:fraud:model", "valueString": f"{model['name']} {model['version']}"}
    for what in answer["degraded"]:
        yield {"url": "urn:fraud:degraded", "valueString": what}


def _error(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": _concept("urn:fraud:rule", finding["rule"], finding["sentence"])}


def _request(claim: Mapping[str, Any]) -> dict[str, Any] | None:
    if claim.get("id"):
        return {"reference": f"Claim/{claim['id']}"}
    named = claim.get("identifier") or ()
    return {"identifier": named[0]} if named else None


def _reference(reference: Mapping[str, Any]) -> dict[str, Any]:
    """Who it was, without a name; what stood within the claim is not repeated, so that a pointer to it says nothing."""
    address = reference.get("reference")
    kept = {n: reference[n] for n in ("reference", "type", "identifier") if reference.get(n) is not None}
    if isinstance(address, str) and address.startswith("#"):
        kept.pop("reference")
    return kept or {"display": "as in the claim"}


def _money(amount: float, bundle: ClaimBundle) -> dict[str, Any]:
    currency = bundle.claim.get("currency")
    return {"value": amount} | ({"currency": currency} if currency else {})


def _concept(system: str, code: str, text: str | None = None) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]} | ({"text": text} if text else {})


# --- problems ---------------------------------------------------------------------------------------------


def operation_outcome(problem: Problem) -> bytes:
    """The resource for a problem: an issue for each fault, or one for the problem itself."""
    issues = [_issue(f) for f in problem.faults]
    if not issues:
        issues = [_whole(problem)]
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": issues})


def _issue(fault: Fault) -> dict[str, Any]:
    found = f"; found {fault.examples[0]}" if fault.examples else ""
    told = {
        "severity": "error",
        "code": _ISSUES.get(fault.code, "value"),
        "details": _concept("urn:fraud:fault", fault.code, fault.detail),
        "diagnostics": f"{fault.where}: {fault.detail}{found}",
    }
    return told | ({"expression": [fault.where]} if fault.where.startswith("Claim") else {})


def _whole(problem: Problem) -> dict[str, Any]:
    return {
        "severity": "fatal" if problem.kind.status >= 500 else "error",
        "code": _PROBLEMS.get(problem.name, "invalid"),
        "details": _concept("urn:fraud:problem", problem.name, problem.kind.title),
        "diagnostics": problem.detail,
    }
