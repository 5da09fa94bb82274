"""A body for each call that takes one: the description shows them, tests send them, and all in them is made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SAMPLES"]

_CLAIM: dict[str, Any] = {
    "claim": {
        "claim_id": "c-1001",
        "patient_id": "p-17",
        "provider_id": "h-3",
        "physician_id": "d-8",
        "visit_type": "outpatient",
        "admitted_at": "2024-03-01T09:30:00",
        "settled_at": "2024-03-01T11:00:00",
        "primary_diagnosis": "I109",
        "total_amount": 120,
        "fund_amount": 90,
    },
    "lines": [{"line_no": 1, "item_code": "X1", "quantity": 1, "amount": 120}],
    "diagnoses": [{"position": 1, "code": "I109"}],
}
_OUTCOME = {
    "entity": "claim",
    "entity_id": "c-1001",
    "verdict": "confirmed_abuse",
    "violation": "T07",
    "decided_at": "2024-04-02T15:00:00",
    "amount": 60,
    "investigators": ["a-1", "a-2"],
    "source": "desk audit",
}
_CHANGE = {
    "take": True,
    "evidence": {"kind": "file", "asked": "the record of the ward for the first of March", "of": "h-3"},
    "check": {"explanation": "A long stay.", "answer": "refuted", "remark": "discharged on the day"},
    "note": {"text": "Called the ward.", "kind": "note"},
}
_PROPOSAL = {
    "decision": "propose",
    "result": "violation",
    "reason": "The record has one examination; two were billed.",
    "verdict": "improper_payment",
    "violation": "T07",
    "amount": 60,
    "disposition": "block",
    "measure": "rectification",
}
_FHIR: dict[str, Any] = {
    "resourceType": "Claim",
    "id": "c-1002",
    "contained": [{"resourceType": "Patient", "id": "patient", "gender": "female", "birthDate": "1956-04-01"}],
    "identifier": [{"system": "urn:example:claims", "value": "c-1002"}],
    "status": "active",
    "use": "claim",
    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional"}]},
    "patient": {"reference": "#patient", "identifier": {"value": "p-17"}},
    "billablePeriod": {"start": "2024-03-05T08:40:00+08:00", "end": "2024-03-05T09:10:00+08:00"},
    "created": "2024-03-05T10:00:00+08:00",
    "provider": {"reference": "Organization/h-3"},
    "priority": {"coding": [{"code": "normal"}]},
    "careTeam": [{"sequence": 1, "provider": {"reference": "Practitioner/d-8"}, "responsible": True}],
    "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/9"}}],
    "diagnosis": [{"sequence": 1, "diagnosisCodeableConcept": {"coding": [{"code": "I10.9"}]}}],
    "item": [
        {
            "sequence": 1,
            "careTeamSequence": [1],
            "productOrService": {"coding": [{"code": "X1"}], "text": "consultation"},
            "servicedDate": "2024-03-05",
            "quantity": {"value": 1},
            "unitPrice": {"value": 80, "currency": "CNY"},
            "net": {"value": 80, "currency": "CNY"},
        }
    ],
    "total": {"value": 80, "currency": "CNY"},
}


def _message(infno: str, number: int, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "infno": infno,
        "msgid": f"H00000000003202403060900{number:06d}",
        "mdtrtarea_admvs": "990100",
        "insuplc_admdvs": "990100",
        "inf_time": "2024-03-06 09:00:00",
        "fixmedins_code": "H00000000003",
        "input": {"data": data},
    }


def _visit(scene: str) -> dict[str, Any]:
    order = {
        "rx_id": "rx-1",
        "hilist_code": "X1",
        "hilist_name": "血压监测",
        "cnt": "1",
        "pric": "80.00",
        "sumamt": "80.00",
        "drord_begn_date": "2024-03-06 08:50:00",
        "drord_dr_codg": "d-8",
        "curr_drord_flag": "1",
    }
    encounter = {
        "mdtrt_id": "m-1003",
        "medins_id": "H00000000003",
        "medins_lv": "05",
        "adm_date": "2024-03-06 08:40:00",
        "med_type": "11",
        "med_mdtrt_type": "1",
        "dr_codg": "d-8",
        "dscg_main_dise_codg": "I10.x05",
        "fsi_diagnose_dtos": [{"dise_codg": "I10.x05", "maindise_flag": "1", "dias_srt_no": 1}],
        "medfee_sumamt": "80.00",
        "fsi_order_dtos": [order],
    }
    patient = {
        "patn_id": "p-17",
        "gend": "2",
        "brdy": "1956-04-01",
        "curr_mdtrt_id": "m-1003",
        "fsi_encounter_dtos": [encounter],
    }
    return {"syscode": "HIS", "trig_scen": scene, "patient_dtos": [patient]}


_WARNS = [{"warn_rslt_id": "5d15c501a9e84f0b8e3c7d2f6b1a4e90001", "dspo_way": "1", "dspo_way_rea": "病情需要"}]
# By address, as the description has them.
SAMPLES: Mapping[str, Any] = {
    "/v1/claims/score": {**_CLAIM, "options": {"explain": "reasons", "locale": "en", "store": True}},
    "/v1/claims/score-batch": [_CLAIM, {"claim": {**_CLAIM["claim"], "claim_id": "c-1004"}}],
    "/v1/claims": {"claims": [_CLAIM]},
    "/v1/outcomes": {"outcomes": [_OUTCOME]},
    "/v1/cases/{id}": _CHANGE,
    "/v1/cases/{id}/decisions": _PROPOSAL,
    "/fhir/Claim/$score": _FHIR,
    "before": _message("3101", 1, _visit("2")),
    "course": _message("3102", 2, _visit("7")),
    "feedback": _message("3103", 3, {"warn_type": "1", "warns": _WARNS}),
}
