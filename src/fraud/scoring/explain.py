"""The explanation of one claim or entity of a claims folder: everything that its report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import isnan
from typing import TYPE_CHECKING

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError, NotKnownError
from fraud.explaining.background import currency_of, events_of, facts_of, months_of
from fraud.explaining.behind import MOST_REASONS, claims_among, rows_behind
from fraud.explaining.contributions import contributions_of
from fraud.explaining.explanation import Event, Explanation, Month, Provenance, peer_standings, references_of
from fraud.explaining.reasons import reasons_of
from fraud.explaining.records import records_behind
from fraud.scoring.batch import day_after_last_claim, frame_attributes, known_id, stakes_of
from fraud.scoring.occasions import occasions_in_frame
from fraud.scoring.snapshots import pairs_on
from fraud.scoring.triage import Triage, amount_at_stake, standing_of
from fraud.signals.assembly import claim_features, entity_features
from fraud.signals.catalogue import Catalogue
from fraud.signals.evidence import Evidence, evidence
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.limits import Occasion
from fraud.signals.rules import Finding, findings, rules_of

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["explain_in_folder"]


@dataclass(frozen=True)
class _Subject:
    """What is explained, on a connection that holds it as `target` or in `entities`."""

    builder: FrameBuilder
    model: FittedModel
    entity: str
    entity_id: str
    as_of: datetime
    frame: SignalFrame

    @property
    def key(self) -> dict[str, object]:
        """The row's key, as `evidence` takes it."""
        if self.entity == "claim":
            return {"claim_id": self.entity_id}
        return {"entity_id": self.entity_id, "snapshot": self.as_of}


def explain_in_folder(
    folder: ClaimsFolder,
    model: FittedModel,
    catalogue: Catalogue,
    entity: str,
    entity_id: str,
    *,
    now: datetime,
    triage: Triage | None = None,
    as_of: datetime | None = None,
) -> Explanation:
    """Why a claim or entity of the folder stands where it stands.

    Raises:
        InputError: the model scores another kind of entity.
        NotKnownError: the folder has no such claim or entity.
    """
    if model.spec.entity != entity:
        raise InputError(f"{model.spec.name} scores {model.spec.entity}s, not {entity}s. Name a model with --model.")
    connection = connect()
    try:
        folder.attach(connection)
        if not known_id(connection, entity, entity_id):
            raise NotKnownError(f"{folder.path}: holds no {entity} {entity_id!r}.")
        subject = _subject(folder, connection, model, catalogue, entity_id, as_of)
        return _explain(subject, folder, triage or Triage(), now)
    finally:
        connection.close()


def _subject(
    folder: ClaimsFolder,
    connection: object,
    model: FittedModel,
    catalogue: Catalogue,
    entity_id: str,
    as_of: datetime | None,
) -> _Subject:
    entity = model.spec.entity
    builder = FrameBuilder(
        connection,  # type: ignore[arg-type]
        catalogue,
        days=model.spec.window_days,
        present=folder.present,
        reference=model.reference,
    )
    signals = [catalogue[i] for i in model.signal_ids]
    if entity == "claim":
        builder.connection.execute("CREATE TEMP TABLE target AS SELECT * FROM claims WHERE claim_id = $1", [entity_id])
        rules = builder.usable(s for s in rules_of(catalogue, "claim") if s.id not in model.signal_ids)
        frame = claim_features(builder, [*signals, *rules], "target")
        ((settled_at,),) = builder.connection.execute("SELECT settled_at FROM target").fetchall()
        return _Subject(builder, model, entity, entity_id, settled_at, frame)
    day = as_of or day_after_last_claim(builder.connection)
    pairs = pairs_on([entity_id], day)
    frame = entity_features(builder, entity, signals, pairs)
    builder.connection.register("entities", pairs)
    return _Subject(builder, model, entity, entity_id, day, frame)


