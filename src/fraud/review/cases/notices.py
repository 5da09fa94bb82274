"""Notices to people: a case was given to them, waits for a signature, was appealed against, or is due soon.

Off unless `[notices]` of `fraud.toml` names a webhook or a mail server. A notice names the case, never whom it is
about. What cannot be delivered is tried again with growing pauses, then logged and forgotten: the case itself, and
what is due, stand in the queue anyway.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import smtplib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from threading import Event as Signal
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from fraud.errors import Fault, SpecError
from fraud.store.casework.shapes import Case, CaseEvent

__all__ = ["KINDS", "SECRET", "SMTP_PASSWORD", "Notice", "Notices", "NoticeSettings", "notice_settings", "signature"]

log = logging.getLogger("fraud.notices")
SECRET, SMTP_PASSWORD = "FRAUD_NOTICE_SECRET", "FRAUD_SMTP_PASSWORD"
KINDS = ("assigned", "proposed", "appealed", "due_soon")
# Seconds between trials: a short outage, a restart, a longer one.
PAUSES = (1.0, 10.0, 60.0, 300.0)
_SECONDS = 10.0
_SHORTEST_SECRET = 16
_SUBJECTS = {
    "assigned": "Case {id} is in your hands / 案件{id}已分派给您",
    "proposed": "Case {id} waits for a second signature / 案件{id}待复核",
    "appealed": "Case {id} was appealed against / 案件{id}收到异议",
    "due_soon": "Case {id} is due soon / 案件{id}即将到期",
}


@dataclass(frozen=True)
class NoticeSettings:
    """Where notices go. `mail_to` is the address of each person by name; `*` stands for everybody who signs."""

    webhook: str | None = None
    secret: bytes = b""
    smtp: str | None = None
    smtp_password: str = ""
    mail_from: str = ""
    mail_to: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = KINDS

    @property
    def on(self) -> bool:
        """Whether anything is sent."""
        return self.webhook is not None or self.smtp is not None


def notice_settings(given: Mapping[str, Any], environ: Mapping[str, str]) -> NoticeSettings:
    """The settings of `[notices]`, with secrets out of the environment; raises `SpecError` that names every fault."""
    found = NoticeSettings(
        webhook=given.get("webhook"),
        secret=environ.get(SECRET, "").encode(),
        smtp=given.get("smtp"),
        smtp_password=environ.get(SMTP_PASSWORD, ""),
        mail_from=given.get("mail_from", ""),
        mail_to=dict(given.get("mail_to", {})),
        kinds=tuple(given.get("kinds", KINDS)),
    )
    faults = list(_faults(found))
    if faults:
        said = "; ".join(f"{f.where}: {f.detail}" for f in faults)
        raise SpecError(f"fraud.toml has {len(faults)} faults in [notices]: {said}"[:500], faults)
    return found


def _faults(given: NoticeSettings) -> Iterable[Fault]:
    if given.webhook is not None and urlsplit(str(given.webhook)).scheme not in ("https", "http"):
        yield Fault("/notices/webhook", "value", "expected an address that begins with https://")
    if given.webhook is not None and len(given.secret) < _SHORTEST_SECRET:
        yield Fault(
            "/notices/webhook", "missing", f"set {SECRET} to {_SHORTEST_SECRET} or more characters to sign with"
        )
    if given.smtp is not None and "@" not in given.mail_from:
        yield Fault("/notices/mail_from", "missing", "expected the address that mail comes from")
    if unknown := sorted(set(given.kinds) - set(KINDS)):
        yield Fault("/notices/kinds", "value", f"expected some of {', '.join(KINDS)}, found {unknown[0]!r}")


@dataclass(frozen=True)
class Notice:
    """One notice. `id` is the same whenever it is sent again; `to` is a person's name, or `*` for all who sign."""

    id: str
    kind: str
    to: str
    case_id: str
    state: str
    priority: str
    due_at: datetime | None
    by: str

    @classmethod
    def of_change(cls, after: Case, event: CaseEvent) -> Self | None:
        """The notice that a change calls for; None for most."""
        kinds = {"assigned": "assigned", "proposed": "proposed", "appealed": "appealed"}
        kind = kinds.get(event.what)
        if kind is None or (kind == "assigned" and after.assignee == event.who):
            return None
        to = after.assignee or "*" if kind == "assigned" else "*"
        return cls._of(after, f"{after.case_id}:{event.number}", kind, to, event.who)

    @classmethod
    def due_soon(cls, case: Case) -> Self:
        """The notice that a clock will end soon."""
        due = f"{case.due_at:%Y%m%d%H%M}" if case.due_at else ""
        return cls._of(case, f"{case.case_id}:due:{due}", "due_soon", case.assignee or "*", "")

    @classmethod
    def _of(cls, case: Case, notice_id: str, kind: str, to: str, by: str) -> Self:
        return cls(notice_id, kind, to, case.case_id, case.state, case.priority, case.due_at, by)

    @property
    def subject(self) -> str:
        """What it says in one line, in both languages."""
        return _SUBJECTS[self.kind].format(id=self.case_id)


