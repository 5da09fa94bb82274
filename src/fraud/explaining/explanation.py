"""One explanation as plain data: what a report shows, and what its JSON says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from fraud import __version__
from fraud.explaining.reasons import Reason
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import Signal
from fraud.signals.evidence import Evidence
from fraud.signals.limits import Limit, Source
from fraud.signals.peers import Peers
from fraud.signals.rules import Finding

__all__ = [
    "TOP",
    "Event",
    "Explanation",
    "Fact",
    "Look",
    "Month",
    "PeerStanding",
    "Provenance",
    "References",
    "peer_standings",
    "references_of",
]

# Reasons that a reader is shown first.
TOP = 4
# What a fact can hold; a pair of days is a period.
FactValue = str | float | bool | date | tuple[date, date] | None


@dataclass(frozen=True)
class Fact:
    """Something on file about the claim or entity; `label` is a key of the report's texts."""

    label: str
    value: FactValue


@dataclass(frozen=True)
class Event:
    """One claim on a patient's timeline; `marked` ones are the claim explained, or evidence.

    `place` is the provider, where it is known.
    """

    day: date
    kind: str
    label: str
    amount: float | None
    marked: bool = False
    until: date | None = None
    place: str | None = None
    claim_id: str | None = None


@dataclass(frozen=True)
class Month:
    """Claims and charges of one month; `day` is its first day."""

    day: date
    claims: int
    amount: float


@dataclass(frozen=True)
class PeerStanding:
    """A figure beside the frozen distribution of its peers.

    `quantiles` are evenly spaced from the lowest to the highest; `group` has one `column=value` for each
    attribute that the `count` peers share (none: everybody).
    """

    signal: str
    entity: str
    value: float | None
    median: float
    count: int
    group: tuple[str, ...]
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Look:
    """Somebody who looked at the record before the explanation was drawn up: a key or a user, and in which role."""

    at: datetime
    who: str
    role: str


@dataclass(frozen=True)
class Provenance:
    """Where an explanation comes from, and the command that makes it again.

    `decided_at` is when the answer was given that is explained; `looks` are those of people at the record, oldest
    first, the one for whom it was drawn up last.
    """

    run_id: str
    data_digest: str
    catalogue_digest: str
    generated_at: datetime
    command: str
    model_name: str | None = None
    model_version: str | None = None
    model_alias: str | None = None
    fitted_on: str | None = None
    decided_at: datetime | None = None
    looks: tuple[Look, ...] = ()
    program: str = __version__


