"""The public Medicare provider-fraud files: inpatient, outpatient, beneficiaries and provider labels.

Ids in this set are pseudonyms already and stay as they are unless a key is given. A label `Yes` becomes
the verdict `confirmed_fraud`; `No` becomes `false_positive`, the nearest verdict to "looked at and not
found guilty". The set gives no day of decision, so it is the day after the last claim of the folder ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fraud.claims.checking import Feed, Plan
from fraud.claims.raw import Layout, RawFile, RawSpec
from fraud.errors import ClaimsError

__all__ = ["plan"]

LAYOUT = Layout(delimiter=",", nulls=("NA",))
DIAGNOSES = tuple(f"ClmDiagnosisCode_{place}" for place in range(1, 11))
PROCEDURES = tuple(f"ClmProcedureCode_{place}" for place in range(1, 7))
CLAIM_COLUMNS = ("BeneID", "ClaimID", "ClaimStartDt", "ClaimEndDt", "Provider", "InscClaimAmtReimbursed")

# Role of a file by its name, and the columns that it cannot do without.
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "inpatient": (r"(train|test)_inpatientdata.*\.csv", CLAIM_COLUMNS),
    "outpatient": (r"(train|test)_outpatientdata.*\.csv", CLAIM_COLUMNS),
    "patients": (r"(train|test)_beneficiarydata.*\.csv", ("BeneID", "DOB", "Gender")),
    "labels": (r"train-.*\.csv", ("Provider", "PotentialFraud")),
    # The test set lists its providers without a label: nothing to load, and its columns are left out.
    "unlabelled": (r"test-.*\.csv", ("Provider",)),
}
CHRONIC = {
    "ChronicCond_Alzheimer": "alzheimer",
    "ChronicCond_Heartfailure": "heart_failure",
    "ChronicCond_KidneyDisease": "kidney_disease",
    "ChronicCond_Cancer": "cancer",
    "ChronicCond_ObstrPulmonary": "obstructive_pulmonary",
    "ChronicCond_Depression": "depression",
    "ChronicCond_Diabetes": "diabetes",
    "ChronicCond_IschemicHeart": "ischemic_heart",
    "ChronicCond_Osteoporasis": "osteoporosis",
    "ChronicCond_rheumatoidarthritis": "rheumatoid_arthritis",
    "ChronicCond_stroke": "stroke",
}


def plan(raw: Path, mapping: Path | None = None) -> Plan:
    """The files of the set found in the folder; raises `ClaimsError` when there are no claims among them."""
    specs = tuple(spec for path in sorted(raw.iterdir()) for spec in _specs(path))
    if not any(spec.role in ("inpatient", "outpatient") for spec in specs):
        found = ", ".join(sorted(path.name for path in raw.iterdir())[:5]) or "nothing"
        raise ClaimsError(
            f"{raw}: no claims here. Expected Train_Inpatientdata*.csv or Train_Outpatientdata*.csv "
            f"(or Test_*); found {found}. Point `fraud import cms` at the folder that holds them."
        )
    return Plan(specs, _feeds, _left_out)


def _specs(path: Path) -> Sequence[RawSpec]:
    matches = (
        RawSpec(path, role, path.name, required, LAYOUT)
        for role, (pattern, required) in FILES.items()
        if re.fullmatch(pattern, path.name, re.IGNORECASE)
    )
    return tuple(matches)


def _feeds(files: Sequence[RawFile]) -> Sequence[Feed]:
    claims = [file for file in files if file.role in ("inpatient", "outpatient")]
    feeds = [_claims(file) for file in claims]
    for file in claims:
        feeds += [_diagnoses(file), _procedures(file)]
    feeds += [_patients(file) for file in files if file.role == "patients"]
    feeds += [_providers(), _physicians(claims)]
    return feeds + [_labels(file) for file in files if file.role == "labels"]


def _claims(file: RawFile) -> Feed:
    fund, deductible = file.cell("InscClaimAmtReimbursed"), file.cell("DeductibleAmtPaid")
    # An unreadable amount goes on as it is, so that the check says so; no deductible counts as none paid.
    total = f"""CASE WHEN TRY_CAST({fund} AS DOUBLE) IS NULL THEN {fund}
        ELSE CAST(CAST({fund} AS DOUBLE) + coalesce(TRY_CAST({deductible} AS DOUBLE), 0) AS VARCHAR) END"""
    columns = {
        "claim_id": file.cell("ClaimID"),
        "patient_id": file.cell("BeneID"),
        "provider_id": file.cell("Provider"),
        "physician_id": file.cell("AttendingPhysician"),
        "visit_type": f"'{file.role}'",
        "admitted_at": f"coalesce({file.cell('AdmissionDt')}, {file.cell('ClaimStartDt')})",
        "discharged_at": f"coalesce({file.cell('DischargeDt')}, {file.cell('ClaimEndDt')})",
        "settled_at": file.cell("ClaimEndDt"),
        "primary_diagnosis": _code(file, DIAGNOSES[0]),
        "drg": file.cell("DiagnosisGroupCode"),
        "total_amount": total,
        "fund_amount": fund,
        "self_amount": deductible,
        "deductible": deductible,
        "currency": "'USD'",
    }
    return Feed("claims", file, columns)


def _code(file: RawFile, column: str) -> str:
    """The code as text; some copies of the set carry it as a decimal, 7092.0."""
    return f"regexp_replace({file.cell(column)}, '\\.0$', '')"


def _unpivoted(entries: Sequence[str], file: RawFile) -> str:
    return f"""SELECT _row, e.* FROM (SELECT _row, unnest([{", ".join(entries)}]) AS e FROM {file.relation})
        WHERE e.code IS NOT NULL"""


def _diagnoses(file: RawFile) -> Feed:
    admission = _code(file, "ClmAdmitDiagnosisCode")
    entries = [f"{{'_seq': 0, 'position': '1', 'kind': 'admission', 'code': {admission}}}"]
    entries += [
        f"{{'_seq': {place}, 'position': '{place}', 'kind': 'discharge', 'code': {_code(file, column)}}}"
        for place, column in enumerate(DIAGNOSES, start=1)
    ]
    columns = {"claim_id": file.cell("ClaimID"), "position": "position", "kind": "kind", "code": "code"}
    return _child("diagnoses", file, columns, entries)


def _procedures(file: RawFile) -> Feed:
    entries = [
        f"{{'_seq': {place}, 'position': '{place}', 'code': {_code(file, column)}}}"
        for place, column in enumerate(PROCEDURES, start=1)
    ]
    columns = {
        "claim_id": file.cell("ClaimID"),
        "position": "position",
        "code": "code",
        "physician_id": file.cell("OperatingPhysician"),
    }
    return _child("procedures", file, columns, entries)


def _child(table: str, file: RawFile, columns: Mapping[str, str], entries: Sequence[str]) -> Feed:
    """Rows made of the repeated columns of a claim that is itself accepted."""
    rows = f"""SELECT r.*, u._seq, {", ".join(f"u.{name}" for name in columns if columns[name] == name)}
        FROM ({_unpivoted(entries, file)}) AS u JOIN {file.relation} AS r ON r._row = u._row"""
    return Feed(table, file, columns, rows=rows, parent="claims")


def _patients(file: RawFile) -> Feed:
    named = [f"CASE WHEN {file.cell(column)} = '1' THEN '{name}' END" for column, name in CHRONIC.items()]
    named.append(f"CASE WHEN {file.cell('RenalDiseaseIndicator')} = 'Y' THEN 'renal_disease' END")
    listed = f"list_filter([{', '.join(named)}], lambda name: name IS NOT NULL)"
    sex = file.cell("Gender")
    columns = {
        "patient_id": file.cell("BeneID"),
        "birth_date": file.cell("DOB"),
        "died_on": file.cell("DOD"),
        "sex": f"CASE {sex} WHEN '1' THEN 'male' WHEN '2' THEN 'female' ELSE {sex} END",
        "insured_region": f"{file.cell('State')} || '-' || {file.cell('County')}",
        "chronic_conditions": f"CAST(to_json({listed}) AS VARCHAR)",
    }
    return Feed("patients", file, columns)


def _providers() -> Feed:
    rows = """SELECT row_number() OVER (ORDER BY provider_id) AS _row, 0 AS _seq, provider_id
        FROM (SELECT DISTINCT provider_id FROM accepted_claims)"""
    return Feed("providers", None, {"provider_id": "provider_id"}, rows=rows)


def _physicians(claims: Sequence[RawFile]) -> Feed:
    """Attending and operating physicians, each at the provider with most of their claims; ties: lowest id."""
    operating = " UNION ALL ".join(
        f"""SELECT {file.cell("OperatingPhysician")} AS physician_id, c.provider_id, c.claim_id
            FROM {file.relation} AS r
            JOIN accepted_claims AS c ON c._file = {file.index} AND c._row = r._row"""
        for file in claims
    )
    rows = f"""SELECT row_number() OVER (ORDER BY physician_id) AS _row, 0 AS _seq, physician_id, provider_id
        FROM (SELECT physician_id, provider_id, count(DISTINCT claim_id) AS claims FROM (
                SELECT physician_id, provider_id, claim_id FROM accepted_claims UNION ALL {operating})
            WHERE physician_id IS NOT NULL GROUP BY physician_id, provider_id
            QUALIFY row_number() OVER (PARTITION BY physician_id ORDER BY claims DESC, provider_id) = 1)"""
    return Feed("physicians", None, {"physician_id": "physician_id", "provider_id": "provider_id"}, rows=rows)


def _labels(file: RawFile) -> Feed:
    label = f"lower({file.cell('PotentialFraud')})"
    last = "greatest(max(settled_at), max(discharged_at))"
    columns = {
        "entity": "'provider'",
        "entity_id": file.cell("Provider"),
        "verdict": f"""CASE {label} WHEN 'yes' THEN 'confirmed_fraud' WHEN 'no' THEN 'false_positive'
            ELSE {file.cell("PotentialFraud")} END""",
        "period_from": "(SELECT CAST(CAST(min(admitted_at) AS DATE) AS VARCHAR) FROM accepted_claims)",
        "period_to": f"(SELECT CAST(CAST({last} AS DATE) AS VARCHAR) FROM accepted_claims)",
        "decided_at": f"(SELECT CAST(CAST({last} AS DATE) + 1 AS VARCHAR) FROM accepted_claims)",
        "source": "'cms provider label'",
    }
    return Feed("outcomes", file, columns)


def _left_out(files: Sequence[RawFile]) -> Mapping[str, str]:
    """An operating physician has a place only beside a procedure."""
    counts = {}
    for file in files:
        if file.role in ("inpatient", "outpatient") and file.has("OperatingPhysician"):
            procedures = ", ".join(file.cell(column) for column in PROCEDURES)
            counts[f"{file.name}:OperatingPhysician (claims without a procedure)"] = f"""SELECT count(*)
                FROM {file.relation} WHERE {file.cell("OperatingPhysician")} IS NOT NULL
                AND coalesce({procedures}) IS NULL"""
    return counts
