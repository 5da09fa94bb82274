"""Scoring claims for calls: many at once, each for itself, and every decision durable before its answer leaves."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fraud.review.cases.opening import Flagged, opened_for
from fraud.scoring.shapes import ClaimBundle, History, Score
from fraud.store import Answer, Decision, StoreBusyError
from fraud.store.casework.opening import Opened
from fraud.store.versions import as_json
from fraud.web.bodies.answers import as_bytes, claim_score, model_name
from fraud.web.bodies.faults import checked
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.reading import MOST_LINES, parsed
from fraud.web.bodies.shapes import Options, ScoreBody, bundle_of
from fraud.web.calls.company import with_company
from fraud.web.calls.idempotency import digest_of, key_of, told_again
from fraud.web.running.runtime import Runtime
from fraud.web.telemetry import metrics, traces
from fraud.web.telemetry.traces import Trace, current

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["Asked", "Judged", "check_lines", "compute", "judge", "observe", "record", "recorded"]

log = logging.getLogger("fraud.web")
_NO_MODEL = ("none", "none")


@dataclass(frozen=True)
class Asked:
    """A claim to score, and how it is to be answered; `key` gets the answer again.

    `beside` adds to the history what came with the request.
    """

    bundle: ClaimBundle
    options: Options
    key: str | None = None
    digest: bytes | None = None
    beside: Callable[[History], History] | None = None
    trace: Trace | None = field(default_factory=current)

    def knowing(self, history: History | None) -> History | None:
        """The history with what came with the request; None stays None: it could not be had."""
        return history if self.beside is None or history is None else self.beside(history)


@dataclass(frozen=True)
class Judged:
    """A claim with its score, and the answer that is to be recorded before it is given."""

    asked: Asked
    score: Score
    answer: Answer

    @property
    def body(self) -> bytes:
        """The answer's bytes."""
        return self.answer.decision.response


# --- many requests together -------------------------------------------------------------------------------


def compute(runtime: Runtime, incoming: Sequence[Incoming]) -> list[Judged | Reply | Exception]:
    """For each request its judged claim, the first answer of its key, or what is wrong with it."""
    started = perf_counter()
    read = [_read_or_error(i) for i in incoming]
    observe("read", started)
    slots = _told_again(runtime, read)
    places = [n for n, slot in enumerate(slots) if isinstance(slot, Asked)]
    judged = judge(runtime, [slot for slot in slots if isinstance(slot, Asked)])
    for place, one in zip(places, judged, strict=True):
        slots[place] = one
    return slots  # type: ignore[return-value]


def record(runtime: Runtime, slots: Sequence[Judged | Reply | Exception]) -> list[Reply | Exception]:
    """The replies, once the decisions of all of them are durable in one commit."""
    replies = iter(recorded(runtime, [slot for slot in slots if isinstance(slot, Judged)]))
    return [next(replies) if isinstance(slot, Judged) else slot for slot in slots]


def _read_or_error(incoming: Incoming) -> Asked | Exception:
    try:
        return _read(incoming)
    except Exception as error:
        return error


def _read(incoming: Incoming) -> Asked:
    started = perf_counter()
    body = parsed(incoming.body)
    check_lines(body)
    read = checked(ScoreBody, body)
    key = key_of(incoming, "score")
    asked = Asked(bundle_of(read), read.options, key, digest_of(incoming) if key else None, trace=incoming.trace)
    traces.tell([asked], "read", started)
    return asked


def _told_again(runtime: Runtime, slots: Sequence[Asked | Exception]) -> list[Any]:
    """The slots; those whose key was answered before with that answer."""
    keyed = [(s.key, s.digest) for s in slots if isinstance(s, Asked) and s.key and s.digest]
    if not keyed:
        return list(slots)
    try:
        seen = dict(zip(keyed, runtime.store.seen_keys(keyed), strict=True))
    except StoreBusyError:
        # Whether a key was answered is looked up again when the decision is recorded, or nothing is recorded.
        return list(slots)
    return [_or_before(s, seen.get((s.key, s.digest))) if isinstance(s, Asked) else s for s in slots]  # type: ignore[arg-type]


def _or_before(slot: Any, seen: Any) -> Any:
    if seen is None:
        return slot
    try:
        return told_again(seen)
    except Problem as problem:
        return problem


