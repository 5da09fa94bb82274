"""The description of the calls (OpenAPI 3.1), made from the models that read and document them."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fraud import __version__
from fraud.explaining.content.document import Audience
from fraud.explaining.report import FORMATS
from fraud.review.cases import ORDERS, PRIORITIES, STATES
from fraud.review.periodic.ranking import LEAST
from fraud.store.casework.shapes import SelectedBy
from fraud.web.bodies.answers import AddedAnswer, BatchAnswer, ClaimScore, EntityRisk, ModelAnswer, ProblemAnswer
from fraud.web.bodies.cases import DECISIONS, CaseFileAnswer, CasePatch, CasesAnswer, CaseStanding
from fraud.web.bodies.problems import FAULTS, PROBLEMS
from fraud.web.bodies.shapes import BatchBody, ClaimBody, ClaimsBody, ScoreBody
from fraud.web.calls.accounts import MOST, LedgerAnswer
from fraud.web.calls.papers import MOST_LEAST
from fraud.web.exchange import openapi as exchange

__all__ = ["description"]

_REFERENCE = "#/components/schemas/{model}"
_ABOUT = """Scores health-insurance claims: findings of rules, the risk that a model sees, reasons for both.
A score is a reason to look, never a verdict.

Times are the payer's civil time and carry no zone. All faults of a body are named in one answer.

