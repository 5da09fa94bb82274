"""China's audit interface: 3101 before and 3102 during a visit, 3103 what was done about a warning.

Callers are hospital systems with a person waiting. A message that is wrong gets `infcode` -1 and every fault of it;
whatever goes wrong here gets `infcode` 0 and no results, so that care goes on, and is logged and counted.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from fraud.claims.pseudonyms import mask
from fraud.errors import Fault
from fraud.store.outcomes import Feedback
from fraud.web.bodies.answers import as_bytes
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.reading import parsed
from fraud.web.bodies.shapes import Options
from fraud.web.exchange.audit_request import Asked, Audit, read_envelope, read_request
from fraud.web.exchange.audit_result import decision_of, results_of
from fraud.web.exchange.audit_settings import AuditSettings
from fraud.web.exchange.judging import judged
from fraud.web.exchange.reading import Reader
from fraud.web.running.runtime import Runtime
from fraud.web.telemetry import metrics

if TYPE_CHECKING:
    pass

__all__ = ["AuditInterface", "refused"]

log = logging.getLogger("fraud.web")
GOOD, BAD = 0, -1
REASON_LONGEST = 500
# What can be judged while a person waits.
MOST_ORDERS = 4_000
MOST_TOLD = 50
STAGES = {"1": "before", "2": "during"}
RESPONSES = {"1": "go_on", "2": "change"}
# What the people who read `err_msg` call a fault.
_SAYS = {
    "missing": "缺少必填值",
    "not_text": "应为文本",
    "not_a_number": "应为数值",
    "not_a_time": "时间格式应为 yyyy-MM-dd HH:mm:ss",
    "not_an_object": "应为对象",
    "not_a_list": "应为数组",
    "not_in_set": "不在允许的取值范围内",
    "too_long": "超过最大长度",
    "out_of_range": "超出合理范围",
    "negative": "不能为负数",
    "control_character": "含有控制字符",
    "not_known": "未找到对应的提醒结果",
    "discharged_before_admitted": "出院时间早于入院时间",
    "settled_before_admitted": "结算时间早于入院时间",
    "duplicate": "编号重复",
}
Told = tuple[int, list[dict[str, Any]], str | None]


@dataclass(frozen=True)
class AuditInterface:
    """The three calls, with a province's settings."""

    settings: AuditSettings

    def before(self, runtime: Runtime, incoming: Incoming) -> Reply:
        """3101: what the rules say before care is given."""
        return self._answer("3101", runtime, incoming, self._audit)

    def course(self, runtime: Runtime, incoming: Incoming) -> Reply:
        """3102: what the rules say while it is settled."""
        return self._answer("3102", runtime, incoming, self._audit)

    def feedback(self, runtime: Runtime, incoming: Incoming) -> Reply:
        """3103: what was done about warnings; kept as events."""
        return self._answer("3103", runtime, incoming, self._heard)

    def _answer(
        self, infno: str, runtime: Runtime, incoming: Incoming, work: Callable[[str, Runtime, Incoming, Any], Told]
    ) -> Reply:
        try:
            message = _message(incoming.body)
            told = work(infno, runtime, incoming, message)
        except Problem as problem:
            message, told = {}, (BAD, [], _refusal(problem))
        except Exception as error:
            # Whatever it is: nobody waits for care because of us.
            log.error("audit %s of request %s was let through", infno, incoming.request_id, exc_info=error)
            told = (GOOD, [], "open")
        code, results, why = told
        outcome = "refused" if code else why or ("warned" if results else "clear")
        metrics.audit_messages().labels(infno, outcome).inc()
        return _reply(message, incoming.request_id, runtime.now(), told)

    # --- 3101 and 3102 ------------------------------------------------------------------------------------

    def _audit(self, infno: str, runtime: Runtime, incoming: Incoming, message: Any) -> Told:
        audit, faults = read_request(message, infno, self.settings)
        if audit is None:
            return BAD, [], _named(faults)
        judgements = [self._results(runtime, incoming, audit, v, n) for n, v in enumerate(audit.visits)]
        results = [row for found in judgements if found is not None for row in found]
        return GOOD, results, "open" if None in judgements else None

    def _results(
        self, runtime: Runtime, incoming: Incoming, audit: Audit, visit: Asked, number: int
    ) -> list[dict[str, Any]] | None:
        """The results on one visit; None when it could not be judged, which harms no other."""
        if (orders := len(visit.bundle.lines)) > MOST_ORDERS:
            log.error("visit %d of request %s was let through: %d orders", number, incoming.request_id, orders)
            return None
        try:
            answer = orjson.loads(self._judged(runtime, incoming, audit, visit, number))
            return results_of(answer, visit, audit, self.settings, runtime.catalogue)
        except Exception as error:
            log.error("visit %d of request %s was let through", number, incoming.request_id, exc_info=error)
            return None

    def _judged(self, runtime: Runtime, incoming: Incoming, audit: Audit, visit: Asked, number: int) -> bytes:
        """The answer to a visit; the same message sent again gets the first one, with the same `jr_id`s."""
        settled = self.settings.is_settled(audit.scene)
        options = Options(explain="none", locale=self.settings.locale, store=settled)  # type: ignore[arg-type]
        key = ":".join(("audit", incoming.caller.name, audit.envelope.msgid, str(number)))
        digest = hashlib.sha256(incoming.body).digest()
        try:
            return judged(runtime, visit.bundle, visit.beside, options, key, digest).body
        except Problem as problem:
            # A system that counts its messages badly is heard all the same.
            if problem.name not in ("key-reused", "still-running"):
                raise
        return judged(runtime, visit.bundle, visit.beside, options, None, None).body

    # --- 3103 ---------------------------------------------------------------------------------------------

    def _heard(self, infno: str, runtime: Runtime, incoming: Incoming, message: Any) -> Told:
        reader = Reader(message, "")
        envelope, data = read_envelope(reader, infno)
        if data is None:
            return BAD, [], _named(reader.faults)
        stage = _choice(data, "warn_type", STAGES)
        warnings = data.children("warns", required=True)
        said = [_said(w, stage, envelope.msgid, runtime.now()) for w in warnings]
        known = runtime.store.known_decisions({f.request_id for f in said})
        for warning, reply in zip(warnings, said, strict=True):
            if reply.warning_id and reply.request_id not in known:
                where = f"{warning.at}.warn_rslt_id"
                reader.faults.append(Fault(where, "not_known", "no warning of this service has this id"))
        if reader.faults:
            return BAD, [], _named(reader.faults)
        runtime.store.add_feedback(said)
        return GOOD, [], None


