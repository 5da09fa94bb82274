"""The explanation report of a claim that the store knows, in every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from fraud.errors import InputError
from fraud.explaining.content.document import Audience
from fraud.explaining.report import FORMATS, Format, render
from fraud.web.access.masking import masked
from fraud.web.bodies.answers import LANGUAGES
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.calls.claims import chosen_locale
from fraud.web.calls.explained import explanation_of
from fraud.web.running.runtime import Runtime

__all__ = ["POLICY", "accepted_form", "claim_report"]

# The page has no scripts and asks for nothing from outside; nor may anything that slips into it.
POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
_BY_MEDIA_TYPE: Mapping[str, Format] = {kind.media_type: form for form, kind in FORMATS.items()}


def claim_report(runtime: Runtime, incoming: Incoming) -> Reply:
    """Why the claim stands where it stands, in the format that the caller likes best."""
    form = accepted_form(incoming.headers.get("accept", "*/*"))
    locale, audience = chosen_locale(incoming), _audience(incoming)
    request_id = incoming.query.get("request_id") or None
    explanation = explanation_of(runtime, incoming.path["claim_id"], request_id, incoming.caller)
    if not incoming.caller.sees_identities:
        explanation = masked(explanation, runtime.guard.masked)
    try:
        body = render(explanation, LANGUAGES[locale], form, audience)
    except InputError as error:
        # No font for a PDF: the other formats are there.
        raise Problem("not-acceptable", error.message) from error
    kind = FORMATS[form]
    return Reply(body, media_type=kind.media_type + ("; charset=utf-8" if kind.text else ""), headers=_headers(form))


def _headers(form: Format) -> dict[str, str]:
    """Files get a name that tells of nobody."""
    file = {"Content-Disposition": f'inline; filename="report.{form}"'} if form in ("pdf", "xlsx") else {}
    return {"Vary": "Accept", **file, **(POLICY if form == "html" else {})}


def _audience(incoming: Incoming) -> Audience:
    audience = incoming.query.get("audience", "internal")
    if audience not in get_args(Audience):
        raise Problem("bad-query", f"audience is one of {', '.join(get_args(Audience))}.")
    return audience  # type: ignore[return-value]


def accepted_form(accept: str) -> Format:
    """The first format that the client likes best; raises `Problem` when there is none."""
    ranges = sorted((_range(part) for part in accept.split(",")), key=lambda r: -r[1])
    for wanted, weight in ranges:
        for media_type, form in _BY_MEDIA_TYPE.items():
            if weight > 0 and wanted in (media_type, "*/*", media_type.split("/")[0] + "/*"):
                return form
    raise Problem("not-acceptable", f"A report comes as {', '.join(_BY_MEDIA_TYPE)}. Name one of them in Accept.")


def _range(part: str) -> tuple[str, float]:
    """Media range and weight of one part of `Accept`; an odd weight counts as none."""
    media_type, _, rest = part.strip().partition(";")
    weights = [p.strip()[2:] for p in rest.split(";") if p.strip().startswith("q=")]
    try:
        return media_type.strip().lower(), float(weights[0]) if weights else 1.0
    except ValueError:
        return media_type.strip().lower(), 0.0