"""


@cache
def description() -> bytes:
    """The document as JSON."""
    return orjson.dumps(_document(), option=orjson.OPT_INDENT_2)


def _document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "fraud", "version": __version__, "description": _ABOUT + _codes()},
        "paths": exchange.with_samples(
            {**_claims(), **_reading(), **_cases(), **_papers(), **exchange.paths(), **_server()}
        ),
        "components": {"schemas": _schemas(), "securitySchemes": {"key": _BEARER}},
        # As long as no key was made the machine itself is served without one.
        "security": [{"key": []}, {}],
    }


def _codes() -> str:
    """The stable names of problems and faults, as tables."""
    problems = "".join(f"| `{name}` | {kind.status} | {kind.title} |\n" for name, kind in PROBLEMS.items())
    faults = "".join(f"| `{code}` | {meaning} |\n" for code, meaning in FAULTS.items())
    return f"| problem | status | meaning |\n|---|---|---|\n{problems}\n| fault | meaning |\n|---|---|\n{faults}"


def _schemas() -> dict[str, Any]:
    bodies: list[type[BaseModel]] = [ScoreBody, BatchBody, ClaimBody, ClaimsBody, CasePatch, *DECISIONS.values()]
    answers: list[type[BaseModel]] = [
        ClaimScore,
        BatchAnswer,
        AddedAnswer,
        EntityRisk,
        ModelAnswer,
        LedgerAnswer,
        CasesAnswer,
        CaseFileAnswer,
        CaseStanding,
        ProblemAnswer,
    ]
    modes = [(m, "validation") for m in (*bodies, *exchange.BODIES)]
    modes += [(m, "serialization") for m in (*answers, *exchange.ANSWERS)]
    _, schema = models_json_schema(modes, ref_template=_REFERENCE)  # type: ignore[arg-type]
    return dict(schema["$defs"])


def _claims() -> dict[str, Any]:
    return {
        "/v1/claims/score": {
            "post": _call(
                "Score one claim",
                "The decision is durable before the answer leaves. A claim that is scored again never counts "
                "as its own past.",
                _answer("The score", ClaimScore),
                body={"$ref": _REFERENCE.format(model="ScoreBody")},
            )
        },
        "/v1/claims/score-batch": {"post": _score_batch()},
        "/v1/claims": {
            "post": _call(
                "Add settled claims to the history",
                "One claim, or several in `claims`. The same version twice changes nothing; a later "
                "`uploaded_at` replaces an earlier version, which is kept.",
                _answer("What became of each claim: added, replaced, unchanged or older", AddedAnswer),
                body={"anyOf": [{"$ref": _REFERENCE.format(model=m)} for m in ("ClaimBody", "ClaimsBody")]},
            )
        },
        "/v1/claims/{claim_id}/report": {
            "get": _call(
                "The explanation report of a claim",
                "By `Accept` as JSON, as one page that needs nothing from outside, as a PDF or as a workbook. It is "
                "drawn up when somebody first asks, says what the decision answered, and is the same ever after, byte "
                "for byte. For the `provider` concerned, as in a hearing, other people's data are left out.",
                {"description": "The report", "content": _report_content()},
                parameters=[
                    _in_path("claim_id"),
                    _LOCALE,
                    _in_query("request_id", "which decision on the claim; the latest by default", {"type": "string"}),
                    _in_query("audience", "whom it is for", {"enum": [*get_args(Audience)], "default": "internal"}),
                ],
            )
        },
    }


def _report_content() -> dict[str, Any]:
    """The formats of a report."""
    files = {"type": "string", "format": "binary"}
    return {
        kind.media_type: {
            "schema": {"type": "object"} if form == "json" else {"type": "string"} if kind.text else files
        }
        for form, kind in FORMATS.items()
    }


def _score_batch() -> dict[str, Any]:
    """Lists come and go as JSON, or as one claim on each line."""
    call = _call(
        "Score up to 1,000 claims",
        "Each answers for itself: one that is faulty gets a problem with its `index`, the others are scored. Claims "
        "of the same patient know those of the list that settled before them. All decisions are durable, in one "
        "commit, before the answer leaves. The answer comes as NDJSON where `Accept` asks for it.",
        _answer("The scores and problems, in the order of the claims", BatchAnswer),
        body={"$ref": _REFERENCE.format(model="BatchBody")},
    )
    line = {"schema": {"type": "string", "description": "one claim on each line"}}
    call["requestBody"]["content"]["application/x-ndjson"] = line
    call["responses"]["200"]["content"]["application/x-ndjson"] = {
        "schema": {"type": "string", "description": "one score or problem on each line"}
    }
    return call


def _reading() -> dict[str, Any]:
    risks = {
        f"/v1/{entity}s/{{entity_id}}/risk": {
            "get": _call(
                f"The latest snapshot score of a {entity}",
                f"404 when no model of {entity}s is in force, or no snapshot was taken yet.",
                _answer("The risk", EntityRisk),
                parameters=[_in_path("entity_id"), _LOCALE],
            )
        }
        for entity in ("provider", "patient", "physician")
    }
    decision = _call(
        "A stored decision", "Byte for byte as it was answered.", _answer("The decision", ClaimScore),
        parameters=[_in_path("request_id")],
    )  # fmt: skip
    model = _call("The models in force", "", _answer("The models", ModelAnswer))
    return {
        "/v1/decisions/{request_id}": {"get": decision},
        **risks,
        "/v1/model": {"get": model},
        "/v1/ledger": {"get": _ledger()},
    }


def _cases() -> dict[str, Any]:
    """The queue and its workflow."""
    one = [_in_path("id")]
    read = _call(
        "One case",
        "With all that was done in it, its files, and the steps that the caller can take now.",
        _answer("The case", CaseFileAnswer),
        parameters=one,
    )
    change = _call(
        "Change a case",
        "All of the body or nothing: into somebody's hands, another priority, evidence, notes, innocent explanations, "
        "files, follow-up, money that came back. A `revision` that is not the latest is refused with 409.",
        _answer("The case as it stands then", CaseStanding),
        body={"$ref": _REFERENCE.format(model="CasePatch")},
        parameters=one,
    )
    decide = _call(
        "Decide a case",
        "Propose a result, sign it as a second person, send it back, find it unfounded, appeal, decide the appeal, "
        "close. A step that the case does not allow is refused with 409, which names those that it does.",
        _answer("The case as it stands then", CaseStanding),
        body={"anyOf": [{"$ref": _REFERENCE.format(model=m.__name__)} for m in DECISIONS.values()]},
        parameters=one,
    )
    content = {"description": "The file", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    file = _call("A file of a case", "", content, parameters=[*one, _in_path("number")])
    archive = {"description": "The archive", "content": {"application/zip": {"schema": {"type": "string"}}}}
    pack = _call(
        "All that a case rests on",
        "One archive: the case, its history, files, decision, outcomes, ledger entries and report, with the SHA-256 of "
        "each in its manifest. The same case gives the same bytes.",
        archive,
        parameters=[*one, _LOCALE],
    )
    return {
        "/v1/cases": {"get": _listed_cases()},
        "/v1/cases/{id}": {"get": read, "patch": change},
        "/v1/cases/{id}/decisions": {"post": decide},
        "/v1/cases/{id}/files/{number}": {"get": file},
        "/v1/cases/{id}/pack": {"get": pack},
    }


def _listed_cases() -> dict[str, Any]:
    text, money = {"type": "string"}, {"type": "number", "minimum": 0}
    share = money | {"maximum": 1}
    asked = [
        _in_query("state", f"one of {', '.join(STATES)}, or several between commas", text),
        _in_query("violation", "T01 to T40, or several between commas", text),
        _in_query("region", "where care was given, or several between commas; 33* for a whole province", text),
        _in_query("provider", "the id of a provider", text),
        _in_query("priority", f"one of {', '.join(PRIORITIES)}, or several between commas", text),
        _in_query("entity", "claim, patient, provider, physician, or several between commas", text),
        _in_query("amount_at_least", "money at stake", money),
        _in_query("amount_below", "less money at stake than this", money),
        _in_query("probability_at_least", "of being at fault, as the model says", share),
        _in_query("probability_below", "of being at fault, as the model says", share),
        _in_query("assignee", "a name, me, or none for cases in nobody's hands", text),
        _in_query("overdue", "whether the running clock has ended", {"type": "boolean"}),
        _in_query("selected_by", "why it is looked at", {"enum": list(get_args(SelectedBy))}),
        _in_query("week", "the first day of the week on whose list it is", {"type": "string", "format": "date"}),
        _in_query("text", "the beginning of its number, or whom it is about", text),
        _in_query("opened_from", "opened at or after", text),
        _in_query("opened_until", "opened before", text),
        _in_query("order", "by expected recovery per hour unless told", {"enum": list(ORDERS), "default": "-worth"}),
        _in_query("most", "cases at most", {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 50}),
        _in_query("skip", "cases that come before", {"type": "integer", "minimum": 0, "default": 0}),
        _in_query("counts", "whether to count them by state and priority", {"type": "boolean", "default": False}),
    ]
    answer = _answer("A page of cases, and how many there are", CasesAnswer)
    return _call("The queue of cases", "Only those within the bounds of the key.", answer, parameters=asked)


def _papers() -> dict[str, Any]:
    """Periodic papers, each with what it is asked by."""
    month = _in_query("period", "YYYY-MM; the last whole month by default", {"type": "string"})
    year = _in_query("period", "the last of its twelve months, as YYYY-MM", {"type": "string"})
    quarter = _in_query("period", "YYYY-Qn; the last whole quarter by default", {"type": "string"})
    whole = {"type": "integer", "minimum": 1, "maximum": MOST_LEAST, "default": LEAST}
    least = _in_query("least", "claims that a physician must have to be ranked", whole)
    provider = {**_in_query("provider", "its id", {"type": "string"}), "required": True}
    said: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
        "monthly": ("Self-audit of a month", "What was found, decided, paid back and is to be put right.", [month]),
        "quarterly": ("Supervision of a quarter", "Policy, operation, data security, fraud prevention.", [quarter]),
        "ranking": ("Physicians by their flagged share", "With 95 % intervals and a least volume.", [year, least]),
        "scorecard": ("A provider beside all others together", "It tells of no other provider.", [year, provider]),
    }
    answer = {"description": "The paper", "content": _report_content()}
    form = " By `Accept` as JSON, as a page, as a PDF or as a workbook; a key with bounds gets scorecards alone."
    return {
        f"/v1/papers/{kind}": {"get": _call(title, text + form, answer, parameters=[*asked, _LOCALE])}
        for kind, (title, text, asked) in said.items()
    }


def _ledger() -> dict[str, Any]:
    """What auditors ask."""
    whole = {"type": "integer", "minimum": 1, "maximum": MOST, "default": 100}
    asked = [
        _in_query("record", "KIND:ID, as patient:p-1: all that concerns one record", {"type": "string"}),
        _in_query("who", "the id of a key", {"type": "string"}),
        _in_query("most", "entries at most", whole),
    ]
    text = "Read by auditors; that it was read is an entry too."
    return _call("The latest entries of the ledger", text, _answer("The entries", LedgerAnswer), parameters=asked)


def _in_query(name: str, says: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": says, "schema": schema}


def _server() -> dict[str, Any]:
    said = {
        "/livez": "The process is up",
        "/readyz": "The database answers and no registered model is missing",
        "/metrics": "Figures for Prometheus",
    }
    plain = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    ok = {path: {"200": {"description": text, **plain}} for path, text in said.items()}
    ok["/readyz"]["503"] = {"description": "Not ready", **plain}
    return {path: {"get": {"summary": text, "responses": ok[path]}} for path, text in said.items()}


_LOCALE = {"name": "locale", "in": "query", "schema": {"enum": ["en", "zh-CN"], "default": "en"}}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body get the first answer again; another body is refused.",
    "schema": {"type": "string", "maxLength": 200},
}
_BEARER = {"type": "http", "scheme": "bearer", "description": "`fraud keys add` makes one; docs/security.md."}
_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Echoed; without it one is made.",
    "schema": {"type": "string", "maxLength": 128},
}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _answer(text: str, model: type[BaseModel]) -> dict[str, Any]:
    reference = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"description": text, "content": {"application/json": {"schema": reference}}}


def _call(
    summary: str,
    text: str,
    answer: dict[str, Any],
    *,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    problem = {"$ref": _REFERENCE.format(model=ProblemAnswer.__name__)}
    refused = {
        "description": "A problem (RFC 9457)",
        "content": {"application/problem+json": {"schema": problem}},
    }
    call: dict[str, Any] = {"summary": summary, "description": text}
    call["parameters"] = [*(parameters or []), _REQUEST_ID, *([_KEY] if body else [])]
    if body is not None:
        call["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return call | {"responses": {"200": answer, "default": refused}}
