"""The national rule library beside the signals: which rule here finds which name, and why some cannot be found."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fraud.errors import CatalogueError, nearest
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import LOCALES, Signal

__all__ = ["NationalLibrary", "NationalRule", "load_national_rules"]

FILE = "national_rules.toml"
TYPES = tuple(f"T{n:02d}" for n in range(1, 41))


@dataclass(frozen=True)
class NationalRule:
    """One name of the national library.

    `code` is that of edition 1.0 (None for a name that is new). Either `signals` find it, or `excuse` says why
    claims cannot decide it; `note` says which part of the name is found where it is not the whole.
    """

    number: int
    code: str | None
    name: Mapping[str, str]
    tiers: tuple[str, ...]
    signals: tuple[str, ...] = ()
    excuse: Mapping[str, str] = field(default_factory=dict)
    note: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_indicator(self) -> bool:
        """Whether it is a statistic that the library watches (codes ZB) rather than a rule."""
        return (self.code or "").startswith("ZB")


@dataclass(frozen=True)
class NationalLibrary:
    """All names of the library in order, and the types of violation that no signal can find yet, with the reason."""

    rules: tuple[NationalRule, ...]
    open_types: Mapping[str, Mapping[str, str]]

    @cached_property
    def by_signal(self) -> dict[str, tuple[NationalRule, ...]]:
        """The names that each signal finds."""
        found: dict[str, list[NationalRule]] = {}
        for rule in self.rules:
            for name in rule.signals:
                found.setdefault(name, []).append(rule)
        return {name: tuple(rules) for name, rules in found.items()}

    def faults(self, catalogue: Catalogue) -> list[str]:
        """What does not hold between the library and a catalogue; empty when all does.

        A name is found by rules, or excused; an indicator may be found by a figure that is compared with peers.
        Every rule with a national code is found from that code, and every type of violation has a signal or a
        reason.
        """
        named = [f for rule in self.rules for f in _rule_faults(rule, catalogue)]
        coded = [f for s in catalogue.signals.values() if s.limit and s.national_code for f in self._code_faults(s)]
        return named + coded + list(self._type_faults(catalogue))

    def _code_faults(self, signal: Signal) -> Iterator[str]:
        codes = {rule.code for rule in self.by_signal.get(signal.id, ())}
        if signal.national_code not in codes:
            yield f"{signal.id}: carries {signal.national_code}, which {FILE} does not give to it"

    def _type_faults(self, catalogue: Catalogue) -> Iterator[str]:
        found = {s.violation for s in catalogue.signals.values()}
        for name in TYPES:
            if name not in found and name not in self.open_types:
                yield f"{name}: has neither a signal nor a reason"
            if name in found and name in self.open_types:
                yield f"{name}: has a signal, so its excuse must go"


def load_national_rules(room: str | Path) -> NationalLibrary:
    """The library of a `features/` room; empty where the room has none.

    Raises:
        CatalogueError: an entry lacks what it needs; all of them are named at once.
    """
    path = Path(room) / FILE
    entries = tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    rules, types = entries.get("rules", []), entries.get("types", {})
    faults = [f for number, entry in enumerate(rules, 1) for f in _entry_faults(number, entry)]
    faults += [f"{name}: needs an excuse in {LOCALES}" for name, t in types.items() if set(t["excuse"]) != set(LOCALES)]
    if faults:
        raise CatalogueError(f"{FILE}: {len(faults)} faults: " + "; ".join(faults[:5]))
    return NationalLibrary(tuple(_rule(e) for e in rules), {name: t["excuse"] for name, t in types.items()})


def _entry_faults(number: int, entry: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("number") != number:
        yield f"entry {number} has the number {entry.get('number')}; they run from 1 without a gap"
    yield from (f"{number}: {key} is missing" for key in ("name", "tiers") if key not in entry)
    if ("signals" in entry) == ("excuse" in entry):
        yield f"{number}: needs either signals or an excuse"
    texts = ((key, entry[key]) for key in ("name", "excuse", "note") if key in entry)
    yield from (f"{number}: {key} must have exactly {LOCALES}" for key, text in texts if set(text) != set(LOCALES))


def _rule(entry: Mapping[str, Any]) -> NationalRule:
    plain = {key: entry[key] for key in ("number", "name", "excuse", "note") if key in entry}
    return NationalRule(
        code=entry.get("code"), tiers=tuple(entry["tiers"]), signals=tuple(entry.get("signals", ())), **plain
    )


def _rule_faults(rule: NationalRule, catalogue: Catalogue) -> Iterator[str]:
    for name in rule.signals:
        signal = catalogue.signals.get(name)
        if signal is None:
            yield f"{rule.number}: no signal {name!r}{nearest(name, catalogue.signals)}"
        elif not signal.limit and not (rule.is_indicator and signal.peer):
            yield f"{rule.number}: {name} is no rule: it has no limit"