def check_lines(body: Any) -> None:
    """Refuse what has too many lines before looking at any of them."""
    claims = body.get("claims") if isinstance(body, dict) else None
    found = [body, *claims] if isinstance(claims, list) else [body]
    counts = (len(lines) for b in found if isinstance(b, dict) and isinstance(lines := b.get("lines"), list))
    if (most := max(counts, default=0)) > MOST_LINES:
        raise Problem("too-many-lines", f"The claim has {most:,} lines; a claim may have {MOST_LINES:,}.")


# --- judging ----------------------------------------------------------------------------------------------


def judge(runtime: Runtime, asked: Sequence[Asked], company: Sequence[ClaimBundle] = ()) -> list[Judged | Exception]:
    """For each claim its score and the answer to be recorded, or what came in between; none harms another.

    The claims of `company` are known to those that settled later, as if they were history already.
    """
    if not asked:
        return []
    metrics.together().observe(len(asked))
    scorer = runtime.scorer
    started = perf_counter()
    histories = [
        h if h is None or isinstance(h, Exception) else with_company(a.bundle, h, company)
        for a, h in zip(asked, _histories(runtime, asked), strict=True)
    ]
    history_ms = observe("history", started)
    traces.tell(asked, "history", started)
    started = perf_counter()
    known = [a.knowing(h) for a, h in zip(asked, histories, strict=True) if not isinstance(h, Exception)]
    able = [a for a, h in zip(asked, histories, strict=True) if not isinstance(h, Exception)]
    scores = iter(_scores(scorer, able, known))
    results = [h if isinstance(h, Exception) else next(scores) for h in histories]
    laps = {id(s.timing_ms): s.timing_ms for s in results if isinstance(s, Score)}
    _observe_laps(laps.values())
    traces.tell_laps(asked, started, next(iter(laps.values()), {}))
    drafts = [s if isinstance(s, Exception) else _draft(runtime, a, s) for a, s in zip(asked, results, strict=True)]
    opened = _cases(runtime, drafts)
    return [d if isinstance(d, Exception) else _judged(scorer, d, opened.get(d.request_id), history_ms) for d in drafts]


def _scores(scorer: Any, asked: Sequence[Asked], known: Sequence[History | None]) -> list[Score | Exception]:
    if len(asked) != 1:
        explain = [a.options.explain for a in asked]
        found: list[Score | Exception] = scorer.score_many([a.bundle for a in asked], known, explain=explain)
        return found
    try:
        return [scorer.score(asked[0].bundle, known[0], explain=asked[0].options.explain)]
    except Exception as error:
        return [error]


def _histories(runtime: Runtime, asked: Sequence[Asked]) -> Sequence[History | None | Exception]:
    """What was known before each claim; None where it could not be had in time."""
    claims = [a.bundle.claim for a in asked]
    rest = (runtime.scorer.wanted, runtime.claim_model)
    try:
        return runtime.histories.read(runtime.store, claims, *rest) or [None] * len(claims)
    except Exception as error:
        if len(asked) == 1:
            return [error]
    # One of them cannot be looked up; which one shows when each is looked up for itself.
    return [_histories(runtime, [a])[0] for a in asked]


@dataclass(frozen=True)
class _Draft:
    """A scored claim on its way to an answer; `request` is the claim as the decision log keeps it."""

    asked: Asked
    score: Score
    request_id: str
    scored_at: datetime
    request: bytes


def _draft(runtime: Runtime, asked: Asked, score: Score) -> _Draft | Exception:
    try:
        return _Draft(asked, score, uuid4().hex, _moment(runtime.now()), as_json(asked.bundle))
    except Exception as error:
        return error


def _cases(runtime: Runtime, drafts: Sequence[_Draft | Exception]) -> dict[str, Opened | None]:
    """The cases of claims that do not pass and are kept, by request; most batches have none and ask nobody."""
    flagged = [
        Flagged(d.asked.bundle.claim, d.score, d.request_id, d.scored_at, d.request)
        for d in drafts
        if isinstance(d, _Draft) and d.score.action != "pass" and d.asked.options.store
    ]
    found = opened_for(runtime.store, runtime.case_rules, flagged)
    return dict(zip((f.request_id for f in flagged), found, strict=True))


