"""The document of an explanation: the one definition of what a report says, in every format and for every reader."""

from __future__ import annotations

from fraud.explaining.content.advice import advice_section
from fraud.explaining.content.course import course_section
from fraud.explaining.content.document import Audience, Callout, Document, Pair, Pill, Section, Tile
from fraud.explaining.content.doubts import checks_in_brief, checks_section, unknown_section
from fraud.explaining.content.evidence import evidence_section
from fraud.explaining.content.findings import findings_section, in_brief
from fraud.explaining.content.origin import origin_section
from fraud.explaining.content.reasons import leading_in_brief, peers_section, reasons_section
from fraud.explaining.explanation import Explanation
from fraud.explaining.summary import summary_of
from fraud.explaining.wording import Wording

__all__ = ["document_of"]

_WORDS = ("skip", "summary_sheet", "page_of", "appendix")


def document_of(explanation: Explanation, locale: str, audience: Audience = "internal") -> Document:
    """What the report of an explanation says in one language; raises `InputError` for a language that is not there.

    The explanation of a `provider`'s version is to come from `fraud.explaining.audience.for_provider`.
    """
    w = Wording(locale, explanation.currency)
    entity = w.label("entities", explanation.entity)
    return Document(
        lang=w.lang,
        kicker=w.say("page.kicker" if audience == "internal" else "page.kicker_provider"),
        title=w.say("page.title", entity=entity, id=explanation.entity_id),
        name=f"{entity[:1].upper()}{entity[1:]} {explanation.entity_id}",
        as_of=w.say("page.as_of", date=w.moment(explanation.as_of)),
        summary=summary_of(explanation, w),
        made_at=explanation.provenance.generated_at,
        pills=_pills(explanation, w),
        tiles=_tiles(explanation, w),
        callout=_callout(w, audience),
        facts=tuple(Pair(w.label("facts", f.label), w.fact(f.label, f.value)) for f in explanation.facts),
        brief=(
            *in_brief(explanation, w),
            *leading_in_brief(explanation, w),
            *checks_in_brief(explanation, w),
        ),
        sections=_sections(explanation, w, audience),
        audience=audience,
        currency=explanation.currency,
        words={key: str(w.texts["page"][key]) for key in _WORDS},
    )


def _sections(explanation: Explanation, w: Wording, audience: Audience) -> tuple[Section, ...]:
    return (
        findings_section(explanation, w),
        reasons_section(explanation, w),
        peers_section(explanation, w),
        course_section(explanation, w, audience),
        evidence_section(explanation, w, audience),
        checks_section(explanation, w),
        unknown_section(explanation, w),
        advice_section(explanation, w, audience),
        origin_section(explanation, w),
    )


def _pills(explanation: Explanation, w: Wording) -> tuple[Pill, ...]:
    """Urgency and action."""
    given = (("bands", explanation.band), ("actions", explanation.action))
    return tuple(Pill(w.label(section, key), key) for section, key in given if key)


def _tiles(explanation: Explanation, w: Wording) -> tuple[Tile, ...]:
    """The headline figures with their labels."""
    entities = w.label("entities_plural", explanation.entity)
    found = []
    if explanation.percentile is not None:
        found.append(Tile(w.percent(explanation.percentile), w.say("figures.percentile", entities=entities)))
    if explanation.probability is not None:
        found.append(Tile(w.share(explanation.probability), _probability_label(explanation, w)))
    if explanation.expected_recovery is not None:
        found.append(Tile(w.about(explanation.expected_recovery), w.say("figures.recovery")))
    return (*found, Tile(str(len(explanation.hits)), w.say("figures.findings")))


def _probability_label(explanation: Explanation, w: Wording) -> str:
    """What the probability is, with its bounds where they are known."""
    low, high = explanation.probability_low, explanation.probability_high
    if low is None or high is None:
        return w.say("figures.probability")
    return w.say("figures.probability_between", low=w.share(low), high=w.share(high))


def _callout(w: Wording, audience: Audience) -> Callout:
    said = w.say("proof.text")
    if audience == "provider":
        said = w.texts["sentence_gap"].join((said, w.say("proof.provider")))
    return Callout(w.say("proof.title"), said)
