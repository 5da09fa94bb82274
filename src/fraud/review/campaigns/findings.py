"""What the service itself knows of providers: claims flagged, findings, cases, and how often rules fire.

All of it is counted from stored decisions, each claim by its last answer. Claims that were only asked about and never
became history are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.campaigns.shapes import Campaign, Effect, Found, Inspected, OfType, Task
from fraud.store.casework.rows import region_of_provider
from fraud.store.casework.shapes import AT_WORK
from fraud.store.casework.tables import cases
from fraud.store.tables import CANONICAL, decisions

__all__ = [
    "FLAGGED",
    "Extent",
    "currency_of",
    "effects_at",
    "extent_of",
    "found_at",
    "names_of",
    "providers_found",
    "regions_of",
]

# Stands in place of a rule for claims that somebody was asked to look at, whatever for.
FLAGGED = "flagged"
_CHUNK = 1_000
# Rules that are measured though no task names them: those that fired most.
_MOST_RULES = 10
_claims, _houses = CANONICAL["claims"], CANONICAL["providers"]


@dataclass(frozen=True)
class Extent:
    """Which claims and findings count: settled from `start` to before `end`, of these types; of all where none is."""

    start: datetime
    end: datetime
    violations: frozenset[str] = frozenset()

    def holds(self, finding: Mapping[str, Any]) -> bool:
        """Whether it is a hit of a type that counts."""
        return finding["status"] == "hit" and (not self.violations or finding["violation"] in self.violations)


def extent_of(period_from: date, period_until: date, violations: Iterable[str]) -> Extent:
    """The extent of a period with its last day."""
    start, last = (datetime(d.year, d.month, d.day) for d in (period_from, period_until))
    return Extent(start, last + timedelta(days=1), frozenset(violations))


def regions_of(connection: Connection, provider_ids: Sequence[str]) -> dict[str, str | None]:
    """Where those of the providers are that are known here; of one without a region on file that of its claims."""
    known: dict[str, str | None] = dict.fromkeys(
        connection.execute(sa.select(_houses.c.provider_id).where(_houses.c.provider_id.in_(provider_ids))).scalars()
    )
    known |= region_of_provider(connection, provider_ids)
    for provider_id in provider_ids:
        if known.get(provider_id) is None:
            last = sa.select(_claims.c.care_region).where(_claims.c.provider_id == provider_id)
            found = connection.execute(last.order_by(_claims.c.settled_at.desc()).limit(1)).first()
            known |= {provider_id: found[0]} if found is not None else {}
    return known


def names_of(connection: Connection, provider_ids: Sequence[str]) -> dict[str, str]:
    """Names of providers on file, by id."""
    named = (_houses.c.provider_id.in_(provider_ids), _houses.c.name.is_not(None))
    return {
        row[0]: row[1] for row in connection.execute(sa.select(_houses.c.provider_id, _houses.c.name).where(*named))
    }


def currency_of(connection: Connection) -> str | None:
    """The currency that the claims name, where they name one."""
    some = sa.select(_claims.c.currency).limit(50).subquery()
    named = set(connection.execute(sa.select(some.c.currency).distinct()).scalars()) - {None}
    return str(named.pop()) if len(named) == 1 else None


# --- what was found ---------------------------------------------------------------------------------------


@dataclass
class _Tally:
    """What is being counted of one provider."""

    flagged: int = 0
    with_findings: int = 0
    amount: float = 0.0
    claims: Counter[str] = field(default_factory=Counter)
    money: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Mapping[str, Any], extent: Extent) -> None:
        hits = [f for f in answer["findings"] if extent.holds(f)]
        self.flagged += bool(hits) or not extent.violations
        if not hits:
            return
        self.with_findings += 1
        # Several rules may speak of the same lines, so that the largest counts.
        self.amount += max(float(f["amount"] or 0.0) for f in hits)
        largest: dict[str, float] = {}
        for hit in hits:
            name = hit["violation"] or ""
            largest[name] = max(largest.get(name, 0.0), float(hit["amount"] or 0.0))
        self.claims.update(largest.keys())
        self.rules.update({f["rule"] for f in hits})
        for name, amount in largest.items():
            self.money[name] += amount  # type: ignore[assignment]


def found_at(connection: Connection, provider_ids: Sequence[str], extent: Extent, as_of: datetime) -> dict[str, Found]:
    """What was found at each of these providers."""
    tallies = {p: _Tally() for p in provider_ids}
    for provider_id, answer in _last_answers(connection, extent, provider_ids, flagged_only=True):
        tallies[provider_id].add(answer, extent)
    judged, at_work = _judged(connection, provider_ids, extent), _open_cases(connection, provider_ids, extent)
    return {p: _found(tally, judged[p], at_work[p], as_of) for p, tally in tallies.items()}


def _found(tally: _Tally, judged: int, at_work: int, as_of: datetime) -> Found:
    by_type = {name: OfType(count, float(tally.money[name])) for name, count in sorted(tally.claims.items())}
    by_rule = dict(sorted(tally.rules.items(), key=lambda item: (-item[1], item[0])))
    return Found(as_of, judged, tally.flagged, tally.with_findings, tally.amount, at_work, by_type, by_rule)


def providers_found(connection: Connection, extent: Extent) -> tuple[str, ...]:
    """The providers at which findings of the extent were made, those with most money at stake first."""
    tallies: dict[str, _Tally] = {}
    for provider_id, answer in _last_answers(connection, extent, None, flagged_only=True):
        tallies.setdefault(provider_id, _Tally()).add(answer, extent)
    found = [p for p, t in tallies.items() if t.with_findings]
    return tuple(sorted(found, key=lambda p: (-tallies[p].amount, p)))


def _last_answers(
    connection: Connection,
    extent: Extent,
    provider_ids: Sequence[str] | None,
    *,
    flagged_only: bool,
    scored_until: datetime | None = None,
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Provider and last answer of each claim of an extent; with `scored_until` the last until then."""
    conditions = [_claims.c.settled_at >= extent.start, _claims.c.settled_at < extent.end]
    if provider_ids is not None:
        conditions.append(_claims.c.provider_id.in_(provider_ids))
    later = decisions.alias("later")
    after = sa.or_(
        later.c.scored_at > decisions.c.scored_at,
        sa.and_(later.c.scored_at == decisions.c.scored_at, later.c.request_id > decisions.c.request_id),
    )
    superseded = sa.select(sa.literal(1)).where(later.c.claim_id == decisions.c.claim_id, after)
    if scored_until is not None:
        conditions.append(decisions.c.scored_at <= scored_until)
        superseded = superseded.where(later.c.scored_at <= scored_until)
    if flagged_only:
        conditions.append(decisions.c.action != "pass")
    query = (
        sa.select(_claims.c.provider_id, decisions.c.response)
        .join_from(_claims, decisions, decisions.c.claim_id == _claims.c.claim_id)
        .where(*conditions, ~sa.exists(superseded))
    )
    with connection.execute(query.execution_options(yield_per=_CHUNK)) as rows:
        for provider_id, response in rows:
            yield provider_id, orjson.loads(response)


