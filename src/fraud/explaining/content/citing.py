"""Laws, rules and papers as a report cites them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fraud.explaining.explanation import Explanation
from fraud.explaining.wording import Wording
from fraud.signals.limits import Source

__all__ = ["Citation", "citations_of"]


@dataclass(frozen=True)
class Citation:
    """A source by its title, where it can be read, and when it has been in force."""

    title: str
    url: str = ""
    days: str = ""

    @property
    def dated(self) -> str:
        """The title with its days."""
        return f"{self.title} · {self.days}".removesuffix(" · ")


def citations_of(ids: Iterable[str], explanation: Explanation, w: Wording) -> tuple[Citation, ...]:
    """Cited sources; one that the references lack is named by its id."""
    sources = explanation.references.sources
    return tuple(_citation(sources[i], w) if i in sources else Citation(i) for i in ids)


def _citation(source: Source, w: Wording) -> Citation:
    return Citation(w.pick(source.title), source.url, _in_force(source, w))


def _in_force(source: Source, w: Wording) -> str:
    if source.in_force_from is None:
        return ""
    start = w.date(source.in_force_from)
    if source.to is None:
        return w.say("findings.in_force", **{"from": start})
    return w.say("findings.in_force_until", **{"from": start, "to": w.date(source.to)})
