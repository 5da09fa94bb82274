"""Shapes of what is sent and answered.

Made from the description of the service by `python -m fraud.web.exchange.typed`; a test keeps them equal.
"""

# fmt: off
# ruff: noqa: E501

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

__all__ = [
    "AddedAnswer",
    "Appeal",
    "AttachmentAnswer",
    "CaseAnswer",
    "CaseEventAnswer",
    "CaseFileAnswer",
    "CasePatch",
    "CaseStanding",
    "CasesAnswer",
    "Check",
    "CheckAnswer",
    "Claim",
    "ClaimBody",
    "ClaimScore",
    "Close",
    "Confirm",
    "CountsAnswer",
    "DecideAppeal",
    "Diagnosis",
    "EntityRisk",
    "ErrorAnswer",
    "Evidence",
    "File",
    "FindingAnswer",
    "FollowUp",
    "ItemProblem",
    "LedgerAnswer",
    "LedgerEntry",
    "Line",
    "ModelAnswer",
    "ModelCard",
    "ModelName",
    "Note",
    "Options",
    "Outcome",
    "OutcomeStatus",
    "OutcomesAnswer",
    "Payment",
    "PaymentAnswer",
    "ProblemAnswer",
    "Procedure",
    "Propose",
    "ReasonAnswer",
    "RiskAnswer",
    "ScoreBody",
    "SendBack",
    "Unfounded",
]


class AddedAnswer(TypedDict):
    """What became of the claims, in the order in which they came."""

    claims: list[dict[str, str]]
    counts: dict[str, int]


class Appeal(TypedDict):
    """An objection, within 10 working days of the decision."""

    decision: Literal["appeal"]
    revision: NotRequired[int | None]
    reason: str
    by: NotRequired[str | None]


class AttachmentAnswer(TypedDict):
    """A file of a case; its content has an address of its own."""

    number: int
    name: str
    media_type: str
    size: int
    digest: str
    added_at: str
    added_by: str


class CaseAnswer(TypedDict):
    """The case of the claim: its number, and when its running clock ends (null while evidence is awaited)."""

    id: str
    priority: Literal["urgent", "important", "normal"]
    due_at: str | None


class CaseEventAnswer(TypedDict):
    """Something that was done in a case; `who` is empty for the service itself."""

    number: int
    at: str
    who: str
    what: str
    state_before: str | None
    state_after: str
    details: object


class CheckAnswer(TypedDict):
    """Where an innocent explanation stands."""

    answer: Literal["refuted", "holds", "open"]
    remark: str | None
    who: str
    at: str


class PaymentAnswer(TypedDict):
    """Money that came back; below zero where it was taken off the payment whose number is `corrects`."""

    number: int
    amount: float
    received_on: str
    reference: str | None
    reason: str | None
    corrects: int | None
    recorded_at: str
    recorded_by: str


class CaseFileAnswer(TypedDict):
    """A case with all that was done in it; `possible` are the steps that the caller can take now."""

    id: str
    entity: Literal["claim", "patient", "provider", "physician"]
    entity_id: str
    patient_id: str | None
    provider_id: str | None
    region: str | None
    state: Literal["open", "assigned", "evidence", "proposed", "confirmed", "unfounded", "appealed", "closed"]
    priority: Literal["urgent", "important", "normal"]
    revision: int
    violation: str | None
    findings: list[str]
    action: str | None
    severity: str | None
    band: str | None
    probability: float | None
    percentile: float | None
    amount: float | None
    expected_recovery: float | None
    recovery_per_hour: float
    hours: float
    request_id: str | None
    selected_by: Literal["decision", "expected_recovery", "random", "investigator"]
    inclusion_probability: float | None
    opened_at: str
    assignee: str | None
    clock: str | None
    due_at: str | None
    overdue: bool
    paused: bool
    seconds_left: float | None
    evidence_due_at: str | None
    first_action_at: str | None
    result: str | None
    verdict: str | None
    disposition: str | None
    confirmed_amount: float | None
    recovered_amount: float | None
    proposer: str | None
    signer: str | None
    decided_at: str | None
    appeal_until: str | None
    appealed_at: str | None
    closed_at: str | None
    follow_up_on: str | None
    satisfaction: int | None
    week: str | None
    place: int | None
    history: list[CaseEventAnswer]
    attachments: list[AttachmentAnswer]
    checks: dict[str, CheckAnswer]
    proposal: object | None
    possible: list[str]
    notes: list[str]
    payments: list[PaymentAnswer]


class Check(TypedDict):
    """An innocent explanation that was looked into; one that is refuted needs a remark."""

    explanation: str
    answer: Literal["refuted", "holds", "open"]
    remark: NotRequired[str | None]


class Evidence(TypedDict):
    """Evidence that is asked for, or with `arrived` that is there; with `missing` it is known not to exist."""

    kind: NotRequired[Literal["file", "inquiry"]]
    asked: NotRequired[str | None]
    of: NotRequired[str | None]
    days: NotRequired[int | None]
    arrived: NotRequired[bool]
    missing: NotRequired[bool]
    remark: NotRequired[str | None]


class File(TypedDict):
    """A file of at most 10 MiB."""

    name: str
    media_type: str
    content: str


class FollowUp(TypedDict):
    """The follow-up after the decision: its day, how satisfied whoever was concerned is, what was done."""

    on: NotRequired[str | None]
    satisfaction: NotRequired[int | None]
    remark: NotRequired[str | None]
    measure: NotRequired[Literal["rectification", "sanction", "emergency", "none"] | None]