def _judged(connection: Connection, provider_ids: Sequence[str], extent: Extent) -> Counter[str]:
    """Claims of each provider that were judged at all."""
    query = (
        sa.select(_claims.c.provider_id, sa.func.count(sa.distinct(decisions.c.claim_id)))
        .join_from(_claims, decisions, decisions.c.claim_id == _claims.c.claim_id)
        .where(_claims.c.provider_id.in_(provider_ids))
        .where(_claims.c.settled_at >= extent.start, _claims.c.settled_at < extent.end)
        .group_by(_claims.c.provider_id)
    )
    return Counter({row[0]: int(row[1]) for row in connection.execute(query)})


def _open_cases(connection: Connection, provider_ids: Sequence[str], extent: Extent) -> Counter[str]:
    """Cases of each provider in which nothing was decided yet, of the types that count."""
    conditions = [cases.c.provider_id.in_(provider_ids), cases.c.state.in_(AT_WORK)]
    if extent.violations:
        conditions.append(cases.c.violation.in_(sorted(extent.violations)))
    query = sa.select(cases.c.provider_id, sa.func.count()).where(*conditions).group_by(cases.c.provider_id)
    return Counter({row[0]: int(row[1]) for row in connection.execute(query)})


# --- before and after -------------------------------------------------------------------------------------


@dataclass
class _Fired:
    """How often rules fired over some claims: `unsure` are claims that a rule could not judge."""

    claims: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)

    def of(self, rule: str) -> tuple[int, int]:
        """Hits of a rule, and claims that it judged."""
        return self.hits[rule], self.claims - self.unsure[rule]


def effects_at(
    connection: Connection, campaign: Campaign, row: Inspected, tasks: Sequence[Task], now: datetime
) -> tuple[Effect, ...]:
    """How often the rules that tasks name, and those that had fired most, fired before and after.

    After begins when the last task was done, or without one when the provider declared. Before are claims of the
    campaign's period as they were judged until then.
    """
    since = _put_right_at(row, tasks)
    named = [rule for t in tasks for rule in t.rules]
    rules = tuple(dict.fromkeys((*named, *list(row.found.by_rule)[:_MOST_RULES], FLAGGED)))
    period = extent_of(campaign.period_from, campaign.period_until, ())
    before = _fired(connection, row.provider_id, Extent(period.start, min(period.end, since)), since)
    after = _fired(connection, row.provider_id, Extent(since, now), now)
    return tuple(Effect(rule, *before.of(rule), *after.of(rule), since, now) for rule in rules)


def _put_right_at(row: Inspected, tasks: Sequence[Task]) -> datetime:
    done = [t.done_at for t in tasks if t.done_at is not None]
    return max(done, default=row.declared_at or row.told_at or row.found.as_of)


def _fired(connection: Connection, provider_id: str, extent: Extent, scored_until: datetime) -> _Fired:
    counted = _Fired()
    answers = _last_answers(connection, extent, [provider_id], flagged_only=False, scored_until=scored_until)
    for _, answer in answers:
        counted.claims += 1
        counted.hits.update({f["rule"] for f in answer["findings"] if f["status"] == "hit"})
        counted.unsure.update({f["rule"] for f in answer["findings"] if f["status"] != "hit"})
        counted.hits[FLAGGED] += answer["action"] != "pass"
    return counted
