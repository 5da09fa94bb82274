"""Signals with a limit as rules: passing a dated limit is a finding, a fact apart from any model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import LOCALES, Signal
from fraud.signals.limits import Place
from fraud.signals.sentences import sentence

__all__ = ["Finding", "findings", "passes", "regions_of_claim", "rules_of"]


@dataclass(frozen=True)
class Finding:
    """What a rule says of one claim or entity.

    `status` is `hit` when the limit was passed, `error` or `skipped` when the rule could not be evaluated:
    that is never the same as no hit. `amount` is the money at stake, in the payer's currency; `lines` are
    the line numbers behind the value. Both are filled in by whoever knows the rows. `tag` and `source` are
    those of the value in force on the day in the region.
    """

    signal: Signal
    status: Literal["hit", "error", "skipped"]
    value: float | None
    limit: float | None
    sentences: Mapping[str, str]
    why: str = ""
    amount: float | None = None
    lines: tuple[int, ...] = ()
    tag: str | None = None
    source: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the law lets the payer refuse: only a `violation` that hit may hold a payment."""
        return self.status == "hit" and self.signal.kind == "violation"


def rules_of(catalogue: Catalogue, entity: str) -> list[Signal]:
    """Signals of an entity that are rules."""
    return [s for s in catalogue.of(entity) if s.limit]


def findings(
    catalogue: Catalogue,
    rules: Iterable[Signal],
    values: Mapping[str, float],
    day: date,
    skipped: Mapping[str, str] | None = None,
    regions: Mapping[Place, str | None] | None = None,
) -> list[Finding]:
    """Rules that hit on these values, and those that could not be evaluated, in the order of `rules`.

    `values` maps signal ids to figures (NaN: not known, no hit); `day` is the day of care and `regions` where
    the person is insured and the care was given: they decide the limit in force. A rule whose limit has only
    ever been set for other regions says nothing. `skipped` maps ids to the reason why they have no value.
    """
    found = (_finding(catalogue, rule, values, day, skipped or {}, regions or {}) for rule in rules)
    return [f for f in found if f is not None]


def regions_of_claim(claim: Mapping[str, Any]) -> dict[Place, str | None]:
    """The regions by which a claim is judged, from its canonical columns."""
    return {"insured": claim.get("insured_region"), "care": claim.get("care_region")}


def passes(rule: Signal, value: float, limit: float) -> bool:
    """Whether a value lies beyond the limit, on the side that is riskier; a value that is not known does not."""
    return value < limit if rule.riskier == "low" else value > limit


def _finding(
    catalogue: Catalogue,
    rule: Signal,
    values: Mapping[str, float],
    day: date,
    skipped: Mapping[str, str],
    regions: Mapping[Place, str | None],
) -> Finding | None:
    limit = catalogue.limits[str(rule.limit)]
    region = regions.get(limit.place)
    if not limit.concerns(region):
        return None
    if rule.id not in values:
        return Finding(rule, "skipped", None, None, {}, skipped.get(rule.id, "the signal was not computed"))
    value, set_ = values[rule.id], limit.in_force(day, region)
    if set_ is None:
        return Finding(rule, "skipped", value, None, {}, f"no limit was in force on {day:%Y-%m-%d}")
    if not passes(rule, value, set_.value):
        return None
    says = {locale: sentence(rule, locale, value, limit=set_.value) for locale in LOCALES}
    cited = (set_.tag or limit.tag, set_.source or limit.source)
    return Finding(rule, "hit", value, set_.value, says, tag=cited[0], source=cited[1])
