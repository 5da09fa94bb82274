"""What to do next: what the findings allow, what they do not, and whom to hear first."""

from __future__ import annotations

from collections.abc import Iterator

from fraud.explaining.content.document import Audience, Item, Listing, Section, Text
from fraud.explaining.explanation import Explanation
from fraud.explaining.wording import Wording

__all__ = ["advice_section"]


def advice_section(explanation: Explanation, w: Wording, audience: Audience) -> Section:
    """Advice on how to handle what was found: proposals to people, never a decision."""
    steps = tuple(_for_provider(explanation, w) if audience == "provider" else _internal(explanation, w))
    lead = "advice.lead_provider" if audience == "provider" else "advice.lead"
    return Section("advice", w.say("headings.advice"), (Text(w.say(lead)), Listing(steps, boxes=True)))


def _internal(explanation: Explanation, w: Wording) -> Iterator[Item]:
    holding = [f for f in explanation.hits if f.holds]
    suspicious = [f for f in explanation.hits if not f.holds]
    if holding:
        amounts = [f.amount for f in holding if f.amount is not None]
        # Several rules may speak of the same lines: the largest amount is what is certainly concerned.
        amount = w.money(max(amounts), exact=True) if amounts else ""
        yield Item(w.say("advice.hold"), w.say("advice.hold_amount" if amount else "advice.hold_text", amount=amount))
    if suspicious:
        yield Item(w.say("advice.hear"), w.say("advice.hear_text", count=len(suspicious)))
    if not explanation.hits:
        yield Item(w.say("advice.look"), w.say("advice.look_text"))
    yield Item(w.say("advice.check"), w.say("advice.check_text"))
    yield Item(w.say("advice.record"), w.say("advice.record_text"))


def _for_provider(explanation: Explanation, w: Wording) -> Iterator[Item]:
    yield Item(w.say("advice.reply"), w.say("advice.reply_text"))
    if explanation.references.records:
        yield Item(w.say("advice.papers"), w.say("advice.papers_text"))
    yield Item(w.say("advice.appeal"), w.say("advice.appeal_text"))
