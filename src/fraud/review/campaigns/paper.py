"""The paper of a campaign: phases, providers, what is put right and whether it helped, as one document."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from fraud import __version__
from fraud.explaining.content.document import (
    Callout,
    Cell,
    Column,
    Document,
    Grid,
    Pair,
    Pairs,
    Row,
    Section,
    Text,
    Tile,
)
from fraud.explaining.wording import NOT_KNOWN
from fraud.review.campaigns.findings import FLAGGED
from fraud.review.campaigns.shapes import Dossier, Overview, late
from fraud.review.periodic.figures import share_of
from fraud.review.periodic.setting import PaperWording, violation_name
from fraud.signals.catalogue import Catalogue
from fraud.store.campaigns.shapes import PHASES, Inspected, Task

__all__ = ["CampaignWording", "campaign_paper"]

_SHOWN = 100


class CampaignWording(PaperWording):
    """The words of papers and those of campaigns in one language."""

    def __init__(self, locale: str, currency: str | None = None) -> None:
        super().__init__(locale, currency)
        self.texts: Mapping[str, Any] = {**self.texts, **_texts(self.locale)}

    def rate(self, hits: int, n: int) -> Cell:
        """Hits for each 1,000 claims with their interval: `12.5 (4.3 to 36.0; 2 of 160)`; a dash where none was."""
        share = share_of(hits, n)
        if share.value is None or share.low is None or share.high is None:
            return Cell(NOT_KNOWN)
        places = {"rate": _of_thousand(share.value), "low": _of_thousand(share.low), "high": _of_thousand(share.high)}
        text = self.say("forms.rate", hits=self.number(hits), n=self.number(n), **places)
        return Cell(text, share.value * 1_000)

    def day(self, moment: datetime | date | None) -> Cell:
        """A day as in a register."""
        if moment is None:
            return Cell(NOT_KNOWN)
        day = moment.date() if isinstance(moment, datetime) else moment
        return Cell(f"{day:%Y-%m-%d}", day)


def _of_thousand(share: float) -> str:
    return f"{share * 1_000:,.1f}"


@lru_cache(maxsize=2)
def _texts(locale: str) -> Mapping[str, Any]:
    return tomllib.loads((Path(__file__).parent / f"paper.{locale}.toml").read_text("utf-8"))


@dataclass(frozen=True)
class _Told:
    """What the sections read: the campaign, its providers one by one, and what names mean."""

    seen: Overview
    dossiers: Sequence[Dossier]
    names: Mapping[str, str]
    catalogue: Catalogue
    now: datetime


def campaign_paper(
    seen: Overview,
    dossiers: Sequence[Dossier],
    catalogue: Catalogue,
    locale: str,
    made_at: datetime,
    *,
    names: Mapping[str, str] | None = None,
    currency: str | None = None,
) -> Document:
    """The paper in one language; `names` are those of providers by id."""
    w, campaign = CampaignWording(locale, currency), seen.campaign
    told = _Told(seen, dossiers, names or {}, catalogue, made_at)
    name = w.say("campaign.name", title=campaign.title)
    period = w.say("campaign.period", first=w.date(campaign.period_from), last=w.date(campaign.period_until))
    return Document(
        lang=w.lang,
        kicker=w.say("campaign.kicker"),
        title=name,
        name=name,
        as_of=period,
        summary=_summary(seen, w),
        made_at=made_at.replace(microsecond=0),
        tiles=_tiles(seen, w),
        callout=Callout(w.say("campaign.note_title"), w.say("campaign.note")),
        facts=_facts(seen, w),
        sections=(
            _phases(seen, w),
            _providers(told, w),
            _decisions(told, w),
            _found_by_type(seen, w),
            _tasks(told, w),
            _effects(told, w),
            _history(seen, w),
            _origin(seen, made_at, w),
        ),
        currency=currency,
        words={key: str(w.texts["page"][key]) for key in ("skip", "summary_sheet", "page_of", "appendix")},
    )


def _summary(seen: Overview, w: CampaignWording) -> str:
    s = seen.standing
    first = w.say(
        "campaign.summary", providers=w.number(s.providers), declared=w.number(s.declared),
        accepted=w.number(s.by_state["accepted"]), referred=w.number(s.by_state["referred"]),
        overdue=w.number(s.overdue),
    )  # fmt: skip
    second = w.say(
        "campaign.summary_money", found=w.money(s.found_amount), claims=w.number(s.found),
        declared=w.money(s.declared_amount), count=w.number(s.declared_count),
    )  # fmt: skip
    return str(w.texts["sentence_gap"]).join((first, second))


def _tiles(seen: Overview, w: CampaignWording) -> tuple[Tile, ...]:
    s = seen.standing
    return (
        Tile(w.number(s.providers), w.say("campaign.tile_providers")),
        Tile(w.number(s.by_state["accepted"]), w.say("campaign.tile_accepted")),
        Tile(w.about(s.found_amount), w.say("campaign.tile_found")),
        Tile(w.about(s.declared_amount), w.say("campaign.tile_declared")),
    )


def _facts(seen: Overview, w: CampaignWording) -> tuple[Pair, ...]:
    c = seen.campaign
    types = [violation_name(v, w) for v in c.violations] or [w.say("campaign.all_types")]
    opened = w.say("campaign.by", at=w.moment(c.opened_at.replace(second=0, microsecond=0)), who=c.opened_by)
    facts = [
        Pair(w.say("campaign.number"), c.campaign_id, True),
        Pair(w.say("campaign.basis"), c.legal_basis),
        Pair(w.say("campaign.scope"), "; ".join(types)),
        Pair(w.say("campaign.opened"), opened),
    ]
    if c.closed_at is not None:
        at = w.moment(c.closed_at.replace(second=0, microsecond=0))
        facts.append(Pair(w.say("campaign.closed"), w.say("campaign.by", at=at, who=c.closed_by)))
    return tuple(facts)


# --- sections ---------------------------------------------------------------------------------------------


def _grid(w: CampaignWording, section: str, heads: Mapping[str, bool], rows: Sequence[Sequence[Cell]]) -> Section:
    """A section with one table under its lead; a sentence where there are no rows."""
    heading, lead = w.say(f"sections.{section}"), str(w.texts["sections"].get(f"{section}_lead", ""))
    columns = tuple(Column(head, w.say(f"heads.{head}"), figure) for head, figure in heads.items())
    more = w.say("evidence.more", count=len(rows) - _SHOWN) if len(rows) > _SHOWN else ""
    table = Grid(columns, tuple(Row(tuple(r)) for r in rows), sheet=heading, shown=_SHOWN, more=more)
    leads = (Text(lead),) if lead else ()
    return Section(section, heading, (*leads, table if rows else Text(w.say("campaign.none"))))


def _phases(seen: Overview, w: CampaignWording) -> Section:
    due = tuple(Pair(w.label("phases", p), w.date(seen.campaign.due[p])) for p in PHASES)
    return Section("phases", w.say("campaign.phases"), (Text(w.say("campaign.phases_lead")), Pairs(due)))


def _providers(told: _Told, w: CampaignWording) -> Section:
    rows = [_provider_cells(r, told, w) for r in told.seen.rows]
    heads = {
        "provider": False, "state": False, "due": False, "found_claims": True, "found_amount": True,
        "declared_claims": True, "declared_amount": True, "less": False,
    }  # fmt: skip
    return _grid(w, "providers", heads, rows)


def _provider_cells(row: Inspected, told: _Told, w: CampaignWording) -> tuple[Cell, ...]:
    day = w.day(row.due_at)
    overdue = told.seen.campaign.closed_at is None and late(row, told.seen.tasks, told.now)
    return (
        _named(row.provider_id, told),
        Cell(w.label("states", row.state)),
        Cell(w.say("forms.overdue", day=day.text), day.value) if overdue else day,
        _figure(row.found.with_findings, w),
        Cell(w.cell("amount", row.found.amount), row.found.amount),
        _figure(row.declared_count, w),
        Cell(w.cell("amount", row.declared_amount), row.declared_amount),
        Cell(NOT_KNOWN if row.declared_at is None else w.say("forms.yes" if row.declared_less else "forms.no")),
    )


def _named(provider_id: str, told: _Told) -> Cell:
    """A provider by name and id."""
    name = told.names.get(provider_id)
    return Cell(f"{name} {provider_id}" if name else provider_id)


def _decisions(told: _Told, w: CampaignWording) -> Section:
    rows = [
        (
            _named(r.provider_id, told),
            Cell(w.label("decisions", r.result)),
            w.day(r.decided_at),
            Cell(r.decided_by or NOT_KNOWN),
            _figure(r.found_again.with_findings if r.found_again else None, w),
            Cell(w.cell("amount", r.found_again.amount if r.found_again else None)),
            _figure(r.found_again.open_cases if r.found_again else None, w),
        )
        for r in told.seen.rows
        if r.result is not None
    ]
    heads = {
        "provider": False, "result": False, "decided_on": False, "decided_by": False, "again_claims": True,
        "again_amount": True, "open_cases": True,
    }  # fmt: skip
    return _grid(w, "decisions", heads, rows)


def _figure(value: int | None, w: CampaignWording) -> Cell:
    return Cell(NOT_KNOWN) if value is None else Cell(w.number(value), value)


def _found_by_type(seen: Overview, w: CampaignWording) -> Section:
    claims, money = Counter[str](), Counter[str]()
    for row in seen.rows:
        for name, of_type in row.found.by_type.items():
            claims[name] += of_type.claims
            money[name] += of_type.amount  # type: ignore[assignment]
    rows = [
        (
            Cell(violation_name(name or None, w)),
            _figure(count, w),
            Cell(w.cell("amount", float(money[name])), float(money[name])),
        )
        for name, count in sorted(claims.items(), key=lambda item: (-item[1], item[0]))
    ]
    return _grid(w, "found", {"violation": False, "claims": True, "amount": True}, rows)


def _tasks(told: _Told, w: CampaignWording) -> Section:
    digests = {(d.row.provider_id, f.number): f.digest for d in told.dossiers for f in d.files}
    rows = [_task_cells(t, digests, told, w) for d in told.dossiers for t in d.tasks]
    heads = {
        "provider": False, "root_cause": False, "action": False, "responsible": False, "changes": False,
        "due": False, "done": False, "evidence": False,
    }  # fmt: skip
    return _grid(w, "tasks", heads, rows)


def _task_cells(
    task: Task, digests: Mapping[tuple[str, int], str], told: _Told, w: CampaignWording
) -> tuple[Cell, ...]:
    due = w.day(task.due_at)
    evidence = digests.get((task.provider_id, task.file), "")[:12] if task.file is not None else ""
    rules = [rule_title(r, told.catalogue, w) for r in task.rules]
    changes = (*task.cases, *rules, *((task.model,) if task.model else ()))
    return (
        _named(task.provider_id, told),
        Cell(task.root_cause),
        Cell(w.say("forms.action", action=w.label("actions", task.action), text=task.text)),
        Cell(task.responsible),
        Cell(", ".join(changes)),
        Cell(w.say("forms.overdue", day=due.text), due.value) if task.overdue(told.now) else due,
        w.day(task.done_at),
        Cell(evidence),
    )


def _effects(told: _Told, w: CampaignWording) -> Section:
    rows = [
        (
            _named(d.row.provider_id, told),
            Cell(rule_title(e.what, told.catalogue, w)),
            w.rate(e.hits_before, e.claims_before),
            w.rate(e.hits_after, e.claims_after),
        )
        for d in told.dossiers
        for e in d.effects
    ]
    return _grid(w, "effects", {"provider": False, "rule": False, "before": False, "after": False}, rows)


def rule_title(what: str, catalogue: Catalogue, w: CampaignWording) -> str:
    """The name of a rule whose effect is shown."""
    if what == FLAGGED:
        return w.say("forms.flagged")
    signal = catalogue.signals.get(what)
    return w.pick(signal.title) if signal is not None else what


def _history(seen: Overview, w: CampaignWording) -> Section:
    rows = [
        (
            Cell(f"{e.at:%Y-%m-%d %H:%M}"),
            Cell(e.who),
            Cell(w.label("steps", e.what)),
            Cell(str(e.details.get("reason", NOT_KNOWN))),
        )
        for e in seen.history
    ]
    return _grid(w, "history", {"at": False, "who": False, "what": False, "reason": False}, rows)


def _origin(seen: Overview, made_at: datetime, w: CampaignWording) -> Section:
    pairs = (
        Pair(w.say("campaign.generated"), w.moment(made_at.replace(second=0, microsecond=0))),
        Pair(w.say("campaign.program"), __version__),
        Pair(w.say("campaign.command_label"), w.say("campaign.command", id=seen.campaign.campaign_id), True),
    )
    texts = (Text(w.say("campaign.method")), Pairs(pairs, stacked=True))
    return Section("origin", w.say("campaign.method_heading"), texts)
