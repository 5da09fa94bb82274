"""Money in papers: what was flagged, confirmed and paid back, each apart, and what undecided cases may still bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from fraud.explaining.content.document import Cell, Column, Grid, Item, Listing, Pair, Pairs, Row, Section, Text
from fraud.review.outlook import Cell as Field
from fraud.review.outlook import Matrix, Outlook, Stakes, outlook_of, risk_matrix, together_by_provider
from fraud.review.periodic.reading import CaseFigures, Record
from fraud.review.periodic.setting import PaperWording

__all__ = ["ahead_section", "days_to_money", "money_section", "recovered_of"]


def recovered_of(record: Record) -> float:
    """Money that came back in the period, whenever it was confirmed; what was taken off again is taken off."""
    return sum(p.amount for p in record.paid)


def days_to_money(record: Record) -> float | None:
    """Median of the days from the second signature to the first payment, of the cases first paid in the period."""
    waited = [d for p in record.paid if p.first and (d := p.days_waited) is not None]
    return median(waited) if waited else None


def money_section(record: Record, w: PaperWording) -> Section:
    """The four kinds of money, none of which may be added to another."""
    confirmed = sum(c.confirmed_amount or 0.0 for c in record.decided if c.confirmed)
    expected = sum(c.expected_recovery or 0.0 for c in record.pending)
    pairs = (
        Pair(w.say("money.flagged"), w.money(sum(j.at_stake for j in record.judged if j.flagged))),
        Pair(w.say("money.confirmed"), w.money(confirmed)),
        Pair(w.say("money.recovered"), w.money(recovered_of(record))),
        Pair(w.say("money.days"), w.figure(days_to_money(record), "paper.days_value")),
        Pair(w.say("money.projected"), w.money(expected)),
    )
    return Section("money", w.say("money.heading"), (Text(w.say("money.lead")), Pairs(pairs, stacked=True)))


# --- what lies ahead --------------------------------------------------------------------------------------


def ahead_section(record: Record, w: PaperWording) -> Section:
    """Undecided cases by probability and money, and the range of what all of them may bring."""
    heading = w.say("outlook.heading")
    if not record.pending:
        return Section("outlook", heading, (Text(w.say("paper.nothing")),))
    cases = record.pending
    stakes = Stakes.of(
        [c.probability for c in cases],
        [c.amount for c in cases],
        [c.expected_recovery for c in cases],
        [c.provider_id for c in cases],
    )
    together = together_by_provider(
        (c.probability, c.confirmed, c.provider_id) for c in record.decided if c.confirmed or c.unfounded
    )
    # The same period has the same draws: a paper that is made again says the same.
    found = outlook_of(stakes, together, int(f"{record.period.start:%Y%m%d}"))
    return Section(
        "outlook", heading, (Text(w.say("outlook.lead")), _matrix(risk_matrix(stakes), w), *_range(found, cases, w))
    )


def _matrix(found: Matrix, w: PaperWording) -> Grid:
    amounts = [_between(f.amount_from, f.amount_to, w.about, w) for f in found.rows[0]]
    columns = (
        Column("probability", w.say("outlook.probability")),
        *(Column(f"amount_{n}", text, figure=True) for n, text in enumerate(amounts, 1)),
    )
    rows = tuple(
        Row((Cell(_probability(fields[0], w)), *(Cell(_field(f, w), f.cases, "") for f in fields)))
        for fields in found.rows
    )
    return Grid(columns, rows, sheet=w.say("outlook.matrix"), title=w.say("outlook.matrix"))


def _field(field: Field, w: PaperWording) -> str:
    if not field.cases:
        return "–"
    return w.say("outlook.field", cases=w.number(field.cases), money=w.about(field.amount))


def _probability(field: Field, w: PaperWording) -> str:
    if not field.known:
        return w.say("outlook.unknown")
    return _between(field.probability_from, field.probability_to, "{:.0%}".format, w)


def _between(low: float | None, high: float | None, form: Callable[[float], str], w: PaperWording) -> str:
    if low is None and high is None:
        return w.say("outlook.any")
    if low is None or high is None:
        given = low if low is not None else high
        return w.say("outlook.below" if low is None else "outlook.at_least", value=form(given or 0.0))
    return w.say("outlook.between", low=form(low), high=form(high))


def _range(found: Outlook, cases: Sequence[CaseFigures], w: PaperWording) -> tuple[Text | Listing, ...]:
    if not found.cases:
        return (Text(w.say("outlook.rules_alone", cases=w.number(len(cases)), money=w.money(found.left_out_amount))),)
    said = w.say(
        "outlook.range",
        cases=w.number(found.cases),
        expected=w.money(found.expected),
        low=w.money(found.low),
        high=w.money(found.high),
    )
    return Text(said, quiet=False), Listing(
        tuple(Item("", text) for text in _assumed(found, w)), w.say("outlook.assumed")
    )


def _assumed(found: Outlook, w: PaperWording) -> list[str]:
    measured = {
        "share": w.share(found.together.share),
        "pairs": w.number(found.together.pairs),
        "providers": w.number(found.together.providers),
    }
    said = [
        w.say("outlook.draws", draws=w.number(found.draws)),
        w.say("outlook.as_they_are"),
        w.say("outlook.together" if found.together.known else "outlook.alone", **measured),
        w.say("outlook.amounts"),
    ]
    if found.left_out:
        said.append(w.say("outlook.left_out", cases=w.number(found.left_out), money=w.money(found.left_out_amount)))
    return said
