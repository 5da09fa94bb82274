"""Who could be looked at: every claim of the last weeks, or every entity, with its score and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError
from fraud.review.queue import Candidate, QueueRules
from fraud.scoring.batch import day_after_last_claim, reasons_in_frame, stakes_of
from fraud.scoring.snapshots import known_entities, pairs_on
from fraud.signals.assembly import by_entity, claim_features, entity_features
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.rules import Finding, findings, rules_of

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["candidates_of"]

Progress = Callable[[str, float], None]
# Only those who come near the list are explained; the others are candidates of the random sample alone.
_LEAST_SHORTLIST, _SHORTLIST_PER_PLACE = 500, 10
_MOST_REASONS = 3
_GRAVITY = ("critical", "serious", "general")


@dataclass(frozen=True)
class _Scored:
    """A folder's rows with their figures, on a connection that holds the claims among them as `target`."""

    builder: FrameBuilder
    model: FittedModel
    frame: SignalFrame
    margins: np.ndarray
    stakes: np.ndarray

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection with the folder's tables."""
        return self.builder.connection

    def shortlist(self, rules: QueueRules, hours: float) -> list[int]:
        """Rows of the highest expected recovery, in order of id: many more than there are places."""
        places = int(hours / rules.time.hours(self.frame.entity)) + 1
        most = max(_LEAST_SHORTLIST, _SHORTLIST_PER_PLACE * places)
        worth = self.model.probability(self.margins) * self.stakes
        return sorted(np.lexsort((np.arange(len(worth)), -worth))[:most].tolist())


def candidates_of(
    folder: ClaimsFolder,
    model: FittedModel,
    catalogue: Catalogue,
    rules: QueueRules,
    *,
    as_of: datetime | None = None,
    hours: float | None = None,
    locale: str = "en",
    progress: Progress | None = None,
) -> tuple[datetime, list[Candidate]]:
    """The day of the list, and every claim or entity of the model's kind as a candidate on that day.

    The day is by default the one after the last settlement. Claims are those that settled within the rules'
    `claims_of_days` before it; outcomes decided from that day on are not known yet. Only a shortlist by expected
    recovery has reasons and a type of violation: nobody beyond it comes near a list of `hours`.

    Raises:
        InputError: no claim settled in that time, or the model has no labels and so no probabilities.
    """
    if model.spec.kind == "novelty":
        raise InputError(
            f"{model.name} knows no probabilities, and a week's list weighs money by them. Its own order is in the "
            f"file of: fraud score {model.name} --claims DIR --out scores.parquet"
        )
    say = progress or (lambda _name, _done: None)
    connection = connect()
    try:
        folder.attach(connection)
        day = as_of or day_after_last_claim(connection)
        say("signals", 0.0)
        scored = _score(folder, connection, model, catalogue, rules, day)
        say("reasons", 0.0)
        shortlist = scored.shortlist(rules, rules.hours_per_week if hours is None else hours)
        told = _told(scored, shortlist, catalogue, locale)
        return day, _candidates(scored, dict(zip(shortlist, told, strict=True)), day)
    finally:
        connection.close()


def _score(
    folder: ClaimsFolder,
    connection: duckdb.DuckDBPyConnection,
    model: FittedModel,
    catalogue: Catalogue,
    rules: QueueRules,
    day: datetime,
) -> _Scored:
    days, entity = model.spec.window_days, model.spec.entity
    builder = FrameBuilder(connection, catalogue, days=days, present=folder.present, reference=model.reference)
    signals = [catalogue[i] for i in model.signal_ids]
    if entity == "claim":
        since = day - timedelta(days=rules.claims_of_days)
        chosen = "SELECT * FROM claims WHERE settled_at >= $1 AND settled_at < $2 ORDER BY claim_id"
        connection.execute(f"CREATE TEMP TABLE target AS {chosen}", [since, day])
        if connection.execute("SELECT count(*) FROM target").fetchall() == [(0,)]:
            raise InputError(f"{folder.path}: no claim settled from {since:%Y-%m-%d} to {day:%Y-%m-%d}; choose a day.")
        frame = claim_features(builder, signals, "target")
    else:
        pairs = pairs_on(known_entities(connection, entity), day)
        frame = entity_features(builder, entity, by_entity(signals)[entity], pairs)
    paid = stakes_of(connection, model, frame, day)
    return _Scored(builder, model, frame, model.margins(frame.select(model.names)), model.at_stake(paid))


# --- what the shortlist is told about ---------------------------------------------------------------------