def _said(warning: Reader, stage: str, message_id: str, now: datetime) -> Feedback:
    jr_id = warning.text("warn_rslt_id", required=True) or ""
    response = _choice(warning, "dspo_way", RESPONSES)
    reason = warning.row.get("dspo_way_rea")
    text = reason.strip() if isinstance(reason, str) else ""
    if response == "go_on" and not text:
        warning.fault("dspo_way_rea", "missing")
    if len(text) > REASON_LONGEST:
        warning.fault("dspo_way_rea", "too_long")
    # Whoever writes a reason may name somebody by number.
    return Feedback(jr_id, message_id, decision_of(jr_id), stage, response, mask(text) or None, now)


def _choice(reader: Reader, name: str, words: dict[str, str]) -> str:
    code = reader.text(name, required=True)
    if code is not None and code not in words:
        reader.fault(name, "not_in_set")
    return words.get(code or "", "")


# --- the message around it --------------------------------------------------------------------------------


# Refusals that a network's watchers must see as such; for all others the message itself says enough.
_BY_STATUS = (401, 403)


def refused(problem: Problem, request_id: str) -> Reply:
    """The answer where the work was never reached: too large a message is refused, too busy a service lets pass."""
    status = problem.kind.status
    ours = status >= 500 or status in (408, 429)
    told: Told = (GOOD, [], "open") if ours else (BAD, [], _refusal(problem))
    metrics.audit_messages().labels("door", "open" if ours else "refused").inc()
    reply = _reply({}, request_id, datetime.now(), told)
    return replace(reply, status=status if status in _BY_STATUS else 200, headers=problem.headers)


def _message(body: bytes) -> dict[str, Any]:
    message = parsed(body)
    if not isinstance(message, dict):
        raise Problem("faults", "The message is not a JSON object.")
    return message


def _refusal(problem: Problem) -> str:
    return f"报文无法处理 {problem.name}: {problem.detail}"


def _named(faults: Sequence[Fault]) -> str:
    """Every fault by place, once; of very many the first and how many there are."""
    once = list(dict.fromkeys((f.where, f.code) for f in faults))
    more = f"; 共{len(once)}处" if len(once) > MOST_TOLD else ""
    return "; ".join(f"{where}: {_SAYS.get(code, code)}" for where, code in once[:MOST_TOLD]) + more


def _reply(message: dict[str, Any], request_id: str, now: datetime, told: Told) -> Reply:
    code, results, why = told
    moment = f"{now:%Y%m%d%H%M%S}{now.microsecond // 1000:03d}"
    region = message.get("mdtrtarea_admvs")
    answer = {
        "infcode": code,
        "inf_refmsgid": _reference(region if isinstance(region, str) else "", moment, request_id),
        "refmsg_time": moment,
        "respond_time": moment,
        "err_msg": why if code else "",
        "output": {"result": results},
    }
    return Reply(as_bytes(answer))


def _reference(region: str, moment: str, request_id: str) -> str:
    """Region (6), time (14) and a number (10): what we call the message."""
    digest = int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8], "big")
    return f"{_digits(region):>06.6}{moment[:14]}{digest % 10**10:010d}"


def _digits(text: Iterable[str]) -> str:
    return "".join(c for c in text if c in "0123456789")
