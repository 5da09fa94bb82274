"""What is handed over with a case: one archive with all that it rests on, and the hash of every part.

The same case gives the same bytes, so that whoever gets the archive twice can see that nothing was changed.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from fraud.review.cases.casework import Casework
from fraud.store.casework.shapes import Attachment, Case
from fraud.store.ledger import Record
from fraud.store.recoveries import recoveries_of

__all__ = ["Show", "referral_pack"]

# What somebody is called in the archive, by column and id.
Show = Callable[[str, str | None], str | None]
_MOST_ENTRIES = 10_000
_STRANGE = re.compile(r"[^\w.() -]")
_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2


def _plainly(column: str, value: str | None) -> str | None:
    return value


def referral_pack(
    casework: Casework, case_id: str, reports: Mapping[str, bytes] | None = None, show: Show = _plainly
) -> bytes:
    """The archive (ZIP) of a case: how it stands, its history, files, decision, outcomes, ledger entries, reports.

    `reports` are the explanations by file name, as the caller has made them; `show` masks whom it is about. Entries
    of the ledger are those of changes: who merely read the case is not handed over.
    """
    case = casework.get(case_id)
    parts = {**_told(casework, case, show), **_files(casework, case)}
    parts |= {f"reports/{_safe(name)}": content for name, content in (reports or {}).items()}
    manifest = {
        "case": case.case_id,
        "state": case.state,
        "revision": case.revision,
        "files": {name: hashlib.sha256(parts[name]).hexdigest() for name in sorted(parts)},
    }
    return _archive({"manifest.json": _json(manifest), **{name: parts[name] for name in sorted(parts)}})


def _told(casework: Casework, case: Case, show: Show) -> dict[str, bytes]:
    shown = {"entity_id": show(f"{case.entity}_id", case.entity_id), "patient_id": show("patient_id", case.patient_id)}
    outcomes = [{**o, "entity_id": shown["entity_id"]} for o in casework.outcomes(case)]
    told = {
        "case.json": _json({**asdict(case), **shown}),
        "history.json": _json([asdict(e) for e in casework.history(case.case_id)]),
        "ledger.json": _json([e.as_dict() for e in _entries(casework, case)]),
        "outcomes.json": _json(outcomes),
    }
    with casework.store.database.read() as connection:
        money = recoveries_of(connection, case.case_id)
    told |= {"recoveries.json": _json([asdict(r) for r in money])} if money else {}
    decision = casework.store.decision(case.request_id) if case.request_id else None
    return told | ({"decision.json": decision.response} if decision is not None else {})


def _entries(casework: Casework, case: Case) -> list[Any]:
    found = casework.ledger.entries(Record("case", case.case_id), most=_MOST_ENTRIES)
    # Changes are numbered as the events of the case are.
    return [e for e in reversed(found) if "number" in e.as_dict()["details"]]


def _files(casework: Casework, case: Case) -> dict[str, bytes]:
    found = casework.attachments(case.case_id)
    return {_place(a): casework.attachment(case.case_id, a.number)[1] for a in found}


def _place(attachment: Attachment) -> str:
    return f"files/{attachment.number:03d} {_safe(attachment.name)}"


def _safe(name: str) -> str:
    """A name that no program takes for a path."""
    return _STRANGE.sub("_", name).lstrip(".") or "_"


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=_SORTED)


def _archive(parts: Mapping[str, bytes]) -> bytes:
    """The parts in their order; without a date, which would make two archives of one case differ."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o600 << 16, 3
            archive.writestr(entry, content)
    return written.getvalue()
