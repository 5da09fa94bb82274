"""Each call as one value: what is sent, and how its answer is read; the same for both clients."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from urllib.parse import quote

from fraud.client.problems import problem_of

if TYPE_CHECKING:
    import httpx

    from fraud.client import shapes

__all__ = ["Ask", "Entity", "Explain", "Format", "Locale", "MOST_CLAIMS"]

_Answer = TypeVar("_Answer")
Entity = Literal["provider", "patient", "physician"]
Explain = Literal["none", "flagged", "reasons", "full"]
Format = Literal["json", "html", "pdf", "xlsx"]
Audience = Literal["internal", "provider"]
Locale = Literal["en", "zh-CN"]
Paper = Literal["monthly", "quarterly", "ranking", "scorecard"]
# Claims that one request may carry.
MOST_CLAIMS = 1_000
_MEDIA_TYPES = {
    "json": "application/json",
    "html": "text/html",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class Ask(Generic[_Answer]):
    """One call. `keyed` calls carry an `Idempotency-Key`, the same in every trial."""

    method: str
    path: str
    read: Callable[[httpx.Response], _Answer]
    body: bytes | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = "application/json"
    keyed: bool = False

    def answer(self, response: httpx.Response) -> _Answer:
        """The answer; raises `FraudProblem` when it is a problem."""
        if response.is_success:
            return self.read(response)
        raise problem_of(response)


def score(
    claim: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    diagnoses: Sequence[Mapping[str, Any]],
    procedures: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> Ask[shapes.ClaimScore]:
    """`POST /v1/claims/score`."""
    body = {"claim": claim, "lines": lines, "diagnoses": diagnoses, "procedures": procedures, "options": options}
    return Ask("POST", "/v1/claims/score", _json, _bytes(body), keyed=True)


def score_batch(bodies: Sequence[Mapping[str, Any]]) -> Ask[list[shapes.ClaimScore | shapes.ItemProblem]]:
    """`POST /v1/claims/score-batch`."""
    return Ask("POST", "/v1/claims/score-batch", _json, _bytes(list(bodies)), keyed=True)


def add_claims(bodies: Sequence[Mapping[str, Any]]) -> Ask[shapes.AddedAnswer]:
    """`POST /v1/claims`."""
    return Ask("POST", "/v1/claims", _json, _bytes({"claims": list(bodies)}), keyed=True)


def outcomes(rows: Sequence[Mapping[str, Any]]) -> Ask[shapes.OutcomesAnswer]:
    """`POST /v1/outcomes`."""
    return Ask("POST", "/v1/outcomes", _json, _bytes({"outcomes": list(rows)}))


def decision(request_id: str) -> Ask[shapes.ClaimScore]:
    """`GET /v1/decisions/{request_id}`."""
    return Ask("GET", f"/v1/decisions/{_part(request_id)}", _json)


def risk(entity: Entity, entity_id: str, locale: Locale) -> Ask[shapes.EntityRisk]:
    """`GET /v1/{entity}s/{entity_id}/risk`."""
    return Ask("GET", f"/v1/{entity}s/{_part(entity_id)}/risk", _json, query={"locale": locale})


def report(
    claim_id: str, format: Format, locale: Locale, request_id: str | None = None, audience: Audience = "internal"
) -> Ask[Any]:
    """`GET /v1/claims/{claim_id}/report`."""
    read: Callable[[httpx.Response], Any] = {"json": _json, "html": _text, "pdf": _raw, "xlsx": _raw}[format]
    path = f"/v1/claims/{_part(claim_id)}/report"
    query = {"locale": locale, "audience": audience} | ({"request_id": request_id} if request_id else {})
    return Ask("GET", path, read, query=query, accept=_MEDIA_TYPES[format])


def cases(query: Mapping[str, object]) -> Ask[shapes.CasesAnswer]:
    """`GET /v1/cases`."""
    return Ask("GET", "/v1/cases", _json, query={n: _asked(v) for n, v in query.items() if v is not None})


def case(case_id: str) -> Ask[shapes.CaseFileAnswer]:
    """`GET /v1/cases/{id}`."""
    return Ask("GET", f"/v1/cases/{_part(case_id)}", _json)


def change_case(case_id: str, changes: Mapping[str, Any]) -> Ask[shapes.CaseStanding]:
    """`PATCH /v1/cases/{id}`."""
    return Ask("PATCH", f"/v1/cases/{_part(case_id)}", _json, _bytes(changes), keyed=True)


def decide_case(case_id: str, decision: Mapping[str, Any]) -> Ask[shapes.CaseStanding]:
    """`POST /v1/cases/{id}/decisions`."""
    return Ask("POST", f"/v1/cases/{_part(case_id)}/decisions", _json, _bytes(decision), keyed=True)


def case_file(case_id: str, number: int) -> Ask[bytes]:
    """`GET /v1/cases/{id}/files/{number}`."""
    return Ask("GET", f"/v1/cases/{_part(case_id)}/files/{number}", _raw, accept="*/*")


def case_pack(case_id: str, locale: Locale) -> Ask[bytes]:
    """`GET /v1/cases/{id}/pack`."""
    return Ask("GET", f"/v1/cases/{_part(case_id)}/pack", _raw, query={"locale": locale}, accept="application/zip")


def paper(kind: Paper, format: Format, query: Mapping[str, object]) -> Ask[bytes]:
    """`GET /v1/papers/{kind}`."""
    asked = {n: _asked(v) for n, v in query.items() if v is not None}
    return Ask("GET", f"/v1/papers/{kind}", _raw, query=asked, accept=_MEDIA_TYPES[format])


def ledger(query: Mapping[str, object]) -> Ask[shapes.LedgerAnswer]:
    """`GET /v1/ledger`."""
    return Ask("GET", "/v1/ledger", _json, query={n: _asked(v) for n, v in query.items() if v is not None})


def model() -> Ask[shapes.ModelAnswer]:
    """`GET /v1/model`."""
    return Ask("GET", "/v1/model", _json)


def _part(value: str) -> str:
    return quote(value, safe="")


def _asked(value: object) -> str:
    """A value of an address: several between commas, truth as JSON has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _bytes(body: object) -> bytes:
    return json.dumps(body, default=_plain, ensure_ascii=False, allow_nan=False).encode()


def _plain(value: object) -> Any:
    """Times and bytes as the service reads them, and numbers of other libraries as plain ones."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    plain = getattr(value, "item", None)
    if callable(plain):
        return plain()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _json(response: httpx.Response) -> Any:
    return response.json()


def _text(response: httpx.Response) -> str:
    return response.text


def _raw(response: httpx.Response) -> bytes:
    return response.content
