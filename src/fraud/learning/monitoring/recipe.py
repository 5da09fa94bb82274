"""The recipe of monitoring and retraining: numbers with a date, a reason and a source, from a reviewed TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fraud.errors import Fault, SpecError, nearest
from fraud.signals.definition import LOCALES

__all__ = ["FILE", "Recipe", "Threshold", "load_recipe"]

FILE = Path("training/retrain.toml")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "limits": (
        "feature_psi",
        "drifted_weight",
        "missing_rise",
        "score_psi",
        "alerts_high",
        "alerts_low",
        "hits_gap",
        "delay_ratio",
    ),
    "reasons": ("hits", "scores", "drifted_weight", "age_days", "new_labels_share"),
    "needs": ("new_labels", "missing_features"),
}
_FIELDS = ("value", "from", "because", "source")
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Threshold:
    """One number of the recipe, since when it holds, why, and where it comes from; both by language."""

    value: float
    since: date
    because: Mapping[str, str]
    source: Mapping[str, str]

    def why(self, locale: str) -> str:
        """The reason in one language; as it was written where it has no words in that language."""
        return _in(self.because, locale)

    def origin(self, locale: str) -> str:
        """The source in one language; a book's title as it was written."""
        return _in(self.source, locale)

    def as_dict(self) -> dict[str, Any]:
        """The number with its grounds, as JSON types."""
        return asdict(self) | {"since": self.since.isoformat()}


@dataclass(frozen=True)
class Recipe:
    """`limits` say when something needs attention, `reasons` when to train again, `needs` what must hold first."""

    limits: Mapping[str, Threshold]
    reasons: Mapping[str, Threshold]
    needs: Mapping[str, Threshold]

    def limit(self, name: str) -> float:
        """The value of a limit."""
        return self.limits[name].value


def load_recipe(home: Path) -> Recipe:
    """The recipe of the rooms in a folder.

    Raises:
        SpecError: there is none, or it has faults; all of them are in `faults`.
    """
    path = home / FILE
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SpecError(
            f"{home}: has no {FILE}, which says when a model needs attention. Copy the delivered one."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{FILE}: not a TOML file: {error}") from None
    faults = [*_unknown(table), *_missing(table)]
    parsed = {s: {n: _threshold(f"/{s}/{n}", e, faults) for n, e in _rows(table, s)} for s in _NAMES}
    if faults:
        shown = "; ".join(f"{f.where}: {f.detail}" for f in faults[:_MOST_SHOWN])
        more = f"; and {len(faults) - _MOST_SHOWN} more" if len(faults) > _MOST_SHOWN else ""
        raise SpecError(f"{FILE} has {len(faults)} faults: {shown}{more}"[:500], faults)
    return Recipe(**parsed)


def _rows(table: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    found = table.get(section)
    return [(n, found[n]) for n in _NAMES[section] if n in found] if isinstance(found, Mapping) else []


def _unknown(table: Mapping[str, Any]) -> list[Fault]:
    faults = [Fault(f"/{s}", "unknown", f"no such section{nearest(s, _NAMES)}") for s in table if s not in _NAMES]
    for section, names in _NAMES.items():
        entries = table.get(section, {})
        keys = entries if isinstance(entries, Mapping) else {}
        faults += [
            Fault(f"/{section}/{n}", "unknown", f"no such number{nearest(n, names)}") for n in keys if n not in names
        ]
    return faults


def _missing(table: Mapping[str, Any]) -> list[Fault]:
    given = {s: {n for n, _ in _rows(table, s)} for s in _NAMES}
    return [Fault(f"/{s}/{n}", "missing", "is required") for s, ns in _NAMES.items() for n in ns if n not in given[s]]


def _threshold(at: str, entry: Any, faults: list[Fault]) -> Threshold:
    row: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {}
    checks = {
        "value": (isinstance(row.get("value"), (int, float)) and not isinstance(row.get("value"), bool), "a number"),
        "from": (isinstance(row.get("from"), date), "a date, as 2026-11-22"),
        "because": (_is_said(row.get("because")), "a sentence that says why, or one for each of en and zh"),
        "source": (_is_said(row.get("source")), "where the number comes from, or that for each of en and zh"),
    }
    wrong = [
        Fault(f"{at}/{n}", "value", f"expected {say}, found {row.get(n)!r}")
        for n, (ok, say) in checks.items()
        if not ok
    ]
    wrong += [
        Fault(f"{at}/{n}", "unknown", f"there is no such setting{nearest(n, _FIELDS)}") for n in row if n not in _FIELDS
    ]
    faults += wrong
    if wrong:
        return Threshold(0.0, date.min, {}, {})
    return Threshold(float(row["value"]), row["from"], _by_language(row["because"]), _by_language(row["source"]))


def _by_language(said: Any) -> Mapping[str, str]:
    return {"en": said} if isinstance(said, str) else said


def _in(texts: Mapping[str, str], locale: str) -> str:
    return texts.get(locale) or next(iter(texts.values()), "")


def _is_said(said: object) -> bool:
    """Whether it is a text, or texts by language in languages that reports know."""
    texts = _by_language(said)
    if not isinstance(texts, Mapping) or not texts or set(texts) - set(LOCALES):
        return False
    return all(isinstance(text, str) and text for text in texts.values())