@dataclass(frozen=True)
class References:
    """What the signals of an explanation refer to; titles and blind spots are by signal id and by language.

    `records` names, by signal id, the papers in which what the figure rests on is recorded (keys of the texts).
    """

    sources: Mapping[str, Source] = field(default_factory=dict)
    limits: Mapping[str, Limit] = field(default_factory=dict)
    titles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    blind_spots: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    records: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """Why a claim or entity stands where it stands: a reason to look, never a verdict.

    The risk figures are None when the model could not be used, the probability and what rests on it also when the
    model has no labels; `probability_low` and `probability_high` bound the
    share at fault among all with such a score, with 95 % confidence. `reasons` are all signals, the weightiest
    first, so that base + contributions + rest = margin; `rest` is that of figures which are not told one by one.
    `evidence` is by signal id; `skipped` maps signals that could not be worked out to the reason. `caveats` are keys
    of texts about the explanation as a whole. `timeline` has events for a claim or patient, months otherwise.
    Money is in `currency` (ISO 4217; None: not known).
    """

    entity: str
    entity_id: str
    as_of: datetime
    provenance: Provenance
    action: str | None = None
    probability: float | None = None
    percentile: float | None = None
    band: str | None = None
    expected_recovery: float | None = None
    base: float | None = None
    margin: float | None = None
    reasons: tuple[Reason, ...] = ()
    findings: tuple[Finding, ...] = ()
    facts: tuple[Fact, ...] = ()
    evidence: Mapping[str, Sequence[Evidence]] = field(default_factory=dict)
    timeline: tuple[Event, ...] | tuple[Month, ...] = ()
    peers: tuple[PeerStanding, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    references: References = field(default_factory=References)
    currency: str | None = None
    probability_low: float | None = None
    probability_high: float | None = None
    rest: float = 0.0
    caveats: tuple[str, ...] = ()

    @property
    def unlabelled(self) -> bool:
        """Whether the score is that of a model without labels: a measure of oddity, without a probability."""
        return self.margin is not None and self.probability is None

    @property
    def hits(self) -> tuple[Finding, ...]:
        """Findings whose limit was passed."""
        return tuple(f for f in self.findings if f.status == "hit")

    @property
    def blind_spots(self) -> Mapping[str, Mapping[str, str]]:
        """What the signals cannot see, by signal id and by language."""
        return self.references.blind_spots

    def top(self, most: int = TOP) -> tuple[Reason, ...]:
        """The weightiest reasons that raised the score."""
        return tuple(r for r in self.reasons[:most] if r.contribution > 0)

    def as_dict(self) -> dict[str, Any]:
        """The explanation as JSON types; a figure that is not known is null."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def _repr_html_(self) -> str:
        """The report in English, as a notebook shows it."""
        # Whoever works out figures alone does not pay for templates and charts.
        from fraud.explaining.renderers.notebook import in_frame
        from fraud.explaining.report import render_html

        return in_frame(render_html(self, "en"), f"{self.entity} {self.entity_id}")


def references_of(
    catalogue: Catalogue,
    reasons: Iterable[Reason],
    findings: Iterable[Finding],
    skipped: Iterable[str] = (),
    records: Mapping[str, tuple[str, ...]] | None = None,
) -> References:
    """What these reasons, findings and skipped signals refer to, out of the catalogue.

    Sources, limits and blind spots are those of the findings that hit and of the top reasons; `records` is as
    `fraud.explaining.records.records_behind` gives it.
    """
    reasons, findings = tuple(reasons), tuple(findings)
    leading = [catalogue[r.signal] for r in reasons[:TOP] if r.contribution > 0]
    signals = _unique([*(f.signal for f in findings if f.status == "hit"), *leading])
    named = _unique([*signals, *_known(catalogue, skipped)])
    limits = {s.limit: catalogue.limits[s.limit] for s in signals if s.limit}
    cited = {c for s in signals for c in s.cites} | {limit.source for limit in limits.values()}
    cited |= {f.source for f in findings if f.source}
    return References(
        sources={c: catalogue.sources[c] for c in sorted(cited) if c in catalogue.sources},
        limits=limits,
        titles={s.id: s.title for s in named},
        blind_spots={s.id: s.blind_spots for s in signals if s.blind_spot},
        records=records or {},
    )


def peer_standings(
    reasons: Iterable[Reason], peers: Mapping[str, Peers], attributes: Mapping[str, Sequence[str | None]]
) -> tuple[PeerStanding, ...]:
    """The frozen distributions beside which these reasons stand; reasons without one are left out."""
    found = (_standing(r, peers.get(r.entity), attributes.get(r.entity)) for r in reasons)
    return tuple(s for s in found if s is not None)


def _standing(reason: Reason, peers: Peers | None, own: Sequence[str | None] | None) -> PeerStanding | None:
    if peers is None or own is None or reason.signal not in peers.index:
        return None
    key, group = peers.group_of(own)
    j = peers.index[reason.signal]
    return PeerStanding(
        signal=reason.signal,
        entity=reason.entity,
        value=reason.value,
        median=float(group.median[j]),
        count=group.n,
        group=tuple(str(part) for part in key),
        quantiles=tuple(group.quantiles[:, j].tolist()),
    ) if group.n else None  # fmt: skip


def _unique(signals: Iterable[Signal]) -> list[Signal]:
    return list({s.id: s for s in signals}.values())


def _known(catalogue: Catalogue, ids: Iterable[str]) -> list[Signal]:
    return [catalogue[i] for i in ids if i in catalogue.signals]


# --- JSON -------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return _plain_object(value)


def _plain_object(value: Any) -> Any:
    if isinstance(value, Finding):
        return _finding(value)
    if isinstance(value, Evidence):
        rows = _plain(value.rows.to_pylist())
        return {"scope": value.scope, "rows": rows, "total": value.total, "amount": _plain(value.amount)}
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, (list, tuple, pa.Array)):
        return [_plain(v) for v in value]
    return str(value)


def _finding(finding: Finding) -> dict[str, Any]:
    """A finding with the names of the service's contract, in both languages."""
    signal = finding.signal
    return {
        "rule": signal.id,
        "version": signal.version,
        "violation": signal.violation,
        "national_code": signal.national_code,
        "kind": signal.kind,
        "severity": signal.severity,
        "status": finding.status,
        "value": _plain(finding.value),
        "limit": _plain(finding.limit),
        "unit": signal.unit,
        "amount": _plain(finding.amount),
        "titles": dict(signal.title),
        "sentences": dict(finding.sentences),
        "why": finding.why,
        "lines": list(finding.lines),
        "citations": list(signal.cites),
        "innocent_explanations": dict(signal.excuses),
    }
