"""Why a model is trained again or not, a line for each ground of the recipe."""

from __future__ import annotations

from fraud.learning.monitoring.retraining import Ground, Verdict
from fraud.learning.reports.documents import Words
from fraud.learning.reports.numbers import count, share

__all__ = ["made_text", "verdict_text"]

_FLAGS = ("hits", "scores")
_SHARES = ("drifted_weight", "new_labels_share")
# Grounds that are met by staying below their number; the others by reaching it.
_MOST = ("missing_features",)


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


def made_text(name: str, version: int, alias: str, locale: str = "en") -> str:
    """Which version came of it, and what to do with it."""
    words = Words(locale)
    return words.say("retraining.made", model=name, version=version, alias=words.label("aliases", alias))


def _line(ground: Ground, words: Words) -> str:
    form = "flag" if ground.name in _FLAGS else "most" if ground.name in _MOST else "least"
    return words.say(
        f"retraining.{form}",
        name=words.label("retraining_grounds", ground.name),
        measured=_figure(ground, ground.measured, words),
        limit=_figure(ground, ground.threshold.value, words),
        why=ground.threshold.why(words.locale),
    )


def _figure(ground: Ground, value: float | None, words: Words) -> str:
    if value is None:
        return words.say("retraining.unknown")
    if ground.name in _FLAGS:
        no, yes = words.say("retraining.yes_no").split("|")
        return yes if value >= 1 else no
    return share(value) if ground.name in _SHARES else count(value)
