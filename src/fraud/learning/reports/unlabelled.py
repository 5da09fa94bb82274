"""The report of a training without labels: whether its list can be relied on, and what it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fraud.learning.reports.conditions import measured, metric_title
from fraud.learning.reports.documents import Section, Table, Words
from fraud.learning.reports.training import TrainingReport, columns, heading

__all__ = ["NoveltyReport"]


@dataclass(frozen=True, eq=False)
class NoveltyReport(TrainingReport):
    """What a model without labels was learned from, whether its list can be relied on, and what it looks at.

    Its evaluation has no folds: its `summary` are the figures that the gates name, and checks against outcomes.
    """

    @property
    def section(self) -> str:
        """Where the words of this kind of report are."""
        return "training_unlabelled"

    def summary(self, w: Words) -> list[str]:
        """What stands above the tables, a sentence a line."""
        figures, places = self.evaluation.summary, self.places(w)
        lines = [
            w.say("training_unlabelled.rows", **places),
            w.say("training_unlabelled.agree", share=f"{figures['list_stability']:.0%}"),
            *self.standing(w),
        ]
        if "check.base" in figures:
            shares = {"found": figures["check.precision_at_k"], "base": figures["check.base"]}
            told = {name: f"{share:.1%}" for name, share in shares.items()}
            lines.append(w.say("training_unlabelled.checked", decided=f"{figures['check.decided']:,.0f}", **told))
        return [*lines, *self.left_out(w)]

    @property
    def originals(self) -> list[str]:
        """What reviewers of alarms said, in their own words; labels took no part."""
        return list(self.promotion.remarks)

    def sections(self, w: Words) -> list[Section]:
        """The parts of the report after its summary; the first stands above the drawings."""
        known = Table(columns(w, "figure", "measured"), self._figures(w))
        return [
            Section(heading(w, "known"), [known]),
            self.gates_in(w),
            *self.added,
            self.importance_in("score", w),
            *self.skipped_in(w),
        ]

    def _figures(self, w: Words) -> list[list[str]]:
        return [[metric_title(k, w), measured(f"{k} >= 0", v, w)] for k, v in self.evaluation.summary.items()]

    def as_dict(self) -> dict[str, Any]:
        """The whole report as JSON types."""
        return self.common | {
            "kind": self.spec.kind,
            "figures": {k: v if np.isfinite(v) else None for k, v in self.evaluation.summary.items()},
        }

    def to_text(self) -> str:
        """The summary and the figures, for a terminal."""
        figures = "\n".join(f"{value:>8}  {name}" for name, value in self._figures(Words("en")))
        return f"{self.bullets}\n\n{figures}"
