"""The explanation report of a claim that the store knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from weakref import WeakKeyDictionary

import duckdb
import orjson
import pyarrow as pa

from fraud.claims.folder import connect
from fraud.claims.schema import TABLES
from fraud.explaining.background import currency_of, events_of, facts_of
from fraud.explaining.behind import MOST_REASONS, claims_among, rows_behind
from fraud.explaining.explanation import Explanation, Provenance, peer_standings, references_of
from fraud.explaining.reasons import Reason
from fraud.scoring.parties import attributes_of_claim
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle, History, Row, Score
from fraud.signals.frames import FrameBuilder, Reference
from fraud.store.versions import from_json
from fraud.web.access.masking import masked
from fraud.web.bodies.answers import LANGUAGES
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.calls.claims import chosen_locale
from fraud.web.running.runtime import Runtime

__all__ = ["FORMATS", "claim_report"]

FORMATS = ("application/json", "text/html")
# The page has no scripts and asks for nothing from outside; nor may anything that slips into it.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "Vary": "Accept",
}


def claim_report(runtime: Runtime, incoming: Incoming) -> Reply:
    """Why the claim stands where it stands, as JSON or as a page."""
    media_type = _accepted(incoming.headers.get("accept", "*/*"))
    locale = chosen_locale(incoming)
    explanation = _explanation(runtime, incoming.path["claim_id"])
    if not incoming.caller.sees_identities:
        explanation = masked(explanation, runtime.guard.masked)
    if media_type == "application/json":
        return Reply(orjson.dumps(explanation.as_dict()), headers={"Vary": "Accept"})
    from fraud.explaining.report import render_html

    page = render_html(explanation, LANGUAGES[locale])
    return Reply(page.encode(), media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)


def _accepted(accept: str) -> str:
    """The first format that the client likes best; raises `Problem` when there is none."""
    ranges = sorted((_range(part) for part in accept.split(",")), key=lambda r: -r[1])
    for wanted, weight in ranges:
        for media_type in FORMATS:
            if weight > 0 and wanted in (media_type, "*/*", media_type.split("/")[0] + "/*"):
                return media_type
    raise Problem("not-acceptable", f"A report comes as {' or '.join(FORMATS)}. Name one of them in Accept.")


def _range(part: str) -> tuple[str, float]:
    """Media range and weight of one part of `Accept`; an odd weight counts as none."""
    media_type, _, rest = part.strip().partition(";")
    weights = [p.strip()[2:] for p in rest.split(";") if p.strip().startswith("q=")]
    try:
        return media_type.strip().lower(), float(weights[0]) if weights else 1.0
    except ValueError:
        return media_type.strip().lower(), 0.0


def _explanation(runtime: Runtime, claim_id: str) -> Explanation:
    bundle = _bundle(runtime, claim_id)
    scorer = runtime.scorer
    history = runtime.store.history(bundle.claim, True, runtime.claim_model)
    score = scorer.score(bundle, history, explain="full")
    with _workbench(runtime).holding(bundle, history) as builder:
        return _explained(runtime, builder, bundle, history, score)


def _bundle(runtime: Runtime, claim_id: str) -> ClaimBundle:
    """The claim as it is in the history, or else as it was scored last."""
    found = runtime.store.claim(claim_id)
    if found is None:
        decision = runtime.store.latest_decision(claim_id)
        if decision is None:
            raise Problem("not-found", "There is no claim with this claim_id: it was neither scored nor added here.")
        found = from_json(decision.request)
    return ClaimBundle(found.claim, found.lines, found.diagnoses, found.procedures)


def _explained(
    runtime: Runtime, builder: FrameBuilder, bundle: ClaimBundle, history: History, score: Score
) -> Explanation:
    claim, model, risk = bundle.claim, runtime.scorer.model, score.risk
    reasons: tuple[Reason, ...] = risk.reasons if risk else ()
    behind = rows_behind(builder, "claim", {"claim_id": str(claim["claim_id"])}, reasons, score.findings)
    marked = {str(claim["claim_id"])} | claims_among(behind)
    peers, focus = (model.reference.peers, model.reference.focus) if model else ({}, {})
    skipped = {f.signal.id: f.why for f in score.findings if f.status != "hit"}
    return Explanation(
        entity="claim",
        entity_id=str(claim["claim_id"]),
        as_of=claim["settled_at"],
        provenance=_provenance(runtime, str(claim["claim_id"])),
        action=score.action,
        probability=risk.probability if risk else None,
        probability_low=risk.probability_low if risk else None,
        probability_high=risk.probability_high if risk else None,
        percentile=risk.percentile if risk else None,
        band=risk.band if risk else None,
        expected_recovery=risk.expected_recovery if risk else None,
        base=risk.base if risk else None,
        margin=risk.margin if risk else None,
        reasons=reasons,
        findings=score.findings,
        facts=facts_of(builder.connection, "claim", str(claim["claim_id"]), claim["settled_at"]),
        evidence=behind,
        timeline=events_of(builder.connection, str(claim["patient_id"]), claim["settled_at"], marked),
        peers=peer_standings(reasons[:MOST_REASONS], peers, attributes_of_claim(bundle, history, focus)),
        skipped=skipped,
        references=references_of(runtime.catalogue, reasons, score.findings, skipped),
        currency=claim.get("currency") or currency_of(builder.connection),
    )


def _provenance(runtime: Runtime, claim_id: str) -> Provenance:
    """The request that decided, and the command that makes the report again."""
    model, decision = runtime.scorer.model, runtime.store.latest_decision(claim_id)
    return Provenance(
        run_id=decision.request_id if decision else "",
        data_digest=model.data_digest if model else "",
        catalogue_digest=runtime.catalogue.digest,
        generated_at=runtime.now(),
        command=f"curl -H 'Accept: text/html' http://HOST:PORT/v1/claims/{claim_id}/report",
        model_name=model.spec.name if model else None,
        model_version=str(model.version) if model and model.version else None,
        model_alias=model.alias if model else None,
        fitted_on=model.as_of if model else None,
    )


class _Workbench:
    """Tables that hold one claim with what was known before it; kept, because compiling signals takes long."""

    def __init__(self, runtime: Runtime) -> None:
        self._lock = Lock()
        self._connection = connect(threads=1)
        for name in ("catalogue", "exclusions"):
            _fill(self._connection, name, runtime.store.table(name))
        model = runtime.scorer.model
        reference = model.reference if model else Reference()
        self._builder = FrameBuilder(self._connection, runtime.catalogue, reference=reference)

    @contextmanager
    def holding(self, bundle: ClaimBundle, history: History) -> Iterator[FrameBuilder]:
        """A builder on the claim, which is also `target`; other reports wait."""
        rows: dict[str, Sequence[Row]] = {
            "target": [bundle.claim],
            "claims": [bundle.claim, *history.claims],
            "diagnoses": bundle.diagnoses,
            "procedures": bundle.procedures,
            "lines": [*bundle.lines, *history.lines],
            "patients": _one(history.patient),
            "providers": _one(history.provider),
            "physicians": _one(history.physician),
        }
        with self._lock:
            for name, found in rows.items():
                _fill(self._connection, name, pa.Table.from_pylist([dict(r) for r in found], schema=_nullable(name)))
            yield self._builder


# One for each scorer: a model that is loaded anew brings its own norms.
_workbenches: WeakKeyDictionary[ClaimScorer, _Workbench] = WeakKeyDictionary()
_making = Lock()


def _workbench(runtime: Runtime) -> _Workbench:
    with _making:
        if runtime.scorer not in _workbenches:
            _workbenches[runtime.scorer] = _Workbench(runtime)
        return _workbenches[runtime.scorer]


def _fill(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.register("_rows", rows)
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM _rows").fetchall()
    connection.unregister("_rows")


def _nullable(name: str) -> pa.Schema:
    table = TABLES["claims" if name == "target" else name]
    return pa.schema([pa.field(c.name, c.arrow) for c in table.columns])


def _one(row: Row | None) -> Sequence[Row]:
    return [] if row is None else [row]
