"""What was found: rules whose dated limit was passed, apart from anything that a model says."""

from __future__ import annotations

from collections.abc import Iterator

from fraud.explaining.content.citing import citations_of
from fraud.explaining.content.document import (
    Cell,
    Column,
    Finding,
    Grid,
    Item,
    Listing,
    Note,
    Pair,
    Pill,
    Row,
    Section,
    Text,
)
from fraud.explaining.explanation import Explanation
from fraud.explaining.wording import Wording
from fraud.signals import rules

__all__ = ["findings_section", "in_brief"]

# Columns of the sheet of findings, with the text that heads them; figures are set as figures.
_COLUMNS = (
    ("rule", "rule", False),
    ("title", "title", False),
    ("kind", "kind", False),
    ("severity", "severity", False),
    ("sentence", "sentence", False),
    ("value", "value", True),
    ("limit", "limit", True),
    ("unit", "unit", False),
    ("amount", "amount", True),
    ("lines", "lines", False),
    ("law", "law", False),
    ("excuse", "excuse", False),
)


def findings_section(explanation: Explanation, w: Wording) -> Section:
    """One card for each rule that hit, and how many could not be evaluated."""
    hits = explanation.hits
    lead = w.say("findings.lead" if hits else "findings.none")
    said = w.texts["sentence_gap"].join(part for part in (lead, _unsure(explanation, w)) if part)
    cards = [_card(f, explanation, w) for f in hits]
    return Section(
        "findings", w.say("headings.findings"), (Text(said), *cards, *([_sheet(explanation, w)] if hits else []))
    )


def in_brief(explanation: Explanation, w: Wording) -> Iterator[Listing]:
    """What was found, a line for each rule."""
    items = tuple(Item(w.pick(f.signal.title), _brief(f, explanation, w)) for f in explanation.hits)
    if items:
        yield Listing(items, w.say("headings.findings"))


def _brief(finding: rules.Finding, explanation: Explanation, w: Wording) -> str:
    """The sentence, with the money."""
    if finding.amount is None:
        return w.pick(finding.sentences)
    amount = w.say("findings.brief", amount=w.money(finding.amount, exact=True))
    return str(w.texts["sentence_gap"]).join((w.pick(finding.sentences), amount))


def _unsure(explanation: Explanation, w: Wording) -> str:
    count = len(explanation.findings) - len(explanation.hits)
    return w.say("findings.unsure" if count > 1 else "findings.unsure_one", count=count) if count else ""


def _card(finding: rules.Finding, explanation: Explanation, w: Wording) -> Finding:
    signal = finding.signal
    return Finding(
        title=w.pick(signal.title),
        pills=(Pill(w.label("kinds", signal.kind), signal.kind), Pill(w.label("severities", signal.severity))),
        said=w.pick(finding.sentences),
        pairs=tuple(_pairs(finding, explanation, w)),
        notes=tuple(_notes(finding, explanation, w)),
        rule=signal.id,
        version=w.say("findings.version", version=signal.version),
    )


def _pairs(finding: rules.Finding, explanation: Explanation, w: Wording) -> Iterator[Pair]:
    unit = _limit_unit(finding, explanation)
    yield Pair(w.say("findings.value"), w.quantity(finding.value, finding.signal.unit))
    yield Pair(w.say("findings.limit"), w.quantity(finding.limit, unit))
    if finding.lines:
        yield Pair(w.say("findings.lines"), _lines(finding))
    if finding.amount is not None:
        yield Pair(w.say("findings.amount"), w.money(finding.amount, exact=True))


def _limit_unit(finding: rules.Finding, explanation: Explanation) -> str:
    limit = explanation.references.limits.get(finding.signal.limit or "")
    return limit.unit if limit else finding.signal.unit


def _lines(finding: rules.Finding) -> str:
    return ", ".join(str(n) for n in finding.lines)


def _notes(finding: rules.Finding, explanation: Explanation, w: Wording) -> Iterator[Note]:
    law = tuple(c.dated for c in citations_of(finding.signal.cites, explanation, w))
    if law:
        yield Note(w.say("findings.law"), law)
    if source := _limit_source(finding, explanation, w):
        yield Note(w.say("findings.limit_source"), (source,))
    if excuse := w.pick(finding.signal.excuses):
        yield Note(w.say("findings.excuse"), (excuse,))


def _limit_source(finding: rules.Finding, explanation: Explanation, w: Wording) -> str:
    """Where the limit comes from, how strong that source is, and when somebody last looked it up."""
    limit = explanation.references.limits.get(finding.signal.limit or "")
    if limit is None:
        return ""
    (cited,) = citations_of([finding.source or limit.source], explanation, w)
    checked = w.say("findings.checked", date=w.date(limit.checked_on))
    return " · ".join((cited.title, w.label("tags", finding.tag or limit.tag), checked))


def _sheet(explanation: Explanation, w: Wording) -> Grid:
    """The findings as a table, for a workbook alone."""
    columns = tuple(Column(name, w.say(f"findings.{head}"), figure) for name, head, figure in _COLUMNS)
    rows = tuple(_sheet_row(f, explanation, w) for f in explanation.hits)
    return Grid(columns, rows, sheet=w.say("headings.findings"), shown=0)


def _sheet_row(finding: rules.Finding, explanation: Explanation, w: Wording) -> Row:
    signal = finding.signal
    law = (c.dated for c in citations_of(signal.cites, explanation, w))
    return Row(
        (
            Cell(f"{signal.id} v{signal.version}"),
            Cell(w.pick(signal.title)),
            Cell(w.label("kinds", signal.kind)),
            Cell(w.label("severities", signal.severity)),
            Cell(w.pick(finding.sentences)),
            Cell(w.quantity(finding.value, signal.unit), finding.value),
            Cell(w.quantity(finding.limit, _limit_unit(finding, explanation)), finding.limit),
            Cell(w.unit(signal.unit)),
            Cell(w.money(finding.amount, exact=True), finding.amount),
            Cell(_lines(finding)),
            Cell("; ".join(law)),
            Cell(w.pick(signal.excuses)),
        )
    )
