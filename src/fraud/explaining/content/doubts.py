"""What speaks against the figures: innocent explanations with the papers that settle them, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fraud.explaining.content.document import Block, Item, Listing, Section, Text
from fraud.explaining.explanation import Explanation
from fraud.explaining.summary import title_of
from fraud.explaining.wording import NOT_KNOWN, Wording

__all__ = ["checks_in_brief", "checks_section", "unknown_section"]

# Entries of a list beyond which a page folds it away.
LISTED = 6


def checks_section(explanation: Explanation, w: Wording) -> Section:
    """Innocent explanations of findings and top reasons, each said once, with what to ask for."""
    heading = w.say("headings.checks")
    items = tuple(_checks(explanation, w))
    if not items:
        return Section("checks", heading, (Text(w.say("checks.none")),))
    return Section("checks", heading, (Text(w.say("checks.lead")), Listing(items, boxes=True)))


def checks_in_brief(explanation: Explanation, w: Wording) -> Iterator[Listing]:
    """The innocent explanations to check, a line each."""
    items = tuple(replace(item, ask="") for item in _checks(explanation, w))
    if items:
        yield Listing(items, w.say("headings.checks"), boxes=True)


def _checks(explanation: Explanation, w: Wording) -> Iterator[Item]:
    found = [(f.signal.id, w.pick(f.signal.title), w.pick(f.signal.excuses)) for f in explanation.hits]
    found += [(r.signal, title_of(r, explanation.entity, w), w.pick(r.excuses)) for r in explanation.top()]
    once: dict[str, tuple[str, str]] = {}
    for signal_id, title, excuse in found:
        once.setdefault(excuse, (signal_id, title))
    for excuse, (signal_id, title) in once.items():
        if excuse:
            yield Item(title, excuse, _ask(signal_id, explanation, w))


def _ask(signal_id: str, explanation: Explanation, w: Wording) -> str:
    """What to ask for; nothing where nobody knows which paper would tell."""
    papers = [w.label("papers", p) for p in explanation.references.records.get(signal_id, ())]
    return w.say("checks.ask", papers=str(w.texts["list_gap"]).join(papers)) if papers else ""


def unknown_section(explanation: Explanation, w: Wording) -> Section:
    """Blind spots, rules and figures that could not be worked out, and caveats of the explanation as a whole."""
    blocks = tuple(_unknown(explanation, w)) or (Text(w.say("unknown.nothing")),)
    return Section("unknown", w.say("headings.unknown"), blocks)


def _unknown(explanation: Explanation, w: Wording) -> Iterator[Block]:
    yield from (Text(w.say(f"caveats.{c}"), quiet=False) for c in explanation.caveats)
    titles = explanation.references.titles
    # A payer's own signal may have its blind spot in English only.
    blind = tuple(
        Item(w.pick(titles.get(i, {})) or i, _prose(w.pick(t) or t["en"]), lang="" if w.pick(t) else "en")
        for i, t in explanation.blind_spots.items()
    )
    if blind:
        heading = w.say("unknown.blind") + (f" {w.say('unknown.original')}" if any(i.lang for i in blind) else "")
        yield Listing(blind, heading)
    unsure = [f for f in explanation.findings if f.status != "hit"]
    skipped = {i: why for i, why in explanation.skipped.items() if i not in {f.signal.id for f in unsure}}
    rules = tuple(Item(w.pick(f.signal.title), w.because(f.why) if f.why else NOT_KNOWN) for f in unsure)
    others = tuple(Item(w.pick(titles.get(i, {})) or i, w.because(why)) for i, why in skipped.items())
    for kind, items in (("rules", rules), ("skipped", others)):
        if items:
            yield Listing(items, w.say(f"unknown.{kind}", count=len(items)), folded=len(items) > LISTED)


def _prose(text: str) -> str:
    """A docstring's half sentence as a sentence for readers."""
    return text[:1].upper() + text[1:].replace("`", "")
