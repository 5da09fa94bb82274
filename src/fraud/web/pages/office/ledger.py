"""The ledger: who read or changed what, and whether the chain still holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from fraud.errors import InputError
from fraud.store.ledger import KINDS, Entry, Record, Seal, Verdict
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import Page, View, Visit, who
from fraud.web.pages.frame.wording import Words

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_READERS = ("auditor", "admin")
_PAGE = 50
# Sections of the words for steps and for states, by the kind of what they are about.
_STEPS = {"case": "case_events", "campaign": "campaign_steps"}
_STATES = {"case": "case_states", "campaign": "campaign_states"}


def ledger(runtime: Runtime, visit: Visit) -> View:
    """The latest entries: all, or those of somebody, of a record, of one kind of event."""
    return _page(visit)


def _page(visit: Visit, verdict: Verdict | None = None, faults: str = "") -> View:
    query = visit.query
    record = _record(query.get("kind", ""), query.get("record", ""))
    before = query.get("before", "")
    found = visit.desk.guard.ledger.entries(
        record,
        _who(visit, query.get("who", "").strip()),
        _PAGE + 1,
        what=query.get("what", "").strip() or None,
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None,
    )
    values = {
        "entries": found[:_PAGE],
        "more": found[_PAGE - 1].position if len(found) > _PAGE else None,
        "names": _names(visit),
        "told": [_told(e, visit.words) for e in found[:_PAGE]],
        "details": [_details(e, visit.words) for e in found[:_PAGE]],
        "kinds": KINDS,
        "seal": str(visit.desk.guard.ledger.seal()),
        "verdict": verdict,
        "seal_fault": faults,
    }
    return View("ledger.html.j2", values, 422 if faults else 200)


def _record(kind: str, own: str) -> Record | None:
    if not own.strip():
        return None
    if kind not in KINDS:
        raise PageProblem("bad-query", "Say what kind of record it is.")
    return Record(kind, own.strip())


def _who(visit: Visit, given: str) -> str | None:
    """The ledger's word for somebody: people may be asked for by the name that they sign in with."""
    people = {p.name: p.who for p in visit.desk.people.all()}
    return people.get(given.lower(), given) or None


def _names(visit: Visit) -> dict[str, str]:
    """Names of people and keys by the ledger's word for them."""
    people = {p.who: p.display_name for p in visit.desk.people.all()}
    return {key.key_id: key.name for key in visit.desk.keys.all()} | people


def _told(entry: Entry, words: Words) -> str:
    """What happened, in the reader's language; the steps of a case have words of their own."""
    kind, _, step = entry.what.partition(".")
    known = words.of("events", entry.what)
    if known != entry.what or kind not in _STEPS:
        return known
    return f"{words.of('kinds', kind)}{words('case.gap')}{words.of(_STEPS[kind], step)}"


def _details(entry: Entry, words: Words) -> Sequence[tuple[str, str]]:
    kind = entry.what.partition(".")[0]
    found = orjson.loads(entry.details).items()
    return [(words.of("ledger_details", name), _detail(kind, name, value, words)) for name, value in found]


def _detail(kind: str, name: str, value: Any, words: Words) -> str:
    if isinstance(value, bool):
        return words.label("values", "true" if value else "false")
    if isinstance(value, list):
        return " ".join(str(v) for v in value) or "–"
    if name == "role":
        return words.of("roles", str(value))
    if name in ("from", "to") and kind in _STATES and value is not None:
        return words.of(_STATES[kind], str(value))
    return value if isinstance(value, str) else "–" if value is None else orjson.dumps(value).decode()


def verify(runtime: Runtime, visit: Visit) -> View:
    """Whether the chain holds, and whether an earlier seal is still within it."""
    given = visit.form.text("seal")
    try:
        seal = Seal.read(given) if given else None
    except InputError:
        return _page(visit, faults=visit.words("faults.seal"))
    return _page(visit, visit.desk.guard.ledger.verify(seal))


PAGES = (
    Page("ledger", "/ledger", ledger, who(*_READERS, event="ledger.read", unbounded=True), menu="admin", key="l"),
    Page("ledger_verify", "/ledger", verify, who(*_READERS, event="ledger.verified", unbounded=True), method="POST",
         seconds=25.0),
)  # fmt: skip
