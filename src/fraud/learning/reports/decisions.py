"""The paper of a decision on a promotion, as people read it and as programs do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fraud.learning.reports.conditions import failed, gate_table
from fraud.learning.reports.documents import (
    NOT_KNOWN,
    Block,
    Document,
    Pairs,
    Points,
    Section,
    Table,
    Words,
    moment,
    quoted,
    to_html,
    to_markdown,
)
from fraud.learning.reports.numbers import count, of_metric, signed_metric
from fraud.learning.validation.gates import GateResult
from fraud.signals.definition import LOCALES

__all__ = ["decision_files", "decision_page"]


def decision_files(decision: Mapping[str, Any], entity: str) -> dict[str, str]:
    """The decision as JSON, and in every language as HTML and Markdown, by the ending of its file."""
    files = {"json": json.dumps(decision, indent=1, ensure_ascii=False)}
    for locale in LOCALES:
        page = decision_page(decision, entity, locale)
        files |= {f"{locale}.html": to_html(page), f"{locale}.md": to_markdown(page)}
    return files


def decision_page(decision: Mapping[str, Any], entity: str, locale: str) -> Document:
    """The decision in one language."""
    w = Words(locale)
    promoted, old, new = decision["decision"] == "promoted", decision["champion"], decision["challenger"]
    sections = [
        ("reasons", _refusals(decision, w)),
        ("decision", _people(decision, w)),
        ("comparison", _comparison(decision, entity, w)),
        ("gates", _gates(decision, w)),
        ("versions", _versions(old, new, w)),
    ]
    pills = [(w.say("decision.pill_promoted" if promoted else "decision.pill_refused"), "good" if promoted else "bad")]
    if decision["trial"]:
        pills.append((w.say("decision.trial"), ""))
    versions = {"challenger": new["version"], "champion": old["version"] if old else NOT_KNOWN}
    outcome = "promoted" if promoted else "refused" if old else "refused_first"
    return Document(
        lang=w.lang,
        kicker=w.say("decision.kicker"),
        title=w.say("decision.title" if old else "decision.title_first", name=decision["model"], **versions),
        pills=pills,
        lead=w.say(f"decision.{outcome}", count=len(decision["refusals"]), **versions),
        notice=(w.say("decision.notice"), w.say("decision.notice_text")),
        sections=[Section(w.say(f"headings.{key}"), blocks) for key, blocks in sections if blocks],
    )


def _refusals(decision: Mapping[str, Any], w: Words) -> list[Block]:
    gates = {g["said"]: failed(_result(g), w) for g in decision["gates"]}
    told = [gates.get(f["detail"]) or _refusal(f, w) for f in decision["refusals"]]
    return [Points(told), w.say("decision.again")] if told else []


def _refusal(fault: Mapping[str, Any], w: Words) -> str:
    """A condition that did not hold, in the reader's language where there are words for it."""
    part, _, metric = fault["where"].partition("/")
    if not w.has(f"refused.{part}_{fault['code']}"):
        return str(fault["detail"])
    return w.say(f"refused.{part}_{fault['code']}", metric=w.label("metrics", metric))


def _people(decision: Mapping[str, Any], w: Words) -> list[Block]:
    reason = decision["reason"] or w.say("decision.no_reason")
    rows = [(k, decision[k] or NOT_KNOWN) for k in ("by", "approved_by")]
    rows.append(("at", moment(decision["at"])))
    # What people wrote stands as they wrote it.
    return [Pairs([(w.say(f"decision.{k}"), v) for k, v in rows]), f"{w.say('decision.reason')}{w.colon}{reason}"]


def _comparison(decision: Mapping[str, Any], entity: str, w: Words) -> list[Block]:
    found = decision["comparison"]
    if not found:
        note = decision["note"]
        # The note of a first version says what the sentence says.
        return [w.say("protocol.none"), *quoted([note] if decision["champion"] and note else [], w)]
    names = ("entities_plural", "counters")
    places = dict(zip(("entities", "counter"), (w.label(n, entity) for n in names), strict=True))
    who = "both" if len(found["refitted"]) > 1 else (found["refitted"] or ("both",))[0]
    counts = {k: count(found[k]) for k in ("rows", "decided", "positive", "per_week")}
    return [
        w.say(f"protocol.{found['protocol']}", cut=found["cut"], refitted=w.say(f"protocol.{who}")),
        w.say("decision.rows", **places, **counts),
        w.say("decision.level"),
        Table(_head(w), [_row(d, w) for d in found["differences"]], words=2),
        Pairs([(w.say("decision.data"), found["data_digest"])], code=True),
    ]


def _head(w: Words) -> list[str]:
    own = [w.say(f"decision.{k}") for k in ("verdict", "champion", "challenger", "difference", "interval")]
    return [w.say("figures.metric"), *own]


def _row(d: Mapping[str, Any], w: Words) -> list[str]:
    title = w.label("metrics", d["metric"])
    verdict = {"better": "better", "worse": "worse", "no different": "same"}.get(d["verdict"], "unknown")
    return [
        title if d["judged"] else w.say("decision.only_told", metric=title),
        w.say(f"decision.{verdict}"),
        *(of_metric(d["metric"], d[k]) for k in ("champion", "challenger")),
        signed_metric(d["metric"], d["difference"]),
        w.say("backtest.to", **{k: signed_metric(d["metric"], d[k]) for k in ("low", "high")}),
    ]


def _gates(decision: Mapping[str, Any], w: Words) -> list[Block]:
    gates = [_result(g) for g in decision["gates"]]
    return [w.say("gates.lead"), gate_table(gates, w)] if gates else []


def _result(gate: Mapping[str, Any]) -> GateResult:
    return GateResult(gate["condition"], gate["measured"], gate["holds"], gate["alarm"])


def _versions(old: Mapping[str, Any] | None, new: Mapping[str, Any], w: Words) -> list[Block]:
    blocks: list[Block] = []
    for key, standing in (("champion", old), ("challenger", new)):
        if standing:
            rows = [
                (f"{w.say(f'decision.{key}')}", w.say("card.version", version=standing["version"])),
                (w.say("decision.fitted"), standing["fitted_on"][:10]),
                (w.say("decision.digest"), standing["digest"]),
                (w.say("made.data"), standing["data_digest"]),
                (w.say("made.catalogue"), standing["catalogue_digest"]),
                (w.say("decision.run"), standing["run_id"]),
            ]
            blocks.append(Pairs(rows, code=True))
    return blocks