class Note(TypedDict):
    """Something written down: a note, a root cause, or the rule or model that was changed because of the case."""

    text: str
    kind: NotRequired[Literal["note", "cause", "change"]]


class Payment(TypedDict):
    """Money that came back; with `corrects`, the number of a payment, so much is taken off it again, for a reason."""

    amount: float | None
    on: NotRequired[str | None]
    reference: NotRequired[str | None]
    reason: NotRequired[str | None]
    corrects: NotRequired[int | None]


class CasePatch(TypedDict):
    """What changes in a case, all of it or nothing. With `revision`, that which was read, nobody is overwritten."""

    revision: NotRequired[int | None]
    take: NotRequired[bool]
    assignee: NotRequired[str | None]
    hand_back: NotRequired[bool]
    priority: NotRequired[Literal["urgent", "important", "normal"] | None]
    reason: NotRequired[str | None]
    evidence: NotRequired[Evidence | None]
    note: NotRequired[Note | None]
    check: NotRequired[Check | None]
    file: NotRequired[File | None]
    follow_up: NotRequired[FollowUp | None]
    payment: NotRequired[Payment | None]


class CaseStanding(TypedDict):
    """A case."""

    id: str
    entity: Literal["claim", "patient", "provider", "physician"]
    entity_id: str
    patient_id: str | None
    provider_id: str | None
    region: str | None
    state: Literal["open", "assigned", "evidence", "proposed", "confirmed", "unfounded", "appealed", "closed"]
    priority: Literal["urgent", "important", "normal"]
    revision: int
    violation: str | None
    findings: list[str]
    action: str | None
    severity: str | None
    band: str | None
    probability: float | None
    percentile: float | None
    amount: float | None
    expected_recovery: float | None
    recovery_per_hour: float
    hours: float
    request_id: str | None
    selected_by: Literal["decision", "expected_recovery", "random", "investigator"]
    inclusion_probability: float | None
    opened_at: str
    assignee: str | None
    clock: str | None
    due_at: str | None
    overdue: bool
    paused: bool
    seconds_left: float | None
    evidence_due_at: str | None
    first_action_at: str | None
    result: str | None
    verdict: str | None
    disposition: str | None
    confirmed_amount: float | None
    recovered_amount: float | None
    proposer: str | None
    signer: str | None
    decided_at: str | None
    appeal_until: str | None
    appealed_at: str | None
    closed_at: str | None
    follow_up_on: str | None
    satisfaction: int | None
    week: str | None
    place: int | None


class CountsAnswer(TypedDict):
    """How many of the cases that were looked for there are; `by_priority` counts those that are undecided."""

    total: int
    undecided: int
    overdue: int
    by_state: dict[str, int]
    by_priority: dict[str, int]


class CasesAnswer(TypedDict):
    """A page of cases, how many there are in all, how many came before, and with `counts=true` how they stand."""

    cases: list[CaseStanding]
    total: int
    skipped: int
    counts: CountsAnswer | None


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


class Close(TypedDict):
    """The end, once nobody can appeal any more; with `waived` before that."""

    decision: Literal["close"]
    revision: NotRequired[int | None]
    reason: NotRequired[str | None]
    waived: NotRequired[bool]


class Confirm(TypedDict):
    """The second signature under what was proposed."""

    decision: Literal["confirm"]
    revision: NotRequired[int | None]
    remark: NotRequired[str | None]


class DecideAppeal(TypedDict):
    """What became of the appeal, decided by somebody who neither proposed nor signed."""

    decision: Literal["decide_appeal"]
    revision: NotRequired[int | None]
    upheld: bool
    reason: str
    reopen: NotRequired[bool]


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


class LedgerEntry(TypedDict):
    """One thing that was done; `record` and `person` are names that lead nowhere, the same in every report."""

    position: int
    at: str
    who: str
    what: str
    record: str | None
    person: str | None
    purpose: str | None
    request_id: str | None
    details: object
    previous: str
    hash: str


class LedgerAnswer(TypedDict):
    """The latest entries, the newest first, and the end of the chain, to be kept elsewhere."""

    entries: list[LedgerEntry]
    seal: str


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


class Propose(TypedDict):
    """A result that waits for the signature of another person."""

    decision: Literal["propose"]
    revision: NotRequired[int | None]
    result: Literal["compliant", "violation", "needs_more_evidence"]
    reason: str
    verdict: NotRequired[str | None]
    violation: NotRequired[str | None]
    amount: NotRequired[float | None]
    findings: NotRequired[list[str]]
    disposition: NotRequired[Literal["block", "review", "refer", "accept"] | None]
    root_cause: NotRequired[str | None]
    measure: NotRequired[Literal["rectification", "sanction", "emergency", "none"] | None]
    plan: NotRequired[str | None]
    rating: NotRequired[int | None]


class ScoreBody(TypedDict):
    """One claim to score."""

    claim: Claim
    lines: NotRequired[list[Line]]
    diagnoses: NotRequired[list[Diagnosis]]
    procedures: NotRequired[list[Procedure]]
    options: NotRequired[Options]


class SendBack(TypedDict):
    """No second signature: whoever proposed looks again."""

    decision: Literal["send_back"]
    revision: NotRequired[int | None]
    reason: str


class Unfounded(TypedDict):
    """Nothing was found: signed by two, or where little is at stake by whoever works on it."""

    decision: Literal["unfounded"]
    revision: NotRequired[int | None]
    reason: str
    verdict: NotRequired[str | None]
