"""The steps of a case that are about money that came back: entering a payment, and taking one off again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from math import isfinite

from fraud.errors import Fault, InputError
from fraud.review.cases.shapes import Actor
from fraud.review.cases.workflow import Moment, Step, require
from fraud.store.casework.shapes import Case
from fraud.store.recoveries import CENT, Recovery

__all__ = ["MOST_MONEY", "recover", "reverse"]

MOST_MONEY = 1e12
_LONGEST = {"reference": 200, "reason": 2_000}


def recover(
    case: Case,
    actor: Actor,
    at: Moment,
    amount: float | None,
    on: date | None,
    reference: str | None,
    reason: str | None = None,
) -> Step:
    """The case with a payment that arrived `on` a day; more than was confirmed needs a reason."""
    require("recover", case, actor, at)
    faults = [*_money(amount), *_day(on, at), *_words("reference", reference, needed=True)]
    before, confirmed = case.recovered_amount or 0.0, case.confirmed_amount or 0.0
    beyond = not faults and before + (amount or 0.0) > confirmed + CENT
    faults += _words("reason", reason, needed=False)
    if beyond and _plain(reason) is None:
        said = f"more than the {confirmed:,.2f} that was confirmed would have come back: say why"
        faults.append(Fault("/reason", "more_than_confirmed", said))
    return _step(case, actor, at, "recovered", faults, amount, on, reference, reason)


def reverse(
    case: Case,
    actor: Actor,
    at: Moment,
    corrects: int | None,
    amount: float | None,
    reason: str | None,
    on: date | None = None,
    reference: str | None = None,
) -> Step:
    """The case with a counter-entry to the payment of a number: it was entered wrongly, or was given back.

    It counts from its own day on (today unless `on` is given), so that what was reported before stays true.
    """
    require("reverse", case, actor, at)
    day = on or at.now.date()
    faults = [*_money(amount), *_day(day, at), *_words("reason", reason, needed=True)]
    faults += _counter(corrects, amount, at.left())
    faults += _words("reference", reference, needed=False)
    taken = -amount if amount is not None else None
    return _step(case, actor, at, "recovery_reversed", faults, taken, day, reference, reason, corrects)


def _step(
    case: Case,
    actor: Actor,
    at: Moment,
    what: str,
    faults: list[Fault],
    amount: float | None,
    on: date | None,
    reference: str | None,
    reason: str | None,
    corrects: int | None = None,
) -> Step:
    if faults or amount is None or on is None:
        said = "; ".join(f"{f.where[1:]}: {f.detail}" for f in faults[:5])
        raise InputError(f"The entry has {len(faults)} faults: {said}"[:500], faults)
    entry = Recovery(
        case.case_id, 0, amount, on, _plain(reference), _plain(reason), corrects, at.now, actor.person
    )  # fmt: skip
    told = {"amount": amount, "on": on, "reference": entry.reference, "reason": entry.reason, "corrects": corrects}
    after = replace(case, recovered_amount=round((case.recovered_amount or 0.0) + amount, 2))
    return Step(after, what, told, recovery=entry)


def _money(amount: float | None) -> list[Fault]:
    if amount is None:
        return [Fault("/amount", "missing", "say how much it is")]
    if not (isfinite(amount) and CENT < amount <= MOST_MONEY):
        return [Fault("/amount", "out_of_range", "expected an amount of money above zero")]
    return []


def _counter(corrects: int | None, amount: float | None, left: Mapping[int, float]) -> list[Fault]:
    """What speaks against taking so much off the payment of this number."""
    if corrects is None:
        return [Fault("/corrects", "missing", "name the number of the payment")]
    if corrects not in left:
        known = ", ".join(str(n) for n, rest in left.items() if rest > CENT) or "none"
        return [Fault("/corrects", "no_such_payment", f"the case has no such payment; it has: {known}")]
    if amount is not None and amount > left[corrects] + CENT:
        return [Fault("/amount", "more_than_left", f"more than is left of this payment: {left[corrects]:,.2f}")]
    return []


def _day(on: date | None, at: Moment) -> list[Fault]:
    if on is None:
        return [Fault("/on", "missing", "say on which day it arrived")]
    if on > at.now.date():
        return [Fault("/on", "ahead", "the day lies ahead: only money that has arrived is entered")]
    return []


def _words(name: str, given: str | None, *, needed: bool) -> list[Fault]:
    found = _plain(given)
    if needed and found is None:
        return [Fault(f"/{name}", "missing", "a required value is absent or null")]
    if found is not None and len(found) > _LONGEST[name]:
        return [Fault(f"/{name}", "too_long", f"the text has more than {_LONGEST[name]:,} characters")]
    return []


def _plain(given: str | None) -> str | None:
    return (given or "").strip() or None
