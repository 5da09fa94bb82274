"""Messages of hospital systems and resources of FHIR senders, made up, and changes to them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

BEFORE = "/fsi/api/riskConService/beforeAnalyze"
COURSE = "/fsi/api/riskConService/courseAnalyze"
FEEDBACK = "/fsi/api/riskConService/feedback"
FHIR = "/fhir/Claim/$score"
INSTITUTION = "H00000000003"


def envelope(infno: str, data: Mapping[str, Any], number: int = 1, **changes: Any) -> dict[str, Any]:
    """A message."""
    return {
        "infno": infno,
        "msgid": f"{INSTITUTION}20240301100000{number:04d}",
        "mdtrtarea_admvs": "990100",
        "insuplc_admdvs": "990100",
        "recer_sys_code": "FWA",
        "infver": "V1.0",
        "opter_type": "1",
        "opter": "op-1",
        "opter_name": "A. Operator",
        "inf_time": "2024-03-01 10:00:00",
        "fixmedins_code": INSTITUTION,
        "fixmedins_name": "Hospital Three",
        "sign_no": "s-1",
        "input": {"data": dict(data)},
        **changes,
    }


def order(number: int, **changes: Any) -> dict[str, Any]:
    """One order of a visit."""
    return {
        "rx_id": f"rx-{number}",
        "rxno": "1",
        "grpno": "1",
        "long_drord_flag": "0",
        "hilist_type": "101",
        "chrg_type": "09",
        "drord_bhvr": "1",
        "hilist_code": "XC07AB02",
        "hilist_name": "美托洛尔",
        "hilist_lv": "01",
        "hilist_pric": "10.00",
        "hosplist_code": "L7",
        "hosplist_name": "美托洛尔片",
        "cnt": "1",
        "pric": "10.00",
        "sumamt": "10.00",
        "drord_begn_date": "2024-03-01 09:40:00",
        "drord_dr_codg": "d-8",
        "drord_dr_name": "B. Doctor",
        "curr_drord_flag": "1",
        **changes,
    }


def encounter(mdtrt_id: str = "m-9", orders: int = 5, **changes: Any) -> dict[str, Any]:
    """One visit with its orders; with more than three of them a rule hits."""
    return {
        "mdtrt_id": mdtrt_id,
        "medins_id": INSTITUTION,
        "medins_name": "Hospital Three",
        "medins_admdvs": "990100",
        "medins_type": "A1",
        "medins_lv": "05",
        "adm_date": "2024-03-01 09:30:00",
        "dscg_main_dise_codg": "I10.x05",
        "fsi_diagnose_dtos": [
            {"dise_id": "2", "inout_dise_type": "1", "maindise_flag": "0", "dias_srt_no": "2", "dise_codg": "E11.900"},
            {"dise_id": "1", "inout_dise_type": "1", "maindise_flag": "1", "dias_srt_no": "1", "dise_codg": "I10.x05"},
        ],
        "dr_codg": "d-8",
        "adm_dept_codg": "D1",
        "adm_dept_name": "Cardiology",
        "med_mdtrt_type": "1",
        "med_type": "11",
        "fsi_order_dtos": [order(n) for n in range(1, orders + 1)],
        "matn_stas": "0",
        "medfee_sumamt": f"{10 * orders}.00",
        "ownpay_amt": "5.00",
        "selfpay_amt": "1.00",
        "insutype": "310",
        "reim_flag": "1",
        "out_setl_flag": "0",
        **changes,
    }


def patient(*encounters: dict[str, Any], current: str = "m-9", **changes: Any) -> dict[str, Any]:
    """A person and the visits that are told."""
    return {
        "patn_id": "p-17",
        "patn_name": "C. Patient",
        "gend": "2",
        "brdy": "1956-04-01",
        "poolarea": "990100",
        "curr_mdtrt_id": current,
        "fsi_encounter_dtos": list(encounters) or [encounter()],
        **changes,
    }


def before(*patients: dict[str, Any], scene: str = "2", number: int = 1, **data: Any) -> dict[str, Any]:
    """3101."""
    given = {"syscode": "HIS", "patient_dtos": list(patients) or [patient()], "trig_scen": scene, **data}
    return envelope("3101", given, number)


def course(*patients: dict[str, Any], scene: str = "6", number: int = 1, **data: Any) -> dict[str, Any]:
    """3102."""
    return before(*patients, scene=scene, number=number, **data) | {"infno": "3102"}


def feedback(*warns: dict[str, Any], number: int = 1, warn_type: str = "1") -> dict[str, Any]:
    """3103."""
    return envelope("3103", {"warn_type": warn_type, "warns": list(warns)}, number)


_CLAIM: dict[str, Any] = {
    "resourceType": "Claim",
    "id": "c-9",
    "contained": [
        {"resourceType": "Patient", "id": "who", "gender": "female", "birthDate": "1956-04", "name": [{"text": "C."}]}
    ],
    "identifier": [{"system": "urn:x", "value": "claim-9"}],
    "status": "active",
    "use": "claim",
    "type": {"coding": [{"code": "institutional"}]},
    "patient": {"reference": "#who", "identifier": {"value": "p-17"}, "display": "C. Patient"},
    "billablePeriod": {"start": "2024-03-01T09:30:00+08:00", "end": "2024-03-03"},
    "created": "2024-03-04",
    "provider": {"reference": "https://example.org/fhir/Organization/h-3/_history/2"},
    "priority": {"coding": [{"code": "normal"}]},
    "careTeam": [
        {"sequence": 1, "provider": {"reference": "Practitioner/d-1"}},
        {"sequence": 2, "provider": {"reference": "Practitioner/d-8"}, "responsible": True},
    ],
    "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/1"}}],
    "diagnosis": [
        {"sequence": 1, "diagnosisCodeableConcept": {"coding": [{"code": "E11.9"}]}},
        {
            "sequence": 2,
            "diagnosisCodeableConcept": {"coding": [{"code": "I10.9"}]},
            "type": [{"coding": [{"code": "principal"}]}],
            "onAdmission": {"coding": [{"code": "y"}]},
        },
    ],
    "procedure": [{"sequence": 1, "date": "2024-03-02", "procedureCodeableConcept": {"coding": [{"code": "37.22"}]}}],
    "item": [],
    "total": {"value": 50, "currency": "CNY"},
}


def item(number: int, **changes: Any) -> dict[str, Any]:
    """One billed line of a FHIR claim."""
    return {
        "sequence": number,
        "careTeamSequence": [1],
        "productOrService": {"coding": [{"code": "X1", "display": "a service"}]},
        "servicedPeriod": {"start": "2024-03-01T10:00:00Z"},
        "quantity": {"value": 2},
        "unitPrice": {"value": 5},
        **changes,
    }


def fhir_claim(items: int = 5, **changes: Any) -> dict[str, Any]:
    """A Claim; with more than three items a rule hits."""
    made = copy.deepcopy(_CLAIM) | {"item": [item(n) for n in range(1, items + 1)]}
    return {name: value for name, value in (made | changes).items() if value is not None}
