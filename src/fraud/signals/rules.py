"""Signals with a limit as rules: passing a dated limit is a finding, a fact apart from any model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import LOCALES, Signal
from fraud.signals.sentences import sentence

__all__ = ["Finding", "findings", "rules_of"]


@dataclass(frozen=True)
class Finding:
    """What a rule says of one claim or entity.

    `status` is `hit` when the limit was passed, `error` or `skipped` when the rule could not be evaluated:
    that is never the same as no hit. `amount` is the money at stake, in the payer's currency; `lines` are
    the line numbers behind the value. Both are filled in by whoever knows the rows.
    """

    signal: Signal
    status: Literal["hit", "error", "skipped"]
    value: float | None
    limit: float | None
    sentences: Mapping[str, str]
    why: str = ""
    amount: float | None = None
    lines: tuple[int, ...] = ()

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
) -> list[Finding]:
    """Rules that hit on these values, and those that could not be evaluated, in the order of `rules`.

    `values` maps signal ids to figures (NaN: not known, no hit); `day` is the day of care, which decides
    the limit in force; `skipped` maps ids to the reason why they have no value.
    """
    found = (_finding(catalogue, rule, values, day, skipped or {}) for rule in rules)
    return [f for f in found if f is not None]


def _finding(
    catalogue: Catalogue, rule: Signal, values: Mapping[str, float], day: date, skipped: Mapping[str, str]
) -> Finding | None:
    if rule.id not in values:
        return Finding(rule, "skipped", None, None, {}, skipped.get(rule.id, "the signal was not computed"))
    value = values[rule.id]
    limit = catalogue.limits[str(rule.limit)].on(day)
    if limit is None:
        return Finding(rule, "skipped", value, None, {}, f"no limit was in force on {day:%Y-%m-%d}")
    if math.isnan(value) or not (value < limit if rule.riskier == "low" else value > limit):
        return None
    says = {locale: sentence(rule, locale, value, limit=limit) for locale in LOCALES}
    return Finding(rule, "hit", value, limit, says)
