"""What a page says in two or three sentences: what stands out, which way, and how rare it is."""

from __future__ import annotations

from fraud.explaining.explanation import Explanation
from fraud.explaining.reasons import Reason
from fraud.explaining.wording import Wording, rarity

__all__ = ["summary_of", "title_of"]

MOST = 3


def summary_of(explanation: Explanation, wording: Wording) -> str:
    """A summary without a verdict."""
    sentences = (part(explanation, wording) for part in (_standing, _stands_out, _findings))
    return str(wording.texts["sentence_gap"]).join(s for s in sentences if s)


def _standing(explanation: Explanation, wording: Wording) -> str:
    if explanation.margin is None and explanation.probability is None:
        return wording.say("summary.no_model")
    if explanation.percentile is None and explanation.probability is not None:
        return wording.say("summary.probability", probability=wording.share(explanation.probability))
    places = {
        "entity": wording.label("entities", explanation.entity),
        "entities": wording.label("entities_plural", explanation.entity),
        "percentile": wording.percent(explanation.percentile or 0.0),
    }
    if explanation.unlabelled:
        return wording.say("summary.standing_unlabelled", **places)
    if explanation.expected_recovery is None:
        return wording.say("summary.standing", **places)
    recovery = wording.about(explanation.expected_recovery)
    return wording.say("summary.standing_money", recovery=recovery, **places)


def _stands_out(explanation: Explanation, wording: Wording) -> str:
    if explanation.margin is None and explanation.probability is None:
        return ""
    items = [_item(r, explanation.entity, wording) for r in explanation.top(MOST)]
    if not items:
        return wording.say("summary.nothing")
    return wording.say("summary.stands_out", items=str(wording.texts["list_gap"]).join(items))


def title_of(reason: Reason, entity: str, wording: Wording) -> str:
    """The reason's title; one about somebody other than the entity explained says about whom."""
    title = wording.pick(reason.titles)
    if reason.entity == entity:
        return title
    about = wording.label("entities", reason.entity)
    return wording.say("reasons.of", entity=about[:1].upper() + about[1:], title=title)


def _item(reason: Reason, entity: str, wording: Wording) -> str:
    title = title_of(reason, entity, wording)
    if reason.value is None:
        return wording.say("summary.missing", title=title)
    value = wording.quantity(reason.value, reason.unit)
    stands = rarity(reason.value, reason.peer_median, reason.peer_percentile)
    if stands is None:
        return wording.say("summary.alone", title=title, value=value)
    way, rare = stands
    form = "summary.peers" if rare < 100 else "summary.all_peers"
    peers = wording.say(form, percentile=wording.percent(rare))
    median = wording.quantity(reason.peer_median, reason.unit)
    return wording.say(f"summary.{way}", title=title, value=value, peers=peers, median=median)


def _findings(explanation: Explanation, wording: Wording) -> str:
    count = len(explanation.hits)
    unsure = len(explanation.findings) - count
    if not count and unsure:
        return wording.say("summary.no_findings_unsure", count=unsure)
    if count > 1:
        return wording.say("summary.findings", count=count)
    return wording.say("summary.one_finding" if count else "summary.no_findings")
