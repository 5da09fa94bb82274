"""The bodies of answers: their shapes for the documentation, and how a score becomes one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, RootModel

from fraud.explaining.reasons import Reason
from fraud.scoring.shapes import Risk, Score
from fraud.signals.rules import Finding
from fraud.store.casework.shapes import Case

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = [
    "LANGUAGES",
    "AddedAnswer",
    "BatchAnswer",
    "ClaimScore",
    "EntityRisk",
    "ItemProblem",
    "ModelAnswer",
    "ProblemAnswer",
    "as_bytes",
    "claim_score",
    "model_card",
    "risk_of",
]

# The locales of the contract, and the language that signals are written in.
LANGUAGES = {"en": "en", "zh-CN": "zh"}


def as_bytes(answer: Mapping[str, Any]) -> bytes:
    """The answer as JSON; what is not known (NaN) is null."""
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


# --- shapes -----------------------------------------------------------------------------------------------


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FindingAnswer(_Answer):
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


class ReasonAnswer(_Answer):
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


class RiskAnswer(_Answer):
    """What the model says; with `explain=full`, base + Σ contribution = margin.

    A model without labels knows no probabilities: these are null, and so is what follows from them.
    """

    probability: float | None
    probability_low: float | None
    probability_high: float | None
    percentile: float
    band: Literal["general", "serious", "critical"]
    expected_recovery: float | None
    reasons: list[ReasonAnswer]
    base: float | None
    margin: float


class ModelName(_Answer):
    """Which model and catalogue answered; without a model only the catalogue is named."""

    name: str | None
    version: int | None
    alias: str | None
    catalogue: str


class CaseAnswer(_Answer):
    """The case of the claim: its number, and when its running clock ends (null while evidence is awaited)."""

    id: str
    priority: Literal["urgent", "important", "normal"]
    due_at: datetime | None


class ClaimScore(_Answer):
    """The answer to a claim. `case` is null when none was opened; `degraded` names what could not be used."""

    request_id: str
    claim_id: str
    scored_at: datetime
    as_of: datetime | None
    action: Literal["pass", "review", "hold"]
    findings: list[FindingAnswer]
    risk: RiskAnswer | None
    model: ModelName
    case: CaseAnswer | None
    degraded: list[str]
    timing_ms: dict[str, float]


class EntityRisk(_Answer):
    """The latest snapshot score of a provider, patient or physician."""

    entity: Literal["provider", "patient", "physician"]
    entity_id: str
    as_of: datetime
    risk: RiskAnswer
    model: ModelName
    degraded: list[str]


class ModelCard(ModelName):
    """A model in force."""

    fitted_on: str | None
    data: str | None
    metrics: dict[str, float | None]


class ModelAnswer(ModelCard):
    """The model of claims, and those of other entities; `failed` says which could not be loaded, and why.

    `refused` says what is new and was not brought into force, such as a model that was fitted on another catalogue.
    `access` says who may call: `open` is everybody on the machine, as long as no key was made.
    """

    access: Literal["open", "keys"]
    models: dict[str, ModelCard]
    failed: dict[str, str]
    refused: dict[str, str]


class AddedAnswer(_Answer):
    """What became of the claims, in the order in which they came."""

    claims: list[dict[str, str]]
    counts: dict[str, int]


class ErrorAnswer(_Answer):
    """One fault of a body."""

    pointer: str
    code: str
    detail: str
    found: str | None = None


class ProblemAnswer(_Answer):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ErrorAnswer] = []
    errors_total: int | None = None


class ItemProblem(ProblemAnswer):
    """What is wrong with one claim of several: `index` is its place in the list, where pointers begin too."""

    index: int


class BatchAnswer(RootModel[list[ClaimScore | ItemProblem]]):
    """For each claim, in the order in which they came, its score or what is wrong with it."""


# --- from scores to answers -------------------------------------------------------------------------------


def claim_score(
    request_id: str,
    claim_id: str,
    scored_at: datetime,
    score: Score,
    model: Mapping[str, Any],
    history_ms: float,
    explain: str,
    locale: str,
    case: Case | None = None,
) -> dict[str, Any]:
    """The answer to a claim, in the order of the contract; `case` is the one that it opened or added to."""
    language = LANGUAGES[locale]
    return {
        "request_id": request_id,
        "claim_id": claim_id,
        "scored_at": scored_at,
        "as_of": score.as_of,
        "action": score.action,
        "findings": [_finding(f, language) for f in score.findings],
        "risk": risk_of(score.risk, language, explain) if score.risk else None,
        "model": model,
        "case": {"id": case.case_id, "priority": case.priority, "due_at": case.due_at} if case else None,
        "degraded": list(score.degraded),
        "timing_ms": {"history": history_ms, **score.timing_ms},
    }


def _finding(finding: Finding, language: str) -> dict[str, Any]:
    signal = finding.signal
    return {
        "rule": signal.id,
        "version": signal.version,
        "violation": signal.violation,
        "national_code": signal.national_code,
        "kind": signal.kind,
        "severity": signal.severity,
        "status": finding.status,
        "value": finding.value,
        "limit": finding.limit,
        "unit": signal.unit,
        "amount": finding.amount,
        "sentence": finding.sentences.get(language) or finding.why,
        "lines": finding.lines,
        "citations": signal.cites,
        "innocent_explanations": [signal.excuses[language]] if language in signal.excuses else [],
    }


def risk_of(risk: Risk, language: str, explain: str) -> dict[str, Any]:
    """The risk; unless it was explained, its base is not known (null)."""
    return {
        "probability": risk.probability,
        "probability_low": risk.probability_low,
        "probability_high": risk.probability_high,
        "percentile": risk.percentile,
        "band": risk.band,
        "expected_recovery": risk.expected_recovery,
        "reasons": list(_reasons(risk.reasons, language)),
        "base": None if explain == "none" else risk.base,
        "margin": risk.margin,
    }


def _reasons(reasons: Iterable[Reason], language: str) -> Iterable[dict[str, Any]]:
    for r in reasons:
        yield {
            "signal": r.signal,
            "version": r.version,
            "value": r.value,
            "unit": r.unit,
            "contribution": r.contribution,
            "peer_median": r.peer_median,
            "peer_percentile": r.peer_percentile,
            "peer_group": r.peer_group,
            "peer_count": r.peer_count,
            "sentence": r.sentences[language],
            "citations": r.citations,
        }


def model_name(model: FittedModel | None, catalogue: str) -> dict[str, Any]:
    """Which model answered."""
    if model is None:
        return {"name": None, "version": None, "alias": None, "catalogue": catalogue}
    return {"name": model.spec.name, "version": model.version, "alias": model.alias, "catalogue": catalogue}


def model_card(model: FittedModel | None, catalogue: str) -> dict[str, Any]:
    """The model with what it was fitted on and how well it did."""
    if model is None:
        return model_name(None, catalogue) | {"fitted_on": None, "data": None, "metrics": {}}
    told = {"fitted_on": model.as_of, "data": model.data_digest, "metrics": dict(model.metrics)}
    return model_name(model, catalogue) | told
