"""The explanation of a claim: drawn up when somebody first asks, kept with its decision, and never changed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from math import isnan
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import duckdb
import orjson
import pyarrow as pa
import sqlalchemy as sa

from fraud.claims.folder import connect
from fraud.claims.schema import TABLES
from fraud.explaining.background import currency_of, events_of, facts_of
from fraud.explaining.behind import MOST_REASONS, claims_among, rows_behind
from fraud.explaining.explanation import Explanation, Look, Provenance, peer_standings, references_of
from fraud.explaining.keeping import keep, kept
from fraud.explaining.reasons import Reason
from fraud.explaining.records import records_behind
from fraud.scoring.parties import attributes_of_claim
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle, History, Row, Score
from fraud.signals.frames import FrameBuilder, Reference
from fraud.store import Decision, Explanations
from fraud.store.casework.tables import cases
from fraud.store.explanations import KeptExplanation, explanations
from fraud.store.ledger import Entry, Record
from fraud.store.versions import from_json
from fraud.web.access.guard import OPEN, Caller
from fraud.web.bodies.problems import Problem
from fraud.web.calls.answered import Answered
from fraud.web.exchange.judging import told_beside, with_beside
from fraud.web.running.runtime import Runtime

__all__ = ["explanation_of", "keep_missing"]

# Those who looked last; the ledger has all.
_LOOKS = 20
_READ = frozenset({"claim.read", "decision.read", "case.read", "claim.unmasked"})


def explanation_of(
    runtime: Runtime, claim_id: str, request_id: str | None = None, caller: Caller = OPEN
) -> Explanation:
    """Why the claim stands where it stands, by one decision on it or (without `request_id`) by the latest.

    What it says is what the decision answered. It is drawn up for whoever asks first, and kept: everybody after gets
    the same, whatever has become of model, catalogue and data. A claim without any decision is explained as it is
    now, and nothing is kept. It names whom it is about: mask it for whoever may not see that.

    Raises:
        Problem: there is no such claim, or no such decision on it.
    """
    decision = _decision(runtime, claim_id, request_id)
    if decision is None:
        return _undecided(runtime, claim_id, caller)
    return _kept(runtime, decision, caller)


def keep_missing(runtime: Runtime, most: int = 100) -> int:
    """Draw up and keep the explanations of decisions that opened a case and have none yet; how many.

    The sooner after the decision, the less has changed meanwhile: for a moment when nobody waits for an answer.
    """
    explained = sa.select(explanations.c.request_id)
    query = (
        sa.select(cases.c.request_id)
        .where(cases.c.request_id.is_not(None), cases.c.entity == "claim", cases.c.request_id.not_in(explained))
        .order_by(cases.c.opened_at)
        .limit(most)
    )
    with runtime.store.database.read() as connection:
        missing = connection.execute(query).scalars().all()
    found = [d for request_id in missing if (d := runtime.store.decision(request_id)) is not None]
    for decision in found:
        _kept(runtime, decision, None)
    return len(found)


def _kept(runtime: Runtime, decision: Decision, caller: Caller | None) -> Explanation:
    """The explanation of a decision as it is kept, drawn up where it is not."""
    known = Explanations(runtime.store.database)
    found = known.of(decision.request_id)
    if found is None:
        drawn_up = _drawn_up(runtime, decision, caller)
        at = drawn_up.provenance.generated_at
        found = known.keep(KeptExplanation(decision.request_id, decision.claim_id, at, keep(drawn_up)))
    return kept(found.explanation)


def _decision(runtime: Runtime, claim_id: str, request_id: str | None) -> Decision | None:
    if request_id is None:
        return runtime.store.latest_decision(claim_id)
    decision = runtime.store.decision(request_id)
    if decision is None or decision.claim_id != claim_id:
        raise Problem("not-found", "There is no decision with this request_id on this claim.")
    return decision


def _undecided(runtime: Runtime, claim_id: str, caller: Caller) -> Explanation:
    """The explanation of a claim that was added to the history and never scored."""
    found = runtime.store.claim(claim_id)
    if found is None:
        raise Problem("not-found", "There is no claim with this claim_id: it was neither scored nor added here.")
    bundle = ClaimBundle(found.claim, found.lines, found.diagnoses, found.procedures)
    history = runtime.store.history(bundle.claim, model=runtime.claim_model)
    return _explained(runtime, bundle, history, None, caller)


def _drawn_up(runtime: Runtime, decision: Decision, caller: Caller | None) -> Explanation:
    """The explanation of a decision, from the claim as it was sent and what was told beside it."""
    found = from_json(decision.request)
    bundle = ClaimBundle(found.claim, found.lines, found.diagnoses, found.procedures)
    history = runtime.store.history(bundle.claim, model=runtime.claim_model)
    if beside := told_beside(decision.request):
        history = with_beside(bundle.claim, beside, history)
    again = _explained(runtime, bundle, history, decision, caller)
    return Answered.of(decision).imposed(again, runtime.catalogue)


def _explained(
    runtime: Runtime, bundle: ClaimBundle, history: History, decision: Decision | None, caller: Caller | None
) -> Explanation:
    # One scorer for all: another may come into force meanwhile.
    scorer = runtime.scorer
    score = scorer.score(bundle, history, explain="full")
    with _workbench(runtime, scorer).holding(bundle, history) as builder:
        made = _explanation(runtime, scorer, builder, bundle, history, score)
    return replace(made, provenance=_provenance(runtime, scorer, made.entity_id, decision, caller))


def _explanation(
    runtime: Runtime,
    scorer: ClaimScorer,
    builder: FrameBuilder,
    bundle: ClaimBundle,
    history: History,
    score: Score,
) -> Explanation:
    claim, claim_id = bundle.claim, str(bundle.claim["claim_id"])
    reasons: tuple[Reason, ...] = score.risk.reasons if score.risk else ()
    behind = rows_behind(builder, "claim", {"claim_id": claim_id}, reasons, score.findings)
    marked = {claim_id} | claims_among(behind)
    skipped = {f.signal.id: f.why for f in score.findings if f.status != "hit"}
    leading = [f.signal.id for f in score.findings if f.status == "hit"]
    leading += [r.signal for r in reasons[:MOST_REASONS] if r.contribution > 0]
    return Explanation(
        entity="claim",
        entity_id=claim_id,
        as_of=claim["settled_at"],
        provenance=Provenance("", "", "", runtime.now(), ""),
        action=score.action,
        **_figures(score),
        reasons=reasons,
        findings=score.findings,
        facts=facts_of(builder.connection, "claim", claim_id, claim["settled_at"]),
        evidence=behind,
        timeline=events_of(builder.connection, str(claim["patient_id"]), claim["settled_at"], marked),
        peers=_peers(scorer, bundle, history, reasons),
        skipped=skipped,
        references=references_of(scorer.catalogue, reasons, score.findings, skipped, records_behind(builder, leading)),
        currency=claim.get("currency") or currency_of(builder.connection),
    )


def _figures(score: Score) -> dict[str, Any]:
    """What the model says, figure by figure; what it does not know is absent."""
    names = ("probability", "probability_low", "probability_high", "percentile", "band", "expected_recovery")
    found = {name: getattr(score.risk, name) for name in (*names, "base", "margin")} if score.risk else {}
    return {name: None if isinstance(v, float) and isnan(v) else v for name, v in found.items()}


def _peers(scorer: ClaimScorer, bundle: ClaimBundle, history: History, reasons: Sequence[Reason]) -> Any:
    reference = scorer.model.reference if scorer.model else Reference()
    attributes = attributes_of_claim(bundle, history, reference.focus)
    return peer_standings(reasons[:MOST_REASONS], reference.peers, attributes)


# --- origin -----------------------------------------------------------------------------------------------


def _provenance(
    runtime: Runtime, scorer: ClaimScorer, claim_id: str, decision: Decision | None, caller: Caller | None
) -> Provenance:
    """The request that decided, who looked, and the command that gives the report again."""
    model, request_id = scorer.model, decision.request_id if decision else ""
    asked = f"?request_id={request_id}" if request_id else ""
    return Provenance(
        run_id=request_id,
        data_digest=model.data_digest if model else "",
        catalogue_digest=scorer.catalogue.digest,
        generated_at=runtime.now().replace(microsecond=0),
        command=f"curl -H 'Accept: text/html' 'http://HOST:PORT/v1/claims/{claim_id}/report{asked}'",
        model_name=model.spec.name if model else None,
        model_version=str(model.version) if model and model.version else None,
        model_alias=model.alias if model else None,
        fitted_on=model.as_of if model else None,
        decided_at=decision.scored_at if decision else None,
        looks=tuple(_looks(runtime, claim_id, request_id, caller)),
    )


def _looks(runtime: Runtime, claim_id: str, request_id: str, caller: Caller | None) -> Iterator[Look]:
    """Who looked at the claim or the decision before, oldest first, and at last whoever asks now, if anybody."""
    records = [Record("claim", claim_id), *([Record("decision", request_id)] if request_id else [])]
    entries = [e for r in records for e in runtime.guard.ledger.entries(r, most=_LOOKS) if e.what in _READ]
    for entry in sorted(entries, key=lambda e: e.position)[-_LOOKS:]:
        yield _look(entry)
    if caller is not None:
        yield Look(runtime.now().replace(microsecond=0), caller.key_id, caller.role)


def _look(entry: Entry) -> Look:
    """An entry of the ledger, in the time of the payer."""
    at = datetime.fromisoformat(entry.at).astimezone().replace(tzinfo=None, microsecond=0)
    return Look(at, entry.who, str(orjson.loads(entry.details).get("role", "")))


# --- where evidence is worked out -------------------------------------------------------------------------


class _Workbench:
    """Tables that hold one claim with what was known before it; kept, because compiling signals takes long."""

    def __init__(self, runtime: Runtime, scorer: ClaimScorer) -> None:
        self._lock = Lock()
        self._connection = connect(threads=1)
        for name in ("catalogue", "exclusions"):
            _fill(self._connection, name, runtime.store.table(name))
        reference = scorer.model.reference if scorer.model else Reference()
        self._builder = FrameBuilder(self._connection, scorer.catalogue, reference=reference)

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


def _workbench(runtime: Runtime, scorer: ClaimScorer) -> _Workbench:
    with _making:
        if scorer not in _workbenches:
            _workbenches[scorer] = _Workbench(runtime, scorer)
        return _workbenches[scorer]


def _fill(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.register("_rows", rows)
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM _rows").fetchall()
    connection.unregister("_rows")


def _nullable(name: str) -> pa.Schema:
    table = TABLES["claims" if name == "target" else name]
    return pa.schema([pa.field(c.name, c.arrow) for c in table.columns])


def _one(row: Row | None) -> Sequence[Row]:
    return [] if row is None else [row]