def _explain(subject: _Subject, folder: ClaimsFolder, triage: Triage, now: datetime) -> Explanation:
    model, builder, frame = subject.model, subject.builder, subject.frame
    catalogue, connection = builder.catalogue, builder.connection
    values = frame.select(model.names)
    found = contributions_of(model, values)
    attributes = frame_attributes(builder, frame, "target")[0]
    occasions = occasions_in_frame(builder, frame, "target")[0]
    reasons = reasons_of(
        catalogue, model.names, values[0], found.values[0], model.reference.peers, attributes, None, occasions
    )
    hits = _findings(subject, occasions[subject.entity])
    paid = float(stakes_of(connection, model, frame, subject.as_of)[0])
    stake = amount_at_stake(model, paid, hits, _line_amounts(subject))
    risk = standing_of(model, float(found.margins[0]), stake, triage, found.base)
    behind = rows_behind(builder, subject.entity, subject.key, reasons, hits)
    leading = [f.signal.id for f in hits if f.status == "hit"]
    leading += [r.signal for r in reasons[:MOST_REASONS] if r.contribution > 0]
    return Explanation(
        entity=subject.entity,
        entity_id=subject.entity_id,
        as_of=subject.as_of,
        provenance=_provenance(subject, folder, now),
        probability=_known(risk.probability),
        probability_low=_known(risk.probability_low),
        probability_high=_known(risk.probability_high),
        percentile=risk.percentile,
        band=risk.band,
        expected_recovery=_known(risk.expected_recovery),
        base=risk.base,
        margin=risk.margin,
        reasons=reasons,
        findings=hits,
        facts=facts_of(connection, subject.entity, subject.entity_id, subject.as_of, model.spec.window_days),
        evidence=behind,
        timeline=_timeline(subject, behind),
        peers=peer_standings(reasons[:MOST_REASONS], model.reference.peers, attributes),
        skipped={**model.skipped, **builder.skipped},
        references=references_of(
            catalogue, reasons[:MOST_REASONS], hits, model.skipped, records_behind(builder, leading)
        ),
        currency=currency_of(connection),
    )


def _known(figure: float) -> float | None:
    """The figure; None for one that a model without labels cannot know."""
    return None if isnan(figure) else figure


def _findings(subject: _Subject, occasion: Occasion) -> tuple[Finding, ...]:
    """Rules that hit, for a claim; entities have findings through their claims."""
    catalogue = subject.builder.catalogue
    rules = rules_of(catalogue, subject.entity)
    values = {n: float(v) for n, v in zip(subject.frame.names, subject.frame.values[0], strict=True)}
    found = findings(catalogue, rules, values, occasion.day, subject.builder.skipped, occasion.regions)
    return tuple(_with_rows(subject, f) for f in found)


def _with_rows(subject: _Subject, finding: Finding) -> Finding:
    if finding.status != "hit":
        return finding
    behind = evidence(subject.builder, finding.signal, subject.key, most=1000)
    own = [e for e in behind if e.scope == "lines"]
    if own:
        return replace(finding, lines=own[0].lines, amount=own[0].amount)
    stake = float(stakes_of(subject.builder.connection, subject.model, subject.frame, subject.as_of)[0])
    return replace(finding, amount=round(stake, 2))


def _line_amounts(subject: _Subject) -> dict[int, float]:
    """Amounts of the claim's lines by number; an entity has none of its own."""
    if subject.entity != "claim":
        return {}
    query = "SELECT line_no, amount FROM lines WHERE claim_id = $1"
    rows = subject.builder.connection.execute(query, [subject.entity_id]).fetchall()
    return {int(number): float(amount) for number, amount in rows}


def _timeline(subject: _Subject, behind: Mapping[str, Sequence[Evidence]]) -> tuple[Event, ...] | tuple[Month, ...]:
    """The patient's claims for a claim or patient, the months of the window for the others."""
    connection = subject.builder.connection
    if subject.entity == "patient":
        return events_of(connection, subject.entity_id, subject.as_of)
    if subject.entity == "claim":
        ((patient_id,),) = connection.execute("SELECT patient_id FROM target").fetchall()
        return events_of(connection, patient_id, subject.as_of, {subject.entity_id} | claims_among(behind))
    return months_of(connection, subject.entity, subject.entity_id, subject.as_of, subject.model.spec.window_days)


def _provenance(subject: _Subject, folder: ClaimsFolder, now: datetime) -> Provenance:
    model = subject.model
    return Provenance(
        run_id=model.run_id or "",
        data_digest=folder.digest,
        catalogue_digest=model.catalogue_digest,
        generated_at=now,
        command=f"fraud report {subject.entity} {subject.entity_id} --claims {folder.path.name} "
        f"--model {model.spec.name} --version {model.version or model.alias}",
        model_name=model.spec.name,
        model_version=str(model.version) if model.version else None,
        model_alias=model.alias,
        fitted_on=model.as_of,
    )