def _judged(scorer: Any, draft: _Draft, opened: Opened | None, history_ms: float) -> Judged | Exception:
    try:
        decision = _decision(scorer, draft, opened, history_ms)
    except Exception as error:
        return error
    asked = draft.asked
    bundle = asked.bundle if asked.options.store else None
    return Judged(asked, draft.score, Answer(decision, bundle, asked.key, asked.digest, opened))


def _decision(scorer: Any, draft: _Draft, opened: Opened | None, history_ms: float) -> Decision:
    request_id, scored_at, score = draft.request_id, draft.scored_at, draft.score
    claim_id = str(draft.asked.bundle.claim["claim_id"])
    model = model_name(scorer.model, scorer.catalogue.digest)
    options = draft.asked.options
    answer = claim_score(
        request_id, claim_id, scored_at, score, model, history_ms, options.explain, options.locale,
        opened.case if opened else None,
    )  # fmt: skip
    return Decision(request_id, claim_id, scored_at, score.action, as_bytes(answer), draft.request)


def _moment(now: datetime) -> datetime:
    """The clock to the millisecond."""
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


# --- recording --------------------------------------------------------------------------------------------


def recorded(
    runtime: Runtime, judged: Sequence[Judged], finished: tuple[str, bytes] | None = None
) -> list[Reply | Exception]:
    """The replies of judged claims, once all of them are durable; `finished` as `Store.put_answers` takes it."""
    if not judged:
        return []
    started = perf_counter()
    try:
        seen: Sequence[Any] = runtime.store.put_answers([j.answer for j in judged], finished)
    except StoreBusyError as error:
        metrics.store_errors().labels("record").inc()
        return [error] * len(judged)
    except Exception:
        # Nothing of it was stored. One of them cannot be; which one shows when each is stored for itself.
        log.exception("%d decisions are recorded one by one", len(judged))
        seen = [_recorded_alone(runtime, j) for j in judged]
        if finished is not None:
            runtime.store.finish(finished[0], 200, finished[1])
    observe("record", started)
    traces.tell([j.asked for j in judged], "record", started)
    _count([j.score for j, s in zip(judged, seen, strict=True) if s is None], runtime.scorer.model)
    return [_reply(runtime, j, s) for j, s in zip(judged, seen, strict=True)]


def _recorded_alone(runtime: Runtime, judged: Judged) -> Any:
    try:
        return runtime.store.put_answers([judged.answer])[0]
    except Exception as error:
        return error


def _reply(runtime: Runtime, judged: Judged, seen: Any) -> Reply | Exception:
    if isinstance(seen, Exception):
        return seen
    if seen is not None:
        found: Reply | Exception = _or_before(None, seen)
        return found
    score = judged.score
    if runtime.shadow is not None:
        request_id = judged.answer.decision.request_id
        runtime.shadow.offer(request_id, judged.asked.bundle, score.risk.percentile if score.risk else None)
    return Reply(judged.body)


# --- figures ----------------------------------------------------------------------------------------------


def observe(stage: str, started: float) -> float:
    """Milliseconds since then; told to Prometheus as one step, however many claims it was for."""
    seconds = perf_counter() - started
    metrics.stages().labels(stage).observe(seconds)
    return round(seconds * 1e3, 3)


def _observe_laps(laps: Iterable[Mapping[str, float]]) -> None:
    """The steps of scorings; of claims that were scored together there is one."""
    for one in laps:
        for stage, ms in one.items():
            metrics.stages().labels(stage).observe(ms / 1e3)


def _count(scores: Sequence[Score], model: FittedModel | None) -> None:
    """Tell Prometheus what was decided: each figure once for all claims, since each is written to a shared file."""
    named = (model.spec.name, str(model.version or 0)) if model else _NO_MODEL
    told = (
        (metrics.decisions(), ((s.action,) for s in scores)),
        (metrics.scored(), (named if s.risk else _NO_MODEL for s in scores)),
        (metrics.findings(), ((f.signal.id, f.status) for s in scores for f in s.findings)),
        (metrics.degraded(), ((what,) for s in scores for what in s.degraded)),
    )
    for figure, labels in told:
        for own, times in Counter(labels).items():
            figure.labels(*own).inc(times)
