"""The rules of cases out of `[cases]` of `fraud.toml`: what is urgent, and how long each step may take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from fraud.errors import Fault, SpecError, nearest
from fraud.scoring.shapes import Band
from fraud.scoring.triage import ReviewTime
from fraud.store.casework.shapes import Priority, Scored

__all__ = ["CaseRules", "Threshold", "case_rules", "priority_of"]

GRADES: tuple[str, ...] = get_args(Band)


@dataclass(frozen=True)
class Threshold:
    """What makes a case of a priority: any one of these is enough; None never is.

    `severity` is that of the gravest finding that hit, `band` that of the model, `amount` the money at stake.
    """

    severity: str | None = None
    band: str | None = None
    amount: float | None = None

    def reached(self, scored: Scored) -> bool:
        """Whether what was scored comes up to it."""
        at_least = self.amount is not None and scored.amount is not None and scored.amount >= self.amount
        return at_least or _as_grave(scored.severity, self.severity) or _as_grave(scored.band, self.band)


def _as_grave(found: str | None, needed: str | None) -> bool:
    return found is not None and needed is not None and GRADES.index(found) >= GRADES.index(needed)


@dataclass(frozen=True)
class CaseRules:
    """What is urgent or important, the hours until somebody acts, and the working days of every other step.

    `file_days` is how long asked-for files may take and `inquiry_days` an inquiry elsewhere; `findings_days` from the
    first action to a proposed result, `signature_days` to the second signature, `appeal_days` to lodge an appeal and
    `recheck_days` to decide it. Below `alone_below` one person may find a case unfounded.
    """

    urgent: Threshold = Threshold(severity="critical", amount=100_000.0)
    important: Threshold = Threshold(severity="serious", band="serious", amount=10_000.0)
    hours: Mapping[str, float] = field(default_factory=lambda: {"urgent": 1.0, "important": 24.0, "normal": 48.0})
    file_days: int = 2
    inquiry_days: int = 5
    findings_days: int = 3
    signature_days: int = 1
    appeal_days: int = 10
    recheck_days: int = 5
    alone_below: float = 10_000.0
    hours_per_week: float = 40.0
    time: ReviewTime = field(default_factory=ReviewTime)


def priority_of(scored: Scored, rules: CaseRules) -> Priority:
    """How soon somebody should look.

    >>> priority_of(Scored("claim", "c1", severity="serious"), CaseRules())
    'important'
    """
    if rules.urgent.reached(scored):
        return "urgent"
    return "important" if rules.important.reached(scored) else "normal"


# --- settings ---------------------------------------------------------------------------------------------

_DAYS: Mapping[str, str] = {
    "file": "file_days",
    "inquiry": "inquiry_days",
    "findings": "findings_days",
    "signature": "signature_days",
    "appeal": "appeal_days",
    "recheck": "recheck_days",
}
_TABLES = ("urgent", "important", "hours", "days")
_KNOWN = (*_TABLES, "alone_below")
_MOST = 1e12


def case_rules(settings: Mapping[str, Any], review: Mapping[str, Any] | None = None) -> CaseRules:
    """The rules of `[cases]`; what is not set there has its default. `review` is `[review]`: hours and minutes.

    Raises:
        SpecError: a setting is not known or out of range; all of them are named at once.
    """
    faults = list(_faults(settings))
    if faults:
        named = "; ".join(f"{f.where}: {f.detail}" for f in faults[:5])
        raise SpecError(f"fraud.toml has {len(faults)} faults in [cases]: {named}"[:500], faults)
    base = CaseRules()
    days = {_DAYS[name]: int(value) for name, value in settings.get("days", {}).items()}
    alone = {"alone_below": float(settings["alone_below"])} if "alone_below" in settings else {}
    own = review or {}
    return replace(
        base,
        urgent=_threshold(settings.get("urgent"), base.urgent),
        important=_threshold(settings.get("important"), base.important),
        hours={**base.hours, **settings.get("hours", {})},
        hours_per_week=float(own.get("hours_per_week", base.hours_per_week)),
        time=ReviewTime({**base.time.minutes, **own.get("minutes", {})}),
        **days,
        **alone,  # type: ignore[arg-type]
    )


def _threshold(given: Mapping[str, Any] | None, usual: Threshold) -> Threshold:
    """What is given stands alone: a table that names an amount only asks for nothing else."""
    return usual if given is None else Threshold(**given)


def _faults(settings: Mapping[str, Any]) -> Iterable[Fault]:
    for name, value in settings.items():
        at = f"/cases/{name}"
        if name not in _KNOWN:
            yield Fault(at, "unknown", f"there is no such setting{nearest(name, _KNOWN)}")
        elif name == "alone_below":
            yield from _amount(at, value)
        elif not isinstance(value, Mapping):
            yield Fault(at, "type", f"expected a table, found {value!r}")
        elif name == "hours":
            yield from _numbers(at, value, get_args(Priority), 0.0, 10_000.0)
        elif name == "days":
            yield from _numbers(at, value, _DAYS, 1, 365)
        else:
            yield from _threshold_faults(at, value)


def _threshold_faults(at: str, given: Mapping[str, Any]) -> Iterable[Fault]:
    for name, value in given.items():
        if name not in Threshold.__dataclass_fields__:
            yield Fault(f"{at}/{name}", "unknown", f"there is no such setting{nearest(name, ('severity', 'band'))}")
        elif name == "amount":
            yield from _amount(f"{at}/{name}", value)
        elif value not in GRADES:
            yield Fault(f"{at}/{name}", "value", f"expected one of {', '.join(GRADES)}, found {value!r}")


def _amount(at: str, value: object) -> Iterable[Fault]:
    if not _is_number(value) or not 0 <= value <= _MOST:  # type: ignore[operator]
        yield Fault(at, "value", f"expected an amount of money, found {value!r}")


def _numbers(at: str, given: Mapping[str, Any], known: Iterable[str], low: float, high: float) -> Iterable[Fault]:
    names = tuple(known)
    for name, value in given.items():
        if name not in names:
            yield Fault(f"{at}/{name}", "unknown", f"there is no such setting{nearest(name, names)}")
        elif not _is_number(value) or not low <= value <= high or (isinstance(low, int) and value != int(value)):
            kind = "whole number" if isinstance(low, int) else "number"
            yield Fault(f"{at}/{name}", "value", f"expected a {kind} from {low:g} to {high:g}, found {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