def signature(secret: bytes, at: int, body: bytes) -> str:
    """What stands in `X-Fraud-Signature`: the second it was sent, and an HMAC-SHA-256 over that and the body."""
    return f"t={at},v1={hmac.new(secret, f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


class Notices:
    """Sends notices in a thread of its own, so that nobody waits for a mail server."""

    def __init__(
        self,
        settings: NoticeSettings,
        clock: Callable[[], datetime] = datetime.now,
        pauses: Iterable[float] = PAUSES,
    ) -> None:
        self._settings, self._clock, self._pauses = settings, clock, tuple(pauses)
        self._ended = Signal()
        self._sender = ThreadPoolExecutor(1, "fraud-notices") if settings.on else None

    @property
    def on(self) -> bool:
        """Whether anything is sent."""
        return self._settings.on

    def tell(self, before: Case, after: Case, event: CaseEvent) -> None:
        """Send what a change calls for; returns at once."""
        notice = Notice.of_change(after, event)
        if notice is not None and self._sender is not None:
            self._sender.submit(self.send, notice)

    def send(self, notice: Notice) -> bool:
        """Deliver a notice everywhere, trying again with pauses; whether it arrived everywhere that is wanted."""
        if notice.kind not in self._settings.kinds:
            return False
        ways: list[Callable[[Notice], None]] = []
        ways += [self._post] if self._settings.webhook else []
        ways += [self._mail] if self._settings.smtp and self._addresses(notice) else []
        arrived = [self._delivered(way, notice) for way in ways]
        return bool(arrived) and all(arrived)

    def _delivered(self, way: Callable[[Notice], None], notice: Notice) -> bool:
        for pause in (*self._pauses, None):
            try:
                way(notice)
                return True
            except Exception as error:
                # Whatever keeps a notice away, the case goes on.
                log.warning("notice %s was not delivered: %s", notice.id, type(error).__name__)
            if pause is None or self._ended.wait(pause):
                break
        log.error("notice %s is given up", notice.id)
        return False

    def close(self) -> None:
        """End; what is on its way is tried once more, what waits for another trial is given up."""
        self._ended.set()
        if self._sender is not None:
            self._sender.shutdown(wait=True)

    def _post(self, notice: Notice) -> None:
        import httpx

        body = orjson.dumps(vars(notice))
        signed = signature(self._settings.secret, int(self._clock().timestamp()), body)
        headers = {"Content-Type": "application/json", "X-Fraud-Signature": signed, "Idempotency-Key": notice.id}
        answer = httpx.post(str(self._settings.webhook), content=body, headers=headers, timeout=_SECONDS)
        answer.raise_for_status()

    def _addresses(self, notice: Notice) -> list[str]:
        own = self._settings.mail_to
        found = own.values() if notice.to == "*" and "*" not in own else [own.get(notice.to) or own.get("*") or ""]
        # Whoever proposed signs nothing: no mail to them.
        return sorted({a for a in found if a and a != own.get(notice.by)})

    def _mail(self, notice: Notice) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"] = self._settings.mail_from, ", ".join(self._addresses(notice))
        mail["Subject"] = notice.subject
        due = f"{notice.due_at:%Y-%m-%d %H:%M}" if notice.due_at else "–"
        mail.set_content(f"{notice.subject}\n\n{notice.priority} · {notice.state} · {due}\n")
        host, _, port = str(self._settings.smtp).partition(":")
        with smtplib.SMTP(host, int(port or 25), timeout=_SECONDS) as server:
            if server.has_extn("starttls"):
                server.starttls()
            if self._settings.smtp_password:
                server.login(self._settings.mail_from, self._settings.smtp_password)
            server.send_message(mail)
