"""What a decision answered, beside what is worked out again for its report: the report says what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose, isnan
from typing import Any

import orjson

from fraud.errors import FraudError
from fraud.explaining.contributions import TOLERANCE
from fraud.explaining.explanation import Explanation
from fraud.explaining.reasons import Reason
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import LOCALES, Signal
from fraud.signals.rules import Finding
from fraud.signals.sentences import sentence
from fraud.store import Decision

__all__ = ["DIFFERS", "MODEL_CHANGED", "Answered", "differences"]

# Caveats of a report (keys of its texts).
DIFFERS, MODEL_CHANGED = "differs", "model_changed"
_FIGURES = ("probability", "probability_low", "probability_high", "percentile", "band", "expected_recovery")
_COMPARED = ("status", "value", "limit", "amount")


@dataclass(frozen=True)
class Answered:
    """A decision's answer, as it was given."""

    action: str
    findings: Sequence[Mapping[str, Any]]
    risk: Mapping[str, Any] | None
    model: Mapping[str, Any]

    @classmethod
    def of(cls, decision: Decision) -> Answered:
        """The answer of a stored decision."""
        read = orjson.loads(decision.response)
        return cls(read["action"], read["findings"], read["risk"], read["model"])

    def imposed(self, again: Explanation, catalogue: Catalogue) -> Explanation:
        """The explanation with what was answered in place of what was worked out again.

        Where the two agree nothing changes but the last digits. Where they do not, contributions are those that the
        answer told, the others are in `rest`, and a caveat says so.
        """
        figures = self.risk or {}
        given: dict[str, Any] = {name: figures.get(name) for name in _FIGURES}
        again = replace(again, action=self.action)
        if not differences(again, self):
            # Claims that were scored together differ from one that is scored alone in the last digits.
            return replace(again, **given)
        caveats = (DIFFERS, MODEL_CHANGED) if self._other_model(again) else (DIFFERS,)
        reasons = tuple(self._reasons(again, catalogue))
        return replace(
            again,
            **given,
            base=figures.get("base"),
            margin=figures.get("margin"),
            reasons=reasons,
            rest=_rest(figures, reasons),
            findings=tuple(self._finding(f, again, catalogue) for f in self.findings),
            peers=() if self._other_model(again) else again.peers,
            caveats=caveats,
            provenance=replace(
                again.provenance,
                model_name=self.model["name"],
                model_version=str(self.model["version"]) if self.model["version"] else None,
                model_alias=self.model["alias"],
                catalogue_digest=self.model["catalogue"],
                fitted_on=None if self._other_model(again) else again.provenance.fitted_on,
                data_digest="" if self._other_model(again) else again.provenance.data_digest,
            ),
        )

    def _other_model(self, again: Explanation) -> bool:
        version = str(self.model["version"]) if self.model["version"] else None
        return (self.model["name"], version) != (again.provenance.model_name, again.provenance.model_version)

    def _finding(self, answered: Mapping[str, Any], again: Explanation, catalogue: Catalogue) -> Finding:
        same = next((f for f in again.findings if _same_finding(answered, f)), None)
        if same is not None:
            return same
        signal = _signal(answered["rule"], answered, catalogue)
        hit = answered["status"] == "hit"
        return Finding(
            signal=signal,
            status=answered["status"],
            value=answered["value"],
            limit=answered["limit"],
            sentences=_sentences(signal, answered, limit=answered["limit"]) if hit else {},
            why="" if hit else answered["sentence"],
            amount=answered["amount"],
            lines=tuple(answered["lines"]),
        )

    def _reasons(self, again: Explanation, catalogue: Catalogue) -> Iterator[Reason]:
        known = {r.signal: r for r in again.reasons}
        for told in (self.risk or {}).get("reasons", ()):
            same = known.get(told["signal"])
            if same is not None and same.value == told["value"] and same.version == told["version"]:
                yield replace(same, contribution=told["contribution"])
            else:
                yield _reason(told, catalogue)


