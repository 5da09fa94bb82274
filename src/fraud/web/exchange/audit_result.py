"""Findings as results of China's audit interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from fraud.signals.catalogue import Catalogue
from fraud.web.bodies.answers import LANGUAGES
from fraud.web.exchange.audit_request import Asked, Audit
from fraud.web.exchange.audit_settings import AuditSettings

__all__ = ["decision_of", "results_of"]

NAME_LONGEST, TEXT_LONGEST = 200, 500
# The interface's numbers have 16 digits, two of them behind the point.
AMOUNT_LARGEST = Decimal("99999999999999.99")
VIOLATING = "1"
_CENT = Decimal("0.01")
# Digits of the number of a finding within its decision, and of a line within its finding.
_FINDING, _LINE = 3, 4
# Words of the evidence.
_WORDS = {
    "zh": {"value": "数值{value},界限{limit}", "cites": "依据:{}", "excuses": "可能的合理情形,请核实:{}"},
    "en": {"value": "value {value}, limit {limit}", "cites": "sources: {}", "excuses": "may be in order: {}"},
}


def results_of(
    answer: Mapping[str, Any], visit: Asked, audit: Audit, settings: AuditSettings, catalogue: Catalogue
) -> list[dict[str, Any]]:
    """The results that an answer to one visit gives rise to: rules that hit, never the model's suspicion."""
    return [
        _Result(str(answer["request_id"]), n, f, visit, settings, catalogue).row(audit.task_id)
        for n, f in enumerate(answer["findings"], 1)
        if f["status"] == "hit" and f["kind"] in settings.tables["answer"]["kinds"] and _is_wanted(f, audit.rule_ids)
    ]


def decision_of(jr_id: str) -> str:
    """The decision that a result belongs to."""
    return jr_id[:-_FINDING]


def _is_wanted(finding: Mapping[str, Any], rule_ids: frozenset[str]) -> bool:
    return not rule_ids or not rule_ids.isdisjoint((finding["rule"], finding["national_code"]))


class _Result:
    """One finding and how it is told."""

    def __init__(
        self,
        request_id: str,
        number: int,
        finding: Mapping[str, Any],
        visit: Asked,
        settings: AuditSettings,
        catalogue: Catalogue,
    ) -> None:
        self.jr_id = f"{request_id}{number:0{_FINDING}d}"
        self.finding = finding
        self.visit = visit
        self.settings = settings
        self.catalogue = catalogue
        self.language = LANGUAGES[settings.locale]

    def row(self, task_id: str | None) -> dict[str, Any]:
        """The result in the interface's names."""
        finding, settings = self.finding, self.settings
        known = "unknown" if finding["amount"] is None else "known"
        return {
            "jr_id": self.jr_id,
            "rule_id": self._rule_id(),
            "rule_name": _cut(self.catalogue[finding["rule"]].title[self.language], NAME_LONGEST),
            "vola_cont": _cut(finding["sentence"], TEXT_LONGEST),
            "patn_id": self.visit.patn_id,
            "mdtrt_id": self.visit.mdtrt_id,
            "judge_result_detail_dtos": list(self._details()),
            "vola_amt": _money(finding["amount"]),
            "vola_amt_stas": settings.tables["vola_amt_stas"][known],
            "sev_deg": settings.severity(finding["kind"], finding["severity"]),
            "vola_evid": _cut(";".join(self._evidence()), TEXT_LONGEST),
            "vola_bhvr_type": settings.behaviour(finding["violation"]),
            "task_id": task_id,
        }

    def _rule_id(self) -> str:
        national = self.finding["national_code"] if self.settings.tables["answer"]["rule_id"] == "national" else None
        return str(national or self.finding["rule"])

    def _details(self) -> Iterator[dict[str, Any]]:
        """One for each line behind the finding, with the line's own amount."""
        amounts = {r["line_no"]: r["amount"] for r in self.visit.bundle.lines}
        for number, line in enumerate(self.finding["lines"], 1):
            yield {
                "jrd_id": f"{self.jr_id}{number:0{_LINE}d}",
                "patn_id": self.visit.patn_id,
                "mdtrt_id": self.visit.mdtrt_id,
                "rx_id": self.visit.orders.get(line),
                "vola_item_type": VIOLATING,
                "vola_amt": _money(amounts.get(line)),
            }

    def _evidence(self) -> Iterable[str]:
        words, finding = _WORDS[self.language], self.finding
        if finding["limit"] is not None:
            yield words["value"].format(value=_plain(finding["value"]), limit=_plain(finding["limit"]))
        if cited := [self._source(c) for c in finding["citations"]]:
            yield words["cites"].format("、".join(cited))
        if finding["innocent_explanations"]:
            yield words["excuses"].format(" ".join(finding["innocent_explanations"]))

    def _source(self, citation: str) -> str:
        source = self.catalogue.sources.get(citation)
        return source.title[self.language] if source else citation


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _plain(number: float | None) -> str:
    return "?" if number is None else f"{number:.6g}"


def _money(amount: float | None) -> float:
    """Yuan and cents, within what the interface can carry; nothing known is zero."""
    exact = Decimal(str(amount or 0.0)).quantize(_CENT, ROUND_HALF_UP)
    return float(min(exact, AMOUNT_LARGEST))
