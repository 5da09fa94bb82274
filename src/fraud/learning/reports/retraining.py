"""Why a model is trained again or not, a line for each ground of the recipe."""

from __future__ import annotations

from fraud.learning.monitoring.retraining import Ground, Verdict
from fraud.learning.reports.documents import Words

__all__ = ["verdict_text"]


def verdict_text(verdict: Verdict, locale: str = "en") -> str:
    """The verdict and what it rests on, in one language."""
    words = Words(locale)
    said, unmet = [r for r in verdict.reasons if r.holds], [n for n in verdict.needs if not n.holds]
    head = words.say(f"retraining.{'yes' if verdict.train else 'no'}", model=verdict.name, version=verdict.version)
    if verdict.waiting is not None:
        return head + words.say("retraining.waiting", challenger=verdict.waiting, model=verdict.name)
    if not said:
        return "\n".join([head + words.say("retraining.no_reason"), *(_line(r, words) for r in verdict.reasons)])
    grounds = said if verdict.train else [*unmet, *said]
    after = words.say(f"retraining.{'end' if verdict.train else 'unmet'}")
    return "\n".join([head + after, *(_line(g, words) for g in grounds)])


def _line(ground: Ground, words: Words) -> str:
    measured = words.say("retraining.unknown") if ground.measured is None else f"{ground.measured:.4g}"
    why = ground.threshold.why(words.locale)
    limit = f"{ground.threshold.value:g}"
    return words.say("retraining.ground", name=ground.name, measured=measured, limit=limit, why=why)
