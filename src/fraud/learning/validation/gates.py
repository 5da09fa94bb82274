"""Gates and alarms: what must hold before a model is the one that scores."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from fraud.learning.spec import Gate, ModelSpec
from fraud.learning.validation.evaluation import Evaluation

__all__ = ["ALIASES", "CHALLENGER", "CHAMPION", "SHADOW", "GateResult", "Promotion", "decide", "judge"]

CHAMPION = "champion"
CHALLENGER = "challenger"
SHADOW = "shadow"
ALIASES = (CHAMPION, CHALLENGER, SHADOW)
_OPERATORS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class GateResult:
    """One condition, what was measured, and whether it holds.

    `alarm` marks a suspected leak; `remark` is why one that rang was cleared.
    """

    condition: str
    measured: float | None
    holds: bool
    alarm: bool = False
    remark: str = ""

    def __str__(self) -> str:
        measured = "not measured" if self.measured is None else f"{self.measured:.4f}"
        if self.alarm and not self.holds:
            return f"leak alarm: {self.condition}, measured {measured}; too good until shown otherwise"
        return f"{self.condition}: measured {measured}, {'holds' if self.holds else 'does not hold'}"


@dataclass(frozen=True)
class Promotion:
    """The alias that a training gets, with every condition and the reasons against it.

    `champion` is the version that is champion already: then two people promote, never a training.
    """

    gates: tuple[GateResult, ...]
    champion: int | None = None

    @property
    def holds(self) -> bool:
        """Whether every condition holds."""
        return all(g.holds for g in self.gates)

    @property
    def alias(self) -> str:
        """`champion` when every condition holds and nobody is champion yet, otherwise `challenger`."""
        return CHAMPION if self.holds and self.champion is None else CHALLENGER

    @property
    def reasons(self) -> tuple[str, ...]:
        """What did not hold."""
        return tuple(str(g) for g in self.gates if not g.holds)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Alarms that rang and were cleared, with what was found out: they belong in every report."""
        return tuple(g.remark for g in self.gates if g.remark)

    @property
    def next_step(self) -> str:
        """What to do when there is a champion; empty otherwise."""
        if self.champion is None:
            return ""
        return f"Version {self.champion} is champion and stays it until `fraud promote` has compared the two."


def decide(spec: ModelSpec, evaluation: Evaluation, champion: int | None = None) -> Promotion:
    """Whether the gates of the spec hold and its leak alarms keep still."""
    return Promotion(judge(spec, evaluation.summary), champion)


def judge(spec: ModelSpec, measured: Mapping[str, float]) -> tuple[GateResult, ...]:
    """Every gate and alarm of the spec against what was measured.

    An alarm rings above its ceiling; one that was cleared, above the value it was cleared up to. A metric that
    could not be measured holds no gate.
    """
    gates = [_gate(g, measured) for g in spec.gates]
    return (*gates, *(_alarm(spec, name, measured) for name in spec.leak_alarm))


def _gate(gate: Gate, measured: Mapping[str, float]) -> GateResult:
    found = _known(measured, gate.metric)
    wanted = _known(measured, gate.value) if isinstance(gate.value, str) else gate.value
    holds = found is not None and wanted is not None and bool(_OPERATORS[gate.op](found, wanted))
    shown = f" ({wanted:.4f})" if isinstance(gate.value, str) and wanted is not None else ""
    return GateResult(f"{gate}{shown}", found, holds)


def _alarm(spec: ModelSpec, name: str, measured: Mapping[str, float]) -> GateResult:
    found, ceiling = _known(measured, name), spec.leak_alarm[name]
    condition = f"{name} <= {ceiling:g}"
    if found is None or found <= ceiling:
        return GateResult(condition, found, True, alarm=True)
    for cleared in spec.cleared:
        if cleared.metric == name and found <= cleared.up_to:
            remark = f"{condition}, measured {found:.4f}: cleared up to {cleared.up_to:g}. {cleared.because.strip()}"
            return GateResult(f"{condition} (cleared up to {cleared.up_to:g})", found, True, alarm=True, remark=remark)
    return GateResult(condition, found, False, alarm=True)


def _known(measured: Mapping[str, float], name: str) -> float | None:
    value = measured.get(name)
    return value if value is not None and isfinite(value) else None
