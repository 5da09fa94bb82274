"""How papers are set: their words, tables out of rows, and the parts that all of them share."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from fraud import __version__
from fraud.claims.violations import violation_names
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
from fraud.explaining.wording import NOT_KNOWN, Wording
from fraud.review.periodic.figures import KeyFigures, Share
from fraud.review.periodic.reading import Record

__all__ = ["Paper", "PaperWording", "document", "figures_section", "origin_section", "table", "violation_name"]

_WORDS = ("skip", "summary_sheet", "page_of", "appendix")


class PaperWording(Wording):
    """The words of reports and those of papers in one language; raises `InputError` for another one."""

    def __init__(self, locale: str, currency: str | None = None) -> None:
        super().__init__(locale, currency)
        self.texts: Mapping[str, Any] = {**self.texts, **_texts(self.locale)}

    def share_between(self, share: Share) -> Cell:
        """A share with its interval: `62.5% (30.6% to 86.3%, 5 of 8)`."""
        if share.value is None or share.low is None or share.high is None:
            return Cell(NOT_KNOWN)
        places = {"share": self.share(share.value), "low": self.share(share.low), "high": self.share(share.high)}
        text = self.say("paper.share", hits=self.number(share.hits), n=self.number(share.n), **places)
        return Cell(text, share.value)

    def figure(self, value: float | None, form: str) -> str:
        """A figure in the form of a text that has a place for it, or a dash."""
        return NOT_KNOWN if value is None else self.say(form, value=f"{value:,.1f}")


@lru_cache(maxsize=2)
def _texts(locale: str) -> Mapping[str, Any]:
    return tomllib.loads((Path(__file__).parent / f"papers.{locale}.toml").read_text("utf-8"))


@dataclass(frozen=True)
class Paper:
    """Which paper it is, of what, and when it was drawn up."""

    kind: str
    record: Record
    made_at: datetime
    subject: str = ""


def document(paper: Paper, w: PaperWording, summary: str, tiles: Sequence[Tile], *sections: Section) -> Document:
    """The paper as a document; every paper ends with where it comes from."""
    period = paper.record.period
    name = w.say(f"{paper.kind}.name", period=period.name, subject=paper.subject)
    return Document(
        lang=w.lang,
        kicker=w.say("paper.kicker"),
        title=name,
        name=name,
        as_of=w.say("paper.days", first=w.date(period.start), last=w.date(_last_day(paper.record))),
        summary=summary,
        made_at=paper.made_at.replace(microsecond=0),
        tiles=tuple(tiles),
        callout=Callout(w.say("paper.note_title"), w.say("paper.note")),
        sections=(*sections, origin_section(paper, w)),
        currency=w.currency,
        words={key: str(w.texts["page"][key]) for key in _WORDS},
    )


def _last_day(record: Record) -> datetime:
    return record.period.end - timedelta(days=1)


def origin_section(paper: Paper, w: PaperWording) -> Section:
    """What the figures were counted from, and how to count them again."""
    record = paper.record
    command = w.say(f"{paper.kind}.command", period=_asked(paper), subject=paper.subject)
    pairs = (
        Pair(w.say("paper.decisions"), w.number(len(record.judged))),
        Pair(w.say("paper.cases"), w.number(len({c.case_id for c in (*record.opened, *record.decided)}))),
        Pair(w.say("paper.models"), ", ".join(sorted({j.model for j in record.judged if j.model})) or NOT_KNOWN),
        Pair(w.say("provenance.generated_at"), w.moment(paper.made_at.replace(second=0, microsecond=0))),
        Pair(w.say("provenance.program"), __version__),
        Pair(
            w.say("provenance.command"),
            command,
            True,
        ),
    )
    return Section("origin", w.say("headings.provenance"), (Text(w.say("paper.method")), Pairs(pairs, stacked=True)))


def _asked(paper: Paper) -> str:
    """The period as a command takes it."""
    return paper.record.period.name.rpartition(" ")[2]


def figures_section(figures: KeyFigures, w: PaperWording) -> Section:
    """The key figures, each with what it is counted of."""
    rows = (
        ("precision", w.share_between(figures.precision).text),
        ("days_to_decision", w.figure(figures.days_to_decision, "paper.days_value")),
        ("acted_in_time", w.share_between(figures.acted_in_time).text),
        ("errors", w.share_between(figures.errors).text),
        ("speed", w.figure(figures.milliseconds, "paper.ms_value")),
        ("slowest", w.figure(figures.slowest_hundredth, "paper.ms_value")),
        ("satisfaction", w.figure(figures.satisfaction, "paper.of_five")),
        ("rating", w.figure(figures.rating, "paper.of_five")),
        ("appealed", w.share_between(figures.appealed).text),
    )
    pairs = tuple(Pair(w.say(f"key_figures.{name}"), text) for name, text in rows)
    return Section(
        "figures", w.say("key_figures.heading"), (Text(w.say("key_figures.lead")), Pairs(pairs, stacked=True))
    )


def table(
    w: PaperWording, name: str, heads: Mapping[str, bool], rows: Sequence[Sequence[Cell]], shown: int = 20
) -> Grid | Text:
    """A table whose heads are texts of the section `columns_of`; a sentence where there are no rows."""
    if not rows:
        return Text(w.say("paper.nothing"))
    columns = tuple(Column(head, w.say(f"heads.{head}"), figure) for head, figure in heads.items())
    more = w.say("evidence.more", count=len(rows) - shown) if len(rows) > shown else ""
    sheet = w.say(f"tables.{name}")
    return Grid(columns, tuple(Row(tuple(r)) for r in rows), sheet=sheet, shown=shown, more=more)


def violation_name(violation: str | None, w: PaperWording) -> str:
    """The type of violation by code and name."""
    if violation is None:
        return w.say("paper.no_violation")
    named = violation_names().get(violation)
    return f"{violation} {w.pick(named)}" if named else violation