def _told(
    scored: _Scored, shortlist: Sequence[int], catalogue: Catalogue, locale: str
) -> list[tuple[str | None, tuple[str, ...]]]:
    """For each row of the shortlist: its type of violation, and why it should be looked at."""
    frame, model = scored.frame.rows(shortlist), scored.model
    target = _named(scored.connection, frame) if frame.entity == "claim" else "claims"
    rules = [s for s in rules_of(catalogue, frame.entity) if s.id in frame.position]
    language, told = locale.split("-")[0], []
    for row, (reasons, occasions) in enumerate(reasons_in_frame(scored.builder, frame, model, target)):
        own = {r.id: float(frame.values[row, frame.position[r.id]]) for r in rules}
        occasion = occasions[frame.entity]
        hits = _hits(findings(catalogue, rules, own, occasion.day, regions=occasion.regions))
        sentences = [f.sentences[language] for f in hits] + [r.sentences[language] for r in reasons]
        kinds = [f.signal.violation for f in hits] + [catalogue[r.signal].violation for r in reasons]
        told.append((next((k for k in kinds if k), None), tuple(dict.fromkeys(sentences))[:_MOST_REASONS]))
    return told


def _hits(found: Iterable[Finding]) -> list[Finding]:
    """Rules that hit, those first that the law speaks of and that are grave."""
    hits = [f for f in found if f.status == "hit"]
    return sorted(hits, key=lambda f: (f.signal.kind != "violation", _GRAVITY.index(f.signal.severity), f.signal.id))


def _named(connection: duckdb.DuckDBPyConnection, frame: SignalFrame) -> str:
    """A relation with the claims of the frame alone."""
    connection.register("shortlisted", pa.table({"claim_id": pa.array(frame.ids, pa.string())}))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE shortlist AS SELECT * FROM target SEMI JOIN shortlisted USING (claim_id)"
    )
    connection.unregister("shortlisted")
    return "shortlist"


# --- what is known of everybody ---------------------------------------------------------------------------


def _candidates(scored: _Scored, told: dict[int, tuple[str | None, tuple[str, ...]]], day: datetime) -> list[Candidate]:
    model, frame = scored.model, scored.frame
    probability = model.probability(scored.margins)
    low, high = model.interval(scored.margins)
    percentile = model.percentile(probability)
    decided, known = _decided(scored.connection, frame.entity, day), _known(scored)
    tier = np.searchsorted(np.quantile(scored.stakes, [1 / 3, 2 / 3]), scored.stakes)
    found = []
    for i, entity_id in enumerate(frame.ids):
        violation, reasons = told.get(i, (None, ()))
        decided_at, is_open = decided.get(entity_id, (None, False))
        provider_id, kind = known.get(entity_id, (None, None))
        candidate = Candidate(
            entity=frame.entity,
            entity_id=entity_id,
            probability=float(probability[i]),
            expected_recovery=float(probability[i] * scored.stakes[i]),
            violation=violation,
            provider_id=provider_id,
            stratum=f"{kind or '?'} {tier[i]}",
            decided_at=decided_at,
            open=is_open,
            probability_low=float(low[i]),
            probability_high=float(high[i]),
            percentile=float(percentile[i]),
            at_stake=float(scored.stakes[i]),
            reasons=reasons,
        )
        found.append(candidate)
    return found


def _decided(
    connection: duckdb.DuckDBPyConnection, entity: str, day: datetime
) -> dict[str, tuple[datetime | None, bool]]:
    """For each entity with an outcome before the day: the last decision, and whether the last outcome is pending."""
    query = """SELECT entity_id, max(decided_at) FILTER (verdict <> 'pending'), arg_max(verdict, decided_at) = 'pending'
               FROM outcomes WHERE entity = $1 AND decided_at < $2 GROUP BY 1"""
    return {row[0]: (row[1], row[2]) for row in connection.execute(query, [entity, day]).fetchall()}


# The provider that the limit counts, and the kind that the random sample is spread over.
_KNOWN = {
    "claim": "SELECT claim_id, provider_id, visit_type FROM target",
    "provider": "SELECT provider_id, provider_id, concat_ws(' ', kind, level) FROM providers",
    "physician": "SELECT physician_id, provider_id, specialty FROM physicians",
    "patient": "SELECT patient_id, NULL, insurance_type FROM patients",
}


def _known(scored: _Scored) -> dict[str, tuple[str | None, str | None]]:
    rows = scored.connection.execute(_KNOWN[scored.frame.entity]).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}
