"""Shapes of what is sent and answered.

Made from the description of the service by `python -m fraud.web.exchange.typed`; a test keeps them equal.
"""

# fmt: off
# ruff: noqa: E501

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

__all__ = [
    "AddedAnswer",
    "CaseAnswer",
    "Claim",
    "ClaimBody",
    "ClaimScore",
    "Diagnosis",
    "EntityRisk",
    "ErrorAnswer",
    "FindingAnswer",
    "ItemProblem",
    "Line",
    "ModelAnswer",
    "ModelCard",
    "ModelName",
    "Options",
    "Outcome",
    "OutcomeStatus",
    "OutcomesAnswer",
    "ProblemAnswer",
    "Procedure",
    "ReasonAnswer",
    "RiskAnswer",
    "ScoreBody",
]


class AddedAnswer(TypedDict):
    """What became of the claims, in the order in which they came."""

    claims: list[dict[str, str]]
    counts: dict[str, int]


class CaseAnswer(TypedDict):
    """The case that was opened."""

    id: str
    priority: Literal["urgent", "important", "normal"]
    due_at: str


class Claim(TypedDict):
    """One settled (or about to be settled) claim."""

    claim_id: str
    patient_id: str
    provider_id: str
    physician_id: NotRequired[str | None]
    department: NotRequired[str | None]
    visit_type: Literal["outpatient", "inpatient", "emergency", "pharmacy", "chronic", "long_term_care"]
    registered: NotRequired[bool | None]
    admitted_at: str
    discharged_at: NotRequired[str | None]
    settled_at: str
    uploaded_at: NotRequired[str | None]
    primary_diagnosis: NotRequired[str | None]
    drg: NotRequired[str | None]
    drg_weight: NotRequired[float | None]
    discharge_status: NotRequired[str | None]
    planned: NotRequired[bool | None]
    insured_region: NotRequired[str | None]
    care_region: NotRequired[str | None]
    out_of_area: NotRequired[Literal["none", "resident", "resident_unsettled", "referral", "self_arranged", "emergency"] | None]
    settlement_channel: NotRequired[Literal["direct", "manual"] | None]
    identity_check: NotRequired[Literal["pass", "fail", "absent"] | None]
    total_amount: float
    fund_amount: float
    self_amount: NotRequired[float | None]
    deductible: NotRequired[float | None]
    currency: NotRequired[str | None]
    invoice_no: NotRequired[str | None]
    payee_account: NotRequired[str | None]
    terminal_id: NotRequired[str | None]
    operator_id: NotRequired[str | None]


class Diagnosis(TypedDict):
    """One diagnosis of a claim."""

    claim_id: NotRequired[str | None]
    position: int
    code: str
    kind: NotRequired[Literal["admission", "discharge"] | None]
    present_on_admission: NotRequired[bool | None]


class Line(TypedDict):
    """One billed item of a claim."""

    claim_id: NotRequired[str | None]
    line_no: int
    item_code: str
    local_item_code: NotRequired[str | None]
    item_name: NotRequired[str | None]
    quantity: float
    unit_price: NotRequired[float | None]
    amount: float
    service_at: NotRequired[str | None]
    ordered_at: NotRequired[str | None]
    executed_at: NotRequired[str | None]
    reported_at: NotRequired[str | None]
    report_positive: NotRequired[bool | None]
    days_supply: NotRequired[float | None]
    physician_id: NotRequired[str | None]
    trace_code: NotRequired[str | None]
    dispensed_item_code: NotRequired[str | None]


class Procedure(TypedDict):
    """One procedure of a claim."""

    claim_id: NotRequired[str | None]
    position: int
    code: str
    performed_at: NotRequired[str | None]
    physician_id: NotRequired[str | None]


class ClaimBody(TypedDict):
    """One claim with its items."""

    claim: Claim
    lines: NotRequired[list[Line]]
    diagnoses: NotRequired[list[Diagnosis]]
    procedures: NotRequired[list[Procedure]]


class FindingAnswer(TypedDict):
    """What a rule says: a fact apart from any model. `error` and `skipped` are never "no hit"."""

    rule: str
    version: int
    violation: str | None
    national_code: str | None
    kind: Literal["violation", "suspicion"]
    severity: Literal["general", "serious", "critical"]
    status: Literal["hit", "error", "skipped"]
    value: float | None
    limit: float | None
    unit: str
    amount: float | None
    sentence: str
    lines: list[int]
    citations: list[str]
    innocent_explanations: list[str]


