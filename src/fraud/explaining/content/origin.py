"""Method and origin: how the figures came about, from which versions, who looked, and how to make them again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fraud.explaining.content.citing import citations_of
from fraud.explaining.content.document import Item, Listing, Pair, Pairs, Section, Text
from fraud.explaining.explanation import Explanation, Look
from fraud.explaining.wording import Wording

__all__ = ["origin_section"]


def origin_section(explanation: Explanation, w: Wording) -> Section:
    """How the report was made, with everything that identifies it, and the sources cited."""
    sources = tuple(
        Item(c.title, c.days, url=c.url) for c in citations_of(explanation.references.sources, explanation, w)
    )
    cited = [Listing(sources, w.say("provenance.sources"))] if sources else []
    method = Text(w.say("provenance.method" if explanation.margin is not None else "provenance.method_rules"))
    pairs = Pairs(tuple(_pairs(explanation, w)), stacked=True)
    return Section("provenance", w.say("headings.provenance"), (method, pairs, *cited))


def _pairs(explanation: Explanation, w: Wording) -> Iterator[Pair]:
    p = explanation.provenance
    rows = (
        ("run", p.run_id, True),
        ("decided_at", w.moment(p.decided_at) if p.decided_at else "", False),
        ("model", _model(explanation, w), False),
        ("fitted_on", _day(p.fitted_on, w), False),
        ("data_digest", p.data_digest, True),
        ("catalogue_digest", p.catalogue_digest, True),
        ("generated_at", w.moment(p.generated_at), False),
        ("program", p.program, False),
        ("looks", str(w.texts["list_gap"]).join(_look(look, w) for look in p.looks), False),
        ("command", p.command, True),
    )
    return (Pair(w.say(f"provenance.{key}"), value, code) for key, value, code in rows if value)


def _day(written: str | None, w: Wording) -> str:
    """A day in words; a text that is none as it is."""
    try:
        return w.moment(datetime.fromisoformat(written).replace(second=0, microsecond=0)) if written else ""
    except ValueError:
        return written or ""


def _look(look: Look, w: Wording) -> str:
    role = w.label("roles", look.role)
    return w.say("provenance.look", at=w.moment(look.at), who=look.who, role=role)


def _model(explanation: Explanation, w: Wording) -> str:
    p = explanation.provenance
    if p.model_name is None:
        return w.say("provenance.no_model")
    form = "model_value_alias" if p.model_alias else "model_value"
    return w.say(f"provenance.{form}", name=p.model_name, version=p.model_version, alias=p.model_alias)
