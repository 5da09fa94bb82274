"""A provider's scorecard: its claims and what was found in them, beside all others taken together."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fraud.errors import NotKnownError
from fraud.explaining.content.document import Cell, Document, Pair, Pairs, Section, Text, Tile
from fraud.review.periodic.figures import flagged_share, precision_of
from fraud.review.periodic.money import money_section
from fraud.review.periodic.monthly import cases_section, rules_section
from fraud.review.periodic.quarterly import months_figure
from fraud.review.periodic.reading import Judged, Record
from fraud.review.periodic.setting import Paper, PaperWording, document, table, violation_name
from fraud.signals.catalogue import Catalogue

__all__ = ["scorecard_paper"]


def scorecard_paper(record: Record, catalogue: Catalogue, provider_id: str, locale: str, made_at: datetime) -> Document:
    """The scorecard of a provider in one language; it tells of no other provider.

    Raises:
        NotKnownError: nothing of this provider was judged in the period, and there is no case about it.
    """
    own = of_provider(record, provider_id)
    if not (own.judged or own.opened or own.decided or own.pending):
        raise NotKnownError(
            f"Nothing of provider {provider_id!r} was judged in {record.period.name}, and no case is about it. "
            "Check the id, or name another --month."
        )
    w = PaperWording(locale, record.currency)
    stake = sum(j.at_stake for j in own.judged if j.flagged)
    share, others = flagged_share(own.judged), flagged_share(_others(record, provider_id))
    name = record.names.get(provider_id, provider_id)
    summary = w.say(
        "scorecard.summary",
        claims=w.number(len(own.judged)),
        share=w.share_between(share).text,
        others=w.share_between(others).text,
        amount=w.money(stake),
    )
    tiles = [
        Tile(w.number(len(own.judged)), w.say("paper.tile_judged")),
        Tile(w.number(sum(j.flagged for j in own.judged)), w.say("scorecard.tile_flagged")),
        Tile(w.about(stake), w.say("paper.tile_flagged")),
        Tile(w.number(sum(c.confirmed for c in own.decided)), w.say("scorecard.tile_confirmed")),
    ]
    paper = document(
        Paper("scorecard", own, made_at, provider_id),
        w,
        summary,
        tiles,
        _beside(own, record, provider_id, w),
        rules_section(own, catalogue, w),
        money_section(own, w),
        _cases(own, w),
        cases_section(own, w),
    )
    return replace(paper, facts=(Pair(w.say("heads.provider"), provider_id), Pair(w.say("heads.name"), name)))


def of_provider(record: Record, provider_id: str) -> Record:
    """What of a record is about one provider."""
    return replace(
        record,
        judged=tuple(j for j in record.judged if j.provider_id == provider_id),
        opened=tuple(c for c in record.opened if c.provider_id == provider_id),
        decided=tuple(c for c in record.decided if c.provider_id == provider_id),
        pending=tuple(c for c in record.pending if c.provider_id == provider_id),
        paid=tuple(p for p in record.paid if p.provider_id == provider_id),
        names={k: v for k, v in record.names.items() if k == provider_id},
    )


def _others(record: Record, provider_id: str) -> list[Judged]:
    return [j for j in record.judged if j.provider_id != provider_id]


def _beside(own: Record, record: Record, provider_id: str, w: PaperWording) -> Section:
    """The provider's shares beside those of all others together."""
    others = _others(record, provider_id)
    decided = [c for c in record.decided if c.provider_id != provider_id]
    pairs = (
        Pair(w.say("scorecard.own_flagged"), w.share_between(flagged_share(own.judged)).text),
        Pair(w.say("scorecard.others_flagged"), w.share_between(flagged_share(others)).text),
        Pair(w.say("scorecard.own_precision"), w.share_between(precision_of(own.decided)).text),
        Pair(w.say("scorecard.others_precision"), w.share_between(precision_of(decided)).text),
    )
    parts = (Text(w.say("scorecard.lead")), Pairs(pairs, stacked=True))
    return Section("beside", w.say("scorecard.heading"), (*parts, *months_figure(own, w)))


def _cases(own: Record, w: PaperWording) -> Section:
    rows = [
        (
            Cell(c.case_id),
            Cell(violation_name(c.violation, w)),
            Cell(f"{c.opened_at:%Y-%m-%d}", c.opened_at.date()),
            Cell(f"{c.decided_at:%Y-%m-%d}" if c.decided_at else "–", c.decided_at.date() if c.decided_at else None),
            Cell(w.label("results", c.result or "none")),
            Cell(w.cell("amount", c.confirmed_amount), c.confirmed_amount),
        )
        for c in own.decided
    ]
    heads = {"case": False, "violation": False, "opened": False, "decided_on": False, "result": False, "amount": True}
    return Section("cases", w.say("tables.cases"), (table(w, "cases", heads, rows),))