class ModelName(TypedDict):
    """Which model and catalogue answered; without a model only the catalogue is named."""

    name: str | None
    version: int | None
    alias: str | None
    catalogue: str


class ReasonAnswer(TypedDict):
    """One signal's part in the risk, in log-odds: a reason to look."""

    signal: str
    version: int
    value: float | None
    unit: str
    contribution: float
    peer_median: float | None
    peer_percentile: float | None
    peer_group: str
    peer_count: int
    sentence: str
    citations: list[str]


class RiskAnswer(TypedDict):
    """What the model says; with `explain=full`, base + Σ contribution = margin."""

    probability: float | None
    probability_low: float | None
    probability_high: float | None
    percentile: float
    band: Literal["general", "serious", "critical"]
    expected_recovery: float | None
    reasons: list[ReasonAnswer]
    base: float | None
    margin: float


class ClaimScore(TypedDict):
    """The answer to a claim. `case` is null when none was opened; `degraded` names what could not be used."""

    request_id: str
    claim_id: str
    scored_at: str
    as_of: str | None
    action: Literal["pass", "review", "hold"]
    findings: list[FindingAnswer]
    risk: RiskAnswer | None
    model: ModelName
    case: CaseAnswer | None
    degraded: list[str]
    timing_ms: dict[str, float]


class EntityRisk(TypedDict):
    """The latest snapshot score of a provider, patient or physician."""

    entity: Literal["provider", "patient", "physician"]
    entity_id: str
    as_of: str
    risk: RiskAnswer
    model: ModelName
    degraded: list[str]


class ErrorAnswer(TypedDict):
    """One fault of a body."""

    pointer: str
    code: str
    detail: str
    found: NotRequired[str | None]


class ItemProblem(TypedDict):
    """What is wrong with one claim of several: `index` is its place in the list, where pointers begin too."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: NotRequired[list[ErrorAnswer]]
    errors_total: NotRequired[int | None]
    index: int


class ModelCard(TypedDict):
    """A model in force."""

    name: str | None
    version: int | None
    alias: str | None
    catalogue: str
    fitted_on: str | None
    data: str | None
    metrics: dict[str, float | None]


class ModelAnswer(TypedDict):
    """The model of claims, and those of other entities; `failed` says which could not be loaded, and why."""

    name: str | None
    version: int | None
    alias: str | None
    catalogue: str
    fitted_on: str | None
    data: str | None
    metrics: dict[str, float | None]
    access: Literal["open", "keys"]
    models: dict[str, ModelCard]
    failed: dict[str, str]
    refused: dict[str, str]


class Options(TypedDict):
    """How to answer."""

    explain: NotRequired[Literal["none", "flagged", "reasons", "full"]]
    locale: NotRequired[Literal["en", "zh-CN"]]
    store: NotRequired[bool]


class Outcome(TypedDict):
    """One finding of an investigation; append-only, the only source of labels."""

    entity: Literal["claim", "patient", "provider", "physician"]
    entity_id: str
    verdict: Literal["confirmed_fraud", "confirmed_abuse", "waste", "improper_payment", "false_positive", "appeal_upheld", "insufficient_evidence", "data_error", "operation_error", "pending"]
    violation: NotRequired[str | None]
    period_from: NotRequired[str | None]
    period_to: NotRequired[str | None]
    decided_at: str
    amount: NotRequired[float | None]
    investigators: NotRequired[list[str] | None]
    source: NotRequired[str | None]


class OutcomeStatus(TypedDict):
    """What became of one outcome."""

    entity: Literal["claim", "patient", "provider", "physician"]
    entity_id: str
    status: Literal["added", "unchanged", "different"]


class OutcomesAnswer(TypedDict):
    """What became of the outcomes, in the order in which they came."""

    outcomes: list[OutcomeStatus]
    counts: dict[str, int]


class ProblemAnswer(TypedDict):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: NotRequired[list[ErrorAnswer]]
    errors_total: NotRequired[int | None]


class ScoreBody(TypedDict):
    """One claim to score."""

    claim: Claim
    lines: NotRequired[list[Line]]
    diagnoses: NotRequired[list[Diagnosis]]
    procedures: NotRequired[list[Procedure]]
    options: NotRequired[Options]
