"""The monthly self-audit: what the month's claims showed, what was decided, and what is to be put right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from fraud.explaining.content.document import Cell, Document, Item, Listing, Section, Text, Tile
from fraud.review.periodic.figures import key_figures, precision_of
from fraud.review.periodic.money import ahead_section, money_section, recovered_of
from fraud.review.periodic.reading import CaseFigures, Judged, Record
from fraud.review.periodic.setting import Paper, PaperWording, document, figures_section, table, violation_name
from fraud.signals.catalogue import Catalogue

__all__ = ["cases_section", "confirmed_section", "monthly_paper", "providers_section", "rules_section", "tiles_of"]


def monthly_paper(record: Record, catalogue: Catalogue, locale: str, made_at: datetime) -> Document:
    """The self-audit of a month in one language."""
    w = PaperWording(locale, record.currency)
    return document(
        Paper("monthly", record, made_at),
        w,
        summary_of(record, w),
        tiles_of(record, w),
        rules_section(record, catalogue, w),
        confirmed_section(record, w),
        money_section(record, w),
        providers_section(record, w),
        cases_section(record, w),
        ahead_section(record, w),
        _to_put_right(record, catalogue, w),
        figures_section(key_figures(record), w),
    )


def summary_of(record: Record, w: PaperWording) -> str:
    """The period in two sentences."""
    flagged = [j for j in record.judged if j.flagged]
    confirmed = [c for c in record.decided if c.confirmed]
    first = w.say(
        "paper.summary",
        judged=w.number(len(record.judged)),
        flagged=w.number(len(flagged)),
        held=w.number(sum(j.action == "hold" for j in record.judged)),
        amount=w.money(sum(j.at_stake for j in flagged)),
    )
    second = w.say(
        "paper.summary_cases",
        opened=w.number(len(record.opened)),
        decided=w.number(len(record.decided)),
        confirmed=w.number(len(confirmed)),
        amount=w.money(_confirmed_money(confirmed)),
    )
    return str(w.texts["sentence_gap"]).join((first, second))


def tiles_of(record: Record, w: PaperWording) -> list[Tile]:
    """The headline figures."""
    confirmed = [c for c in record.decided if c.confirmed]
    return [
        Tile(w.number(len(record.judged)), w.say("paper.tile_judged")),
        Tile(w.about(sum(j.at_stake for j in record.judged if j.flagged)), w.say("paper.tile_flagged")),
        Tile(w.about(_confirmed_money(confirmed)), w.say("paper.tile_confirmed")),
        Tile(w.about(recovered_of(record)), w.say("paper.tile_recovered")),
        Tile(w.number(len(record.pending)), w.say("paper.tile_pending")),
    ]


def _confirmed_money(confirmed: Iterable[CaseFigures]) -> float:
    return sum(c.confirmed_amount or 0.0 for c in confirmed)


# --- sections ---------------------------------------------------------------------------------------------


def rules_section(record: Record, catalogue: Catalogue, w: PaperWording) -> Section:
    """Rules that hit, the most frequent first."""
    hits = [h for j in record.judged for h in j.hits]
    counts, amounts = Counter(h.rule for h in hits), defaultdict[str, float](float)
    for hit in hits:
        amounts[hit.rule] += hit.amount
    last = {h.rule: h for h in hits}
    rows = [
        (
            Cell(_title(rule, catalogue, w)),
            Cell(rule),
            Cell(violation_name(last[rule].violation, w)),
            Cell(w.label("kinds", last[rule].kind)),
            Cell(w.number(count), count),
            Cell(w.cell("amount", amounts[rule]), amounts[rule]),
        )
        for rule, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    heads = {"title": False, "rule": False, "violation": False, "kind": False, "claims": True, "amount": True}
    return Section("rules", w.say("tables.rules"), (Text(w.say("paper.rules_lead")), table(w, "rules", heads, rows)))


def _title(rule: str, catalogue: Catalogue, w: PaperWording) -> str:
    signal = catalogue.signals.get(rule)
    return w.pick(signal.title) if signal is not None else rule


def confirmed_section(record: Record, w: PaperWording) -> Section:
    """What became of cases, by type of violation, with the share that was right."""
    by_type: dict[str | None, list[CaseFigures]] = defaultdict(list)
    for case in record.decided:
        by_type[case.violation].append(case)
    rows = [
        (
            Cell(violation_name(violation, w)),
            Cell(w.number(len(found)), len(found)),
            Cell(w.number(sum(c.confirmed for c in found)), sum(c.confirmed for c in found)),
            w.share_between(precision_of(found)),
            Cell(w.cell("amount", _confirmed_money(c for c in found if c.confirmed)), _confirmed_money(found)),
        )
        for violation, found in sorted(by_type.items(), key=lambda item: (-len(item[1]), item[0] or ""))
    ]
    heads = {"violation": False, "decided": True, "confirmed": True, "precision": True, "amount": True}
    lead = Text(w.say("paper.decided_lead"))
    return Section("decided", w.say("tables.decided"), (lead, table(w, "decided", heads, rows)))


def providers_section(record: Record, w: PaperWording) -> Section:
    """Providers by the money that findings point at."""
    by_provider: dict[str, list[Judged]] = defaultdict(list)
    for one in record.judged:
        by_provider[one.provider_id].append(one)
    confirmed = Counter(c.provider_id for c in record.decided if c.confirmed)
    stakes = {p: sum(j.at_stake for j in own if j.flagged) for p, own in by_provider.items()}
    order = sorted((p for p in stakes if any(j.flagged for j in by_provider[p])), key=lambda p: (-stakes[p], p))
    rows = [
        (
            Cell(p),
            Cell(record.names.get(p, "")),
            Cell(w.number(len(by_provider[p])), len(by_provider[p])),
            Cell(w.number(sum(j.flagged for j in by_provider[p])), sum(j.flagged for j in by_provider[p])),
            Cell(w.cell("amount", stakes[p]), stakes[p]),
            Cell(w.number(confirmed[p]), confirmed[p]),
        )
        for p in order
    ]
    heads = {"provider": False, "name": False, "claims": True, "flagged": True, "amount": True, "confirmed": True}
    lead = Text(w.say("paper.providers_lead"))
    return Section("providers", w.say("tables.providers"), (lead, table(w, "providers", heads, rows)))


def cases_section(record: Record, w: PaperWording) -> Section:
    """Cases that were open at the end, by state and priority."""
    counts = Counter((_state(c), c.priority) for c in record.pending)
    late = Counter((_state(c), c.priority) for c in record.pending if _is_late(c, record))
    rows = [
        (
            Cell(w.label("states", state)),
            Cell(w.label("priorities", priority)),
            Cell(w.number(count), count),
            Cell(w.number(late[state, priority]), late[state, priority]),
        )
        for (state, priority), count in sorted(counts.items())
    ]
    heads = {"state": False, "priority": False, "cases": True, "overdue": True}
    return Section("pending", w.say("tables.pending"), (table(w, "pending", heads, rows),))


def _state(case: CaseFigures) -> str:
    """The state as it is now; of a case that was decided after the period only that."""
    return case.state if case.decided_at is None else "later"


def _is_late(case: CaseFigures, record: Record) -> bool:
    return case.due_at is not None and case.due_at < record.period.end


def _to_put_right(record: Record, catalogue: Catalogue, w: PaperWording) -> Section:
    items = tuple(_faults(record, catalogue, w))
    blocks = (Listing(items, boxes=True),) if items else (Text(w.say("audit.nothing")),)
    return Section("audit", w.say("audit.heading"), (Text(w.say("audit.lead")), *blocks))


def _faults(record: Record, catalogue: Catalogue, w: PaperWording) -> Iterator[Item]:
    """What the month's record says against our own work."""
    unsure = Counter(rule for j in record.judged for rule in j.unsure)
    for rule, count in unsure.most_common(10):
        yield Item(_title(rule, catalogue, w), w.say("audit.unsure", count=w.number(count)))
    degraded = Counter(part for j in record.judged for part in j.degraded)
    for part, count in degraded.most_common(5):
        yield Item(w.label("parts", part), w.say("audit.degraded", count=w.number(count)))
    overdue = sum(_is_late(c, record) for c in record.pending)
    if overdue:
        yield Item(w.say("audit.overdue"), w.say("audit.overdue_text", count=w.number(overdue)))
    alone = sum(c.confirmed and (c.signer is None or c.signer == c.proposer) for c in record.decided)
    if alone:
        yield Item(w.say("audit.alone"), w.say("audit.alone_text", count=w.number(alone)))
    if not record.intact:
        yield Item(w.say("audit.ledger"), w.say("audit.ledger_text"))
