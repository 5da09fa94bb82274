"""Which rules are worth a closer look at a claim: most hit nothing, and a comparison says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import Signal
from fraud.signals.limits import Place
from fraud.signals.rules import passes

__all__ = ["Screen"]

# A rule with its id and the limit in force: None where there is none, and the rule says so.
_Threshold = tuple[Signal, str, float | None]
_Regions = tuple[str | None, str | None]
# Days and regions whose limits are remembered; beyond it all are forgotten.
_MOST_REMEMBERED = 4_096


class Screen:
    """Sorts out rules that have nothing to say; safe to call from many threads.

    `fraud.signals.rules.findings` says the same of the rules that are left as of all of them.
    """

    def __init__(self, catalogue: Catalogue, rules: Sequence[Signal]) -> None:
        self._catalogue, self._rules = catalogue, tuple(rules)
        self._known: dict[tuple[date, _Regions], tuple[_Threshold, ...]] = {}

    def left(self, values: Mapping[str, float], day: date, regions: Mapping[Place, str | None]) -> list[Signal]:
        """Rules that hit, that have no value, or no limit on that day; in the order of all rules."""
        found = []
        for rule, name, limit in self._thresholds(day, (regions.get("insured"), regions.get("care"))):
            value = values.get(name)
            if value is None or limit is None or passes(rule, value, limit):
                found.append(rule)
        return found

    def _thresholds(self, moment: date, regions: _Regions) -> tuple[_Threshold, ...]:
        day = moment.date() if isinstance(moment, datetime) else moment
        found = self._known.get((day, regions))
        if found is None:
            found = tuple(self._in_force(day, {"insured": regions[0], "care": regions[1]}))
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[day, regions] = found
        return found

    def _in_force(self, day: date, regions: Mapping[Place, str | None]) -> list[_Threshold]:
        found: list[_Threshold] = []
        for rule in self._rules:
            limit = self._catalogue.limits[str(rule.limit)]
            region = regions.get(limit.place)
            if limit.concerns(region):
                found.append((rule, rule.id, limit.on(day, region)))
        return found
