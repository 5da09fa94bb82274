"""Scoring a whole claims folder: every claim or entity of a model's kind, labelled or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError, nearest
from fraud.explaining.reasons import Reason, reasons_of
from fraud.scoring.occasions import occasions_in_frame
from fraud.scoring.snapshots import known_entities, pairs_on
from fraud.signals.assembly import by_entity, claim_attributes, claim_features, entity_features, learn_reference
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.limits import Occasion
from fraud.signals.relations import ENTITY_KEYS

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = [
    "SCORES_SCHEMA",
    "ScoredFolder",
    "frame_attributes",
    "build_frame",
    "day_after_last_claim",
    "known_id",
    "open_folder",
    "reasons_in_frame",
    "score_folder",
    "stakes_of",
]

Progress = Callable[[str, float], None]
_REASON = pa.struct(
    [
        ("signal", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("contribution", pa.float64()),
        ("peer_median", pa.float64()),
        ("peer_percentile", pa.float64()),
        ("sentence", pa.string()),
    ]
)
SCORES_SCHEMA = pa.schema(
    [
        ("entity_id", pa.string()),
        ("probability", pa.float64()),
        ("probability_low", pa.float64()),
        ("probability_high", pa.float64()),
        ("percentile", pa.float64()),
        ("expected_recovery", pa.float64()),
        ("margin", pa.float64()),
        ("reasons", pa.list_(_REASON)),
    ]
)


@dataclass(frozen=True)
class ScoredFolder:
    """A folder opened for one model: its connection, builder, frame and the snapshot day of entities."""

    builder: FrameBuilder
    frame: SignalFrame
    as_of: datetime
    stakes: np.ndarray

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection with the folder's tables."""
        return self.builder.connection


def open_folder(
    folder: ClaimsFolder, model: FittedModel, catalogue: Catalogue, as_of: datetime | None = None
) -> ScoredFolder:
    """Features of every claim or entity of the model's kind.

    `as_of` is the snapshot day of an entity model; by default the day after the last settlement.
    """
    connection = connect()
    folder.attach(connection)
    builder = FrameBuilder(
        connection, catalogue, days=model.spec.window_days, present=folder.present, reference=model.reference
    )
    signals = [catalogue[i] for i in model.signal_ids]
    day = as_of or day_after_last_claim(connection)
    frame = _features(builder, model.spec.entity, signals, day)
    return ScoredFolder(builder, frame, day, stakes_of(connection, model, frame, day))


def score_folder(
    folder: ClaimsFolder,
    model: FittedModel,
    catalogue: Catalogue,
    *,
    as_of: datetime | None = None,
    locale: str = "en",
    progress: Progress | None = None,
) -> pa.Table:
    """One row for each claim or entity, in id order, with the columns of `SCORES_SCHEMA`.

    A model without labels knows no probabilities: those, their bounds and `expected_recovery` are null then, and
    `percentile` and `margin` give the order. `percentile` is among what the model was fitted on; `expected_recovery`
    is in the payer's currency, from the share that outcomes confirmed of amounts like these: a single claim's
    findings may put another amount at stake.
    """
    scored = open_folder(folder, model, catalogue, as_of)
    frame = scored.frame
    values = frame.select(model.names)
    margins = model.margins(values)
    probability, (low, high) = model.probability(margins), model.interval(margins)
    columns = {
        "entity_id": frame.ids,
        "probability": probability,
        "probability_low": low,
        "probability_high": high,
        "percentile": model.place(margins),
        "expected_recovery": probability * model.at_stake(scored.stakes),
        "margin": margins,
        "reasons": _reasons(scored, model, locale, progress),
    }
    scored.connection.close()
    return pa.table({n: pa.array(v, SCORES_SCHEMA.field(n).type, from_pandas=True) for n, v in columns.items()})


def build_frame(
    folder: ClaimsFolder, catalogue: Catalogue, entity: str, as_of: datetime | None = None
) -> tuple[pa.Table, dict[str, str]]:
    """Every signal of every claim or entity of a kind, and the signals that were skipped with the reason."""
    if entity not in ENTITIES:
        raise InputError(f"{entity!r} is no entity{nearest(entity, ENTITIES)}; there are {', '.join(ENTITIES)}.")
    connection = connect()
    folder.attach(connection)
    builder = FrameBuilder(connection, catalogue, present=folder.present)
    signals = builder.usable(catalogue.of(entity))
    day = as_of or day_after_last_claim(connection)
    pairs = {} if entity == "claim" else {entity: pairs_on(known_entities(connection, entity), day)}
    learn_reference(builder, signals, pairs)
    frame = _features(builder, entity, signals, day).to_arrow()
    connection.close()
    return frame, builder.skipped


