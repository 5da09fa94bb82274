"""The quarterly supervision in its four parts: policy, operation, data security, fraud prevention."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta

from fraud.explaining.content.document import Cell, Document, Grid, MonthFigures, Pair, Pairs, Section, Text
from fraud.explaining.content.document import Figure as ChartFigure
from fraud.review.periodic.figures import key_figures
from fraud.review.periodic.money import money_section
from fraud.review.periodic.monthly import (
    cases_section,
    confirmed_section,
    providers_section,
    rules_section,
    summary_of,
    tiles_of,
)
from fraud.review.periodic.reading import Record
from fraud.review.periodic.setting import Paper, PaperWording, document, figures_section, table
from fraud.signals.catalogue import Catalogue

__all__ = ["campaigns_section", "months_figure", "quarterly_paper"]

# A source that nobody has looked up for longer may have changed.
_STALE = timedelta(days=365)


def quarterly_paper(record: Record, catalogue: Catalogue, locale: str, made_at: datetime) -> Document:
    """The supervision of a quarter in one language."""
    w = PaperWording(locale, record.currency)
    return document(
        Paper("quarterly", record, made_at),
        w,
        summary_of(record, w),
        tiles_of(record, w),
        _policy(record, catalogue, w),
        _operation(record, w),
        _security(record, w),
        _prevention(record, catalogue, w),
        money_section(record, w),
        figures_section(key_figures(record), w),
        cases_section(record, w),
        *campaigns_section(record, w),
    )


def _policy(record: Record, catalogue: Catalogue, w: PaperWording) -> Section:
    """Limits of law: which are in force, how old their check is, and how often each kind was passed."""
    last_day = (record.period.end - timedelta(days=1)).date()
    rules = [s for s in catalogue.signals.values() if s.limit]
    in_force = [s for s in rules if catalogue.limits[str(s.limit)].on(last_day) is not None]
    stale = sorted({str(s.limit) for s in rules if _is_stale(catalogue, str(s.limit), last_day)})
    kinds = Counter(h.kind for j in record.judged for h in j.hits)
    pairs = (
        Pair(w.say("policy.rules"), w.number(len(rules))),
        Pair(w.say("policy.in_force"), w.number(len(in_force))),
        Pair(w.say("policy.violations"), w.number(kinds["violation"])),
        Pair(w.say("policy.suspicions"), w.number(kinds["suspicion"])),
        Pair(w.say("policy.held"), w.number(sum(j.action == "hold" for j in record.judged))),
    )
    rows = [
        (Cell(name), Cell(f"{(limit := catalogue.limits[name]).checked_on}", limit.checked_on), Cell(limit.source))
        for name in stale
    ]
    heads = {"limit": False, "checked_on": False, "source": False}
    return Section(
        "policy",
        w.say("policy.heading"),
        (
            Text(w.say("policy.lead")),
            Pairs(pairs, stacked=True),
            Text(w.say("policy.stale")),
            table(w, "stale", heads, rows),
        ),
    )


def _is_stale(catalogue: Catalogue, name: str, day: date) -> bool:
    return day - catalogue.limits[name].checked_on > _STALE


def _operation(record: Record, w: PaperWording) -> Section:
    """How cases were worked: signatures, clocks, appeals."""
    decided = [c for c in record.decided if c.confirmed or c.unfounded]
    signed = sum(c.signer is not None and c.signer != c.proposer for c in decided)
    figures = key_figures(record)
    pairs = (
        Pair(w.say("operation.settled"), w.number(record.claims)),
        Pair(w.say("operation.judged"), w.number(len(record.judged))),
        Pair(w.say("operation.opened"), w.number(len(record.opened))),
        Pair(w.say("operation.decided"), w.number(len(decided))),
        Pair(w.say("operation.signed"), w.say("paper.of", hits=w.number(signed), n=w.number(len(decided)))),
        Pair(w.say("key_figures.acted_in_time"), w.share_between(figures.acted_in_time).text),
        Pair(w.say("key_figures.days_to_decision"), w.figure(figures.days_to_decision, "paper.days_value")),
        Pair(w.say("key_figures.appealed"), w.share_between(figures.appealed).text),
    )
    return Section("operation", w.say("operation.heading"), (Text(w.say("operation.lead")), Pairs(pairs, stacked=True)))


def _security(record: Record, w: PaperWording) -> Section:
    """Who may see whom: what the ledger counts, and whether it can be trusted."""
    events = record.events
    pairs = (
        Pair(w.say("security.intact"), w.label("values", "true" if record.intact else "false")),
        Pair(w.say("security.sealed"), w.label("values", "true" if record.sealed else "false")),
        *(
            Pair(w.say(f"security.{kind}"), w.number(events.get(kind, 0)))
            for kind in ("all", "reads", "unmaskings", "refusals", "outcomes", "keys")
        ),
    )
    return Section("security", w.say("security.heading"), (Text(w.say("security.lead")), Pairs(pairs, stacked=True)))


def _prevention(record: Record, catalogue: Catalogue, w: PaperWording) -> Section:
    """What was found and what became of it, by rule, type and provider."""
    parts = (rules_section(record, catalogue, w), confirmed_section(record, w), providers_section(record, w))
    # Several tables in one section need their names.
    blocks = tuple(replace(b, title=b.sheet) if isinstance(b, Grid) else b for part in parts for b in part.blocks)
    return Section("prevention", w.say("prevention.heading"), (*months_figure(record, w), *blocks))


def months_figure(record: Record, w: PaperWording) -> tuple[ChartFigure, ...]:
    """Flagged claims and the money that findings point at, by month; nothing for a single month."""
    flagged = [j for j in record.judged if j.flagged]
    months = sorted({j.scored_at.date().replace(day=1) for j in record.judged})
    if len(months) < 2:
        return ()
    of = {m: [j for j in flagged if j.scored_at.date().replace(day=1) == m] for m in months}
    figures = tuple((m, len(of[m]), sum(j.at_stake for j in of[m])) for m in months)
    title, axis = w.say("prevention.by_month"), str(w.texts["axis"]["figures"])
    chart = MonthFigures(figures, w.say("prevention.money"), w.say("prevention.flagged"), axis)
    return (ChartFigure(chart, title, alt=title),)


def campaigns_section(record: Record, w: PaperWording) -> tuple[Section, ...]:
    """Campaigns under way in the period, with how far they have come; nothing where there was none."""
    rows = [
        (
            Cell(seen.campaign.title),
            Cell(w.label("campaign_phases", s.phase)),
            Cell(w.number(s.providers), s.providers),
            Cell(w.number(s.declared), s.declared),
            Cell(w.number(s.finished), s.finished),
            Cell(w.number(s.overdue), s.overdue),
            Cell(w.cell("amount", s.found_amount), s.found_amount),
            Cell(w.cell("amount", s.declared_amount), s.declared_amount),
        )
        for seen in record.campaigns
        for s in (seen.standing,)
    ]
    heads = {
        "campaign": False, "phase": False, "inspected": True, "self_checked": True, "finished": True, "overdue": True,
        "found_amount": True, "declared_amount": True,
    }  # fmt: skip
    lead = Text(w.say("paper.campaigns_lead"))
    found = Section("campaigns", w.say("tables.campaigns"), (lead, table(w, "campaigns", heads, rows)))
    return (found,) if rows else ()