def differences(again: Explanation, answered: Answered) -> tuple[str, ...]:
    """What an explanation says otherwise than the answer: `action`, `findings`, `risk`; nothing where they agree.

    A helper for checks of reports against the decision log as well.
    """
    findings, told = {f.signal.id: f for f in again.findings}, answered.findings
    same_rules = set(findings) == {f["rule"] for f in told} and len(findings) == len(told)
    found = {
        "action": again.action == answered.action,
        "findings": same_rules and all(_same_finding(f, findings[f["rule"]]) for f in told),
        "risk": _same_risk(answered.risk, again),
    }
    return tuple(what for what, agrees in found.items() if not agrees)


def _same_finding(answered: Mapping[str, Any], finding: Finding) -> bool:
    signal = finding.signal
    return (
        (answered["rule"], answered["version"]) == (signal.id, signal.version)
        and all(_close(answered[name], getattr(finding, name)) for name in _COMPARED)
        and tuple(answered["lines"]) == finding.lines
    )


def _same_risk(risk: Mapping[str, Any] | None, again: Explanation) -> bool:
    if risk is None:
        return again.margin is None
    figures = all(_close(risk[name], getattr(again, name)) for name in (*_FIGURES, "margin"))
    return figures and again.margin is not None


def _close(one: Any, other: Any) -> bool:
    """Equal, or figures that differ by rounding alone; what is not known is null in one and NaN in the other."""
    one, other = _known(one), _known(other)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value


def _rest(risk: Mapping[str, Any], reasons: Sequence[Reason]) -> float:
    """What the contributions that were told leave of the way from base to margin."""
    base, margin = risk.get("base"), risk.get("margin")
    if base is None or margin is None:
        return 0.0
    rest = float(margin) - float(base) - sum(r.contribution for r in reasons)
    return rest if abs(rest) > TOLERANCE else 0.0


def _signal(signal_id: str, answered: Mapping[str, Any], catalogue: Catalogue) -> Signal:
    """The signal as the catalogue has it, or one that says what the answer said when the catalogue has another."""
    known = catalogue.signals.get(signal_id)
    if known is not None and known.version == answered["version"]:
        return known
    folder, _, name = signal_id.rpartition(".")
    texts = known.title if known is not None else dict.fromkeys(LOCALES, signal_id)
    excuses = next(iter(answered.get("innocent_explanations", ())), "")
    return Signal(
        function=_gone,
        entity="claim",
        name=name,
        folder=folder,
        title=texts,
        says={},
        unit=answered["unit"],
        riskier="either",
        version=answered["version"],
        violation=answered.get("violation"),
        kind=answered.get("kind", "suspicion"),
        severity=answered.get("severity", "general"),
        national_code=answered.get("national_code"),
        cites=tuple(answered["citations"]),
        excuses=dict.fromkeys(LOCALES, excuses) if excuses else {},
    )


def _gone() -> Any:
    """What a signal that is gone computes: nothing."""
    raise FraudError("This version of the signal is not in the catalogue any more.")


def _sentences(signal: Signal, answered: Mapping[str, Any], **figures: float | None) -> dict[str, str]:
    """The sentence in every language, or as it was answered where the signal is gone."""
    if not signal.says:
        return dict.fromkeys(LOCALES, answered["sentence"])
    return {locale: sentence(signal, locale, answered["value"], **figures) for locale in LOCALES}


def _reason(told: Mapping[str, Any], catalogue: Catalogue) -> Reason:
    signal = _signal(told["signal"], told, catalogue)
    peers = {"peer_median": told["peer_median"], "peer_percentile": told["peer_percentile"]}
    return Reason(
        signal=signal.id,
        version=signal.version,
        entity=signal.entity,
        value=told["value"],
        unit=told["unit"],
        contribution=told["contribution"],
        peer_group=told["peer_group"],
        peer_count=told["peer_count"],
        # A limit that the sentence names is not in the answer: what was said is said again.
        sentences=dict.fromkeys(LOCALES, told["sentence"]),
        titles=signal.title,
        citations=tuple(told["citations"]),
        excuses=signal.excuses,
        **peers,
    )
