"""Who acts on a case, what is proposed, and what searches and plans give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from fraud.claims.violations import violation_names
from fraud.errors import Fault, InputError
from fraud.store.casework.shapes import Attachment, Case, CaseEvent, Within
from fraud.store.recoveries import Recovery

__all__ = [
    "ANSWERS",
    "DISPOSITIONS",
    "EVIDENCE_KINDS",
    "MEASURES",
    "NOTE_KINDS",
    "RESULTS",
    "VERDICTS",
    "Actor",
    "CaseFile",
    "Counts",
    "Page",
    "Planned",
    "Progress",
    "Proposal",
]

RESULTS = ("compliant", "violation", "needs_more_evidence")
# What a result may be called in the outcomes, the usual one first.
VERDICTS: Mapping[str, tuple[str, ...]] = {
    "violation": ("improper_payment", "confirmed_abuse", "confirmed_fraud", "waste"),
    "compliant": ("false_positive", "data_error", "operation_error", "insufficient_evidence"),
    "needs_more_evidence": (),
}
# The four answers to a risk: avoid, reduce, pass on, bear.
DISPOSITIONS = ("block", "review", "refer", "accept")
MEASURES = ("rectification", "sanction", "emergency", "none")
_SIGNS_IN = "user:"
ANSWERS = ("refuted", "holds", "open")
EVIDENCE_KINDS = ("file", "inquiry")
# `change` names the rule or model that was changed because of the case.
NOTE_KINDS = ("note", "cause", "change")
Measure = Literal["rectification", "sanction", "emergency", "none"]


@dataclass(frozen=True)
class Actor:
    """Who does something: `id` is what the ledger calls the key or account, `name` the person, `role` the role.

    Two signatures must come from two people, whatever names they go by.
    """

    id: str
    name: str
    role: str
    within: Within = field(default_factory=Within)
    purpose: str | None = None
    request_id: str | None = None

    @property
    def person(self) -> str:
        """The person's name; without one, on a machine of its own, whoever sits there."""
        return self.name or self.id

    @property
    def account(self) -> str:
        """Who it is, whatever the name to show: `user:…`, `person:…` at the command line, `key:NAME`, or `open`."""
        return self.id if ":" in self.id or not self.name else f"key:{self.name}"

    def is_them(self, account: str | None, name: str | None) -> bool:
        """Whether this is the person of an account that is shown by a name.

        Of two people who sign in the account alone decides. A key is whoever has it or goes by its name: whoever has
        two keys, or a key beside an account, signs once.
        """
        if account in (self.id, self.account):
            return True
        both_sign_in = self.id.startswith(_SIGNS_IN) and account is not None and account.startswith(_SIGNS_IN)
        return not both_sign_in and name is not None and name == self.person


@dataclass(frozen=True)
class Proposal:
    """What an investigator proposes: a result with its reason, money, type of violation, and what follows.

    `verdict` is what the outcome will say; without one the usual of the result. `findings` name rules, `disposition`
    is block, review, refer or accept, `measure` rectification, sanction, emergency or none, with its text in `plan`.
    `rating` from 1 to 5 is how well the case was founded, in the reviewer's view.
    """

    result: str
    reason: str
    verdict: str | None = None
    violation: str | None = None
    amount: float | None = None
    findings: tuple[str, ...] = ()
    disposition: str | None = None
    root_cause: str | None = None
    measure: str | None = None
    plan: str | None = None
    rating: int | None = None

    def checked(self) -> Proposal:
        """The same with its usual verdict; raises `InputError` that names every fault at once."""
        faults = list(self._faults())
        if faults:
            said = "; ".join(f"{f.where[1:]}: {f.detail}" for f in faults[:5])
            raise InputError(f"The proposal has {len(faults)} faults: {said}"[:500], faults)
        usual = VERDICTS[self.result][0] if VERDICTS[self.result] else None
        return Proposal(**{**vars(self), "verdict": self.verdict or usual})

    def _faults(self) -> list[Fault]:
        one_of = (
            ("result", self.result, RESULTS),
            ("verdict", self.verdict, VERDICTS.get(self.result, tuple(v for vs in VERDICTS.values() for v in vs))),
            ("violation", self.violation, tuple(violation_names())),
            ("disposition", self.disposition, DISPOSITIONS),
            ("measure", self.measure, MEASURES),
        )
        found = [
            Fault(f"/{name}", "not_in_set", f"expected {_listed(known)}")
            for name, value, known in one_of
            if value is not None and value not in known
        ]
        if not self.reason.strip():
            found.append(Fault("/reason", "missing", "say in a sentence what it rests on"))
        if self.result == "violation":
            needed = (("violation", self.violation), ("amount", self.amount))
            found += [Fault(f"/{n}", "missing", "a violation needs it") for n, value in needed if value is None]
        if self.amount is not None and not 0 <= self.amount <= _MOST_MONEY:
            found.append(Fault("/amount", "out_of_range", "expected an amount of money, not below zero"))
        if self.rating is not None and not 1 <= self.rating <= 5:
            found.append(Fault("/rating", "out_of_range", "expected a whole number from 1 to 5"))
        return found


_MOST_MONEY = 1e12


def _listed(known: tuple[str, ...]) -> str:
    if not known:
        return "none: more evidence is no verdict"
    return f"one of: {known[0]} to {known[-1]}" if len(known) > 12 else f"one of: {', '.join(known)}"


@dataclass(frozen=True)
class CaseFile:
    """One case with all that was done in it and handed in; `possible` are the steps that its reader can take now.

    `checks` is where the innocent explanations stand: by explanation the last answer, remark, by whom and when.
    `proposal` is the last one, as it was proposed. `notes` say what else is to be known, such as years whose holidays
    no calendar here has. `recoveries` are payments and counter-entries, as they were entered.
    """

    case: Case
    history: tuple[CaseEvent, ...]
    attachments: tuple[Attachment, ...]
    possible: tuple[str, ...]
    checks: Mapping[str, Mapping[str, Any]]
    proposal: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()
    recoveries: tuple[Recovery, ...] = ()


@dataclass(frozen=True)
class Page:
    """Some of the cases that were found, and how many there are in all; `skipped` came before."""

    cases: tuple[Case, ...]
    total: int
    skipped: int


@dataclass(frozen=True)
class Counts:
    """How many cases there are by state and by priority, and how many are overdue; `undecided` are at work."""

    total: int
    undecided: int
    overdue: int
    by_state: Mapping[str, int]
    by_priority: Mapping[str, int]


@dataclass(frozen=True)
class Planned:
    """What a week's list became: cases that were opened for it, that were there, and that are decided meanwhile."""

    week: date
    opened: tuple[str, ...]
    kept: tuple[str, ...]
    decided: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """How far a week's list has come, in cases and hours of review; `recovered` is money of confirmed cases."""

    week: date
    as_of: datetime
    capacity_hours: float
    cases: int
    begun: int
    decided: int
    hours: float
    hours_decided: float
    random_cases: int
    random_decided: int
    expected_recovery: float
    recovered: float