def known_id(connection: duckdb.DuckDBPyConnection, entity: str, entity_id: str) -> bool:
    """Whether the tables know a claim or entity of that id."""
    if entity == "claim":
        return bool(connection.execute("SELECT 1 FROM claims WHERE claim_id = $1", [entity_id]).fetchall())
    return entity_id in set(known_entities(connection, entity))


def _features(builder: FrameBuilder, entity: str, signals: list[Signal], day: datetime) -> SignalFrame:
    if entity == "claim":
        return claim_features(builder, signals)
    ids = known_entities(builder.connection, entity)
    return entity_features(builder, entity, by_entity(signals)[entity], pairs_on(ids, day))


def day_after_last_claim(connection: duckdb.DuckDBPyConnection) -> datetime:
    """Midnight after the last settlement: the snapshot that knows every claim."""
    rows = connection.execute("SELECT date_trunc('day', max(settled_at))::TIMESTAMP FROM claims").fetchall()
    last: datetime | None = rows[0][0]
    if last is None:
        raise InputError("the folder holds no claims; there is nothing to score.")
    return last + timedelta(days=1)


def stakes_of(
    connection: duckdb.DuckDBPyConnection, model: FittedModel, frame: SignalFrame, day: datetime
) -> np.ndarray:
    """Money paid by the fund: for the claim itself, or in the entity's window."""
    if model.spec.entity == "claim":
        query, arguments = "SELECT claim_id, fund_amount FROM claims", []
    else:
        key = ENTITY_KEYS[model.spec.entity]
        query = f"""SELECT "{key}", sum(fund_amount) FROM claims
                    WHERE settled_at < $1 AND settled_at >= $1 - to_days($2) GROUP BY 1"""
        arguments = [day, model.spec.window_days]
    paid = dict(connection.execute(query, arguments).fetchall())
    return np.array([float(paid.get(i) or 0.0) for i in frame.ids])


def _reasons(
    scored: ScoredFolder, model: FittedModel, locale: str, progress: Progress | None
) -> list[list[dict[str, object]]]:
    rows, found = len(scored.frame), []
    for row, (reasons, _) in enumerate(reasons_in_frame(scored.builder, scored.frame, model)):
        found.append([_plain(r, locale) for r in reasons])
        if progress and row % 500 == 0:
            progress("reasons", row / max(rows, 1))
    return found


def reasons_in_frame(
    builder: FrameBuilder, frame: SignalFrame, model: FittedModel, target: str = "claims"
) -> Iterator[tuple[tuple[Reason, ...], Mapping[str, Occasion]]]:
    """For each row of a frame the model's reasons, and on which days and in which regions its limits are asked.

    `target` names the relation that holds the claims of a frame of claims.
    """
    values = frame.select(model.names)
    _, contributions = model.contributions(values)
    attributes = frame_attributes(builder, frame, target)
    occasions = occasions_in_frame(builder, frame, target)
    for row in range(len(frame)):
        reasons = reasons_of(
            builder.catalogue,
            model.names,
            values[row],
            contributions[row],
            model.reference.peers,
            attributes[row],
            occasions=occasions[row],
        )
        yield reasons, occasions[row]


def frame_attributes(
    builder: FrameBuilder, frame: SignalFrame, target: str = "claims"
) -> list[dict[str, tuple[str | None, ...]]]:
    """For each row of a frame: what makes peers of it, and for a claim of those whom it names, by entity."""
    if frame.entity == "claim":
        return claim_attributes(builder, frame, target)
    return [{frame.entity: own} for own in frame.attributes]


def _plain(reason: Reason, locale: str) -> dict[str, object]:
    return {
        "signal": reason.signal,
        "value": reason.value,
        "unit": reason.unit,
        "contribution": reason.contribution,
        "peer_median": reason.peer_median,
        "peer_percentile": reason.peer_percentile,
        "sentence": reason.sentences[locale.split("-")[0]],
    }
