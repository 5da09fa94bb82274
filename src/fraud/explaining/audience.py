"""The version of an explanation for the provider concerned, as for a hearing: other people's data are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from fraud.errors import InputError
from fraud.explaining.explanation import Event, Explanation, Month, References
from fraud.signals.evidence import Evidence

__all__ = ["FEWEST_PEERS", "for_provider"]

# A distribution of fewer peers would tell what single ones do.
FEWEST_PEERS = 5
# What a provider has in its own books, for rows that are its own. Everything else names others, or may.
_OWN_BOOKS = frozenset(
    {
        "claim_id",
        "provider_id",
        "physician_id",
        "visit_type",
        "admitted_at",
        "discharged_at",
        "primary_diagnosis",
        "total_amount",
        "fund_amount",
        "line_no",
        "item_code",
        "item_name",
        "service_at",
        "quantity",
        "unit_price",
        "amount",
        "days_supply",
        "position",
        "code",
        "kind",
        "performed_at",
        "admission_day",
        "admission_month",
        "service_day",
        "stay_days",
        "staff_minutes",
        "claims",
        "patients",
    }
)
# Relations whose rows are the claim's own.
_OWN_ITEMS = frozenset({"lines", "diagnoses", "procedures", "claim"})
# Facts that are the payer's planning, or tell of a person more than one's own books do.
_HIDDEN_FACTS = frozenset({"died_on", "age", "sex", "insurance_type"})


@dataclass(frozen=True)
class _Own:
    """Whose version it is: the provider, and what of its patients and claims is its own."""

    entity: str
    provider_id: str | None
    patient_id: str | None
    claim_ids: frozenset[str]

    def rows(self, evidence: Evidence) -> pa.Table:
        """The evidence's own rows, with the columns that its own books have."""
        table = evidence.rows
        mask = self._mask(evidence)
        if mask is None:
            return table.slice(0, 0)
        kept = [c for c in table.column_names if c in _OWN_BOOKS]
        return table.filter(mask).select(kept) if kept else table.slice(0, 0)

    def _mask(self, evidence: Evidence) -> pa.Array | None:
        """Which rows are its own; None where that cannot be told, so that none is."""
        table, names = evidence.rows, set(evidence.rows.column_names)
        conditions = []
        if "provider_id" in names:
            conditions.append(pc.equal(table["provider_id"], pa.scalar(self.provider_id, pa.string())))
        if "patient_id" in names and self.entity == "claim":
            conditions.append(pc.equal(table["patient_id"], pa.scalar(self.patient_id, pa.string())))
        if "claim_id" in names and not conditions and self.entity == "claim":
            conditions.append(pc.is_in(table["claim_id"], pa.array(sorted(self.claim_ids), pa.string())))
        if not conditions:
            return self._all_of(evidence)
        found = conditions[0]
        for condition in conditions[1:]:
            found = pc.and_(found, condition)
        return pc.fill_null(found, False)

    def _all_of(self, evidence: Evidence) -> pa.Array | None:
        """All rows of the claim's own items, and of an institution's own windows; none of anything else."""
        whole = evidence.scope in _OWN_ITEMS or (self.entity == "provider" and evidence.scope.startswith("window"))
        return pa.array([True] * evidence.rows.num_rows, pa.bool_()) if whole else None


def for_provider(explanation: Explanation) -> Explanation:
    """The explanation as the provider concerned may read it.

    Left out are other patients and institutions (rows about them stay as counts), figures about persons whom the
    provider does not answer for, the distributions of fewer than `FEWEST_PEERS` peers, what the payer expects to
    recover, who looked, and the command. Contributions still add up: those left out are in `rest`.

    Raises:
        InputError: the explanation is of a patient, who has no provider to be heard.
    """
    if explanation.entity == "patient":
        raise InputError("A report on a patient has no version for a provider: report on the claim concerned.")
    own = _own(explanation)
    told = tuple(r for r in explanation.reasons if r.entity != "patient")
    hidden = tuple(r for r in explanation.reasons if r.entity == "patient")
    untold = {r.signal for r in hidden}
    return replace(
        explanation,
        band=None,
        expected_recovery=None,
        reasons=told,
        rest=explanation.rest + sum(r.contribution for r in hidden),
        facts=tuple(f for f in explanation.facts if f.label not in _HIDDEN_FACTS),
        evidence={
            i: [_evidence(e, own) for e in parts] for i, parts in explanation.evidence.items() if i not in untold
        },
        timeline=_timeline(explanation, own),
        peers=tuple(p for p in explanation.peers if p.signal not in untold and p.count >= FEWEST_PEERS),
        provenance=replace(explanation.provenance, command="", looks=()),
        references=_without(explanation.references, untold),
    )


def _without(references: References, untold: AbstractSet[str]) -> References:
    """What is referred to by figures that are told."""
    titles, spots, records = (
        {i: v for i, v in part.items() if i not in untold}
        for part in (references.titles, references.blind_spots, references.records)
    )
    return replace(references, titles=titles, blind_spots=spots, records=records)  # type: ignore[arg-type]


def _own(explanation: Explanation) -> _Own:
    facts: Mapping[str, object] = {f.label: f.value for f in explanation.facts}
    entity, entity_id = explanation.entity, explanation.entity_id
    provider = entity_id if entity == "provider" else facts.get("provider_id")
    provider_id = str(provider) if provider is not None else None
    patient = facts.get("patient_id")
    claims = {entity_id} if entity == "claim" else set()
    claims |= {e.claim_id for e in _events(explanation) if e.claim_id and e.place == provider_id}
    return _Own(entity, provider_id, str(patient) if patient is not None else None, frozenset(claims))


def _events(explanation: Explanation) -> Sequence[Event]:
    return [e for e in explanation.timeline if isinstance(e, Event)]


def _evidence(evidence: Evidence, own: _Own) -> Evidence:
    rows = own.rows(evidence)
    whole = rows.num_rows == evidence.rows.num_rows
    # A sum over rows of others would tell what others were paid.
    return replace(evidence, rows=rows, amount=evidence.amount if whole else None)


def _timeline(explanation: Explanation, own: _Own) -> tuple[Event, ...] | tuple[Month, ...]:
    events = _events(explanation)
    if not events:
        return explanation.timeline
    return tuple(e for e in events if e.place is not None and e.place == own.provider_id)
