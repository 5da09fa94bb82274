"""Notices to people: a case was given to them, waits for a signature, was appealed against, or is due soon.

Off unless `[notices]` of `fraud.toml` names a webhook or a mail server. A notice names the case, never whom it is
about. It is written with the step that calls for it (`fraud.store.outbox`) and sent after, so that none is lost with a
process; what cannot be delivered is tried again with growing pauses, for a day, and then given up: `fraud doctor` says
so, and the case itself stands in the queue anyway. A notice may arrive twice when a process ends while it sends: it has
the same id then.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import smtplib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from typing import Any, Self
from urllib.parse import urlsplit

import orjson
from sqlalchemy.engine import Connection

from fraud.errors import Fault, SpecError
from fraud.store.casework.shapes import Case, CaseEvent
from fraud.store.outbox import Outbox, Waiting

__all__ = ["KINDS", "SECRET", "SMTP_PASSWORD", "Notice", "Notices", "NoticeSettings", "notice_settings", "signature"]

log = logging.getLogger("fraud.notices")
SECRET, SMTP_PASSWORD = "FRAUD_NOTICE_SECRET", "FRAUD_SMTP_PASSWORD"
KINDS = ("assigned", "proposed", "appealed", "due_soon")
# Seconds between trials of what is sent while somebody waits: a short outage, a restart.
PAUSES = (1.0, 10.0, 60.0)
_SECONDS = 10.0
# Between two looks for what another process left, or is due again.
_LOOK_SECONDS = 5.0
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
    def of_change(cls, after: Case, event: CaseEvent, account: str = "") -> Self | None:
        """The notice that a change calls for, made by an account; None for most."""
        kinds = {"assigned": "assigned", "proposed": "proposed", "appealed": "appealed"}
        kind = kinds.get(event.what)
        own = after.assignee == event.who or (account and after.assignee_id == account)
        if kind is None or (kind == "assigned" and own):
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

    def as_dict(self) -> dict[str, Any]:
        """The notice for programs."""
        return {**vars(self), "due_at": self.due_at.isoformat() if self.due_at is not None else None}

    @classmethod
    def of_dict(cls, found: Mapping[str, Any]) -> Self:
        """The notice that was kept so."""
        due = found["due_at"]
        return cls(**{**found, "due_at": datetime.fromisoformat(due) if due is not None else None})

    @property
    def subject(self) -> str:
        """What it says in one line, in both languages."""
        return _SUBJECTS[self.kind].format(id=self.case_id)


def signature(secret: bytes, at: int, body: bytes) -> str:
    """What stands in `X-Fraud-Signature`: the second it was sent, and an HMAC-SHA-256 over that and the body."""
    return f"t={at},v1={hmac.new(secret, f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


class Notices:
    """Sends notices. With an outbox a thread of its own does, so that nobody waits for a mail server.

    `note` writes what a change calls for, within the change; `tell` says that there may be something to send.
    """

    def __init__(
        self,
        settings: NoticeSettings,
        clock: Callable[[], datetime] = datetime.now,
        pauses: Iterable[float] = PAUSES,
        outbox: Outbox | None = None,
    ) -> None:
        self._settings, self._clock, self._pauses, self._outbox = settings, clock, tuple(pauses), outbox
        self._ended, self._woken = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        if settings.on and outbox is not None:
            self._thread = threading.Thread(target=self._work, args=(outbox,), name="fraud-notices", daemon=True)
            self._thread.start()

    @property
    def on(self) -> bool:
        """Whether anything is sent."""
        return self._settings.on

    def note(self, connection: Connection, after: Case, event: CaseEvent, account: str) -> None:
        """Write the notice that a change calls for into the transaction of the change; `account` made it."""
        notice = Notice.of_change(after, event, account)
        if notice is not None and self._outbox is not None and (ways := self._ways(notice)):
            self._outbox.put(connection, notice.id, notice.case_id, tuple(ways), notice.as_dict())

    def tell(self, before: Case, after: Case, event: CaseEvent) -> None:
        """Wake whoever sends; returns at once."""
        self._woken.set()

    def send(self, notice: Notice) -> bool:
        """Deliver a notice everywhere, trying again with pauses; whether it arrived everywhere that is wanted."""
        arrived = [self._delivered(way, notice) for way in self._ways(notice)]
        return bool(arrived) and all(arrived)

    def _ways(self, notice: Notice) -> Mapping[str, Callable[[Notice], None]]:
        """By which ways a notice goes."""
        if notice.kind not in self._settings.kinds:
            return {}
        post = {"webhook": self._post} if self._settings.webhook else {}
        return {**post, **({"mail": self._mail} if self._settings.smtp and self._addresses(notice) else {})}

    def _delivered(self, way: str, notice: Notice) -> bool:
        for pause in (*self._pauses, None):
            if (fault := self._tried(way, notice)) is None:
                return True
            if pause is None or self._ended.wait(pause):
                break
            log.info("notice %s is tried again after %s", notice.id, fault)
        log.error("notice %s is given up", notice.id)
        return False

    def _tried(self, way: str, notice: Notice) -> str | None:
        """Why a notice did not arrive; None when it did."""
        try:
            # A way that was taken out of the settings meanwhile needs no notice.
            if (send := self._ways(notice).get(way)) is not None:
                send(notice)
        except Exception as error:
            # Whatever keeps a notice away, the case goes on.
            log.warning("notice %s was not delivered by %s: %s", notice.id, way, type(error).__name__)
            return type(error).__name__
        return None

    def close(self) -> None:
        """End; what has not arrived waits in the outbox for the next start."""
        self._ended.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    # --- what waits ---------------------------------------------------------------------------------------

    def _work(self, outbox: Outbox) -> None:
        while not self._ended.is_set():
            self._woken.clear()
            try:
                while not self._ended.is_set() and (due := outbox.take()):
                    for own in due:
                        self._sent(outbox, own)
            except Exception as error:
                # A database that is away for a while: what waits is in it.
                log.warning("what is to be sent cannot be seen: %s", type(error).__name__)
            self._woken.wait(_LOOK_SECONDS)

    def _sent(self, outbox: Outbox, own: Waiting) -> None:
        fault = self._tried(own.way, Notice.of_dict(own.notice))
        if fault is None:
            outbox.arrived(own)
        elif outbox.failed(own, fault):
            log.error("notice %s is given up after %s attempts by %s", own.notice_id, own.tries + 1, own.way)

    def _post(self, notice: Notice) -> None:
        import httpx

        body = orjson.dumps(notice.as_dict())
        signed = signature(self._settings.secret, int(self._clock().timestamp()), body)
        headers = {"Content-Type": "application/json", "X-Fraud-Signature": signed, "Idempotency-Key": notice.id}
        where = str(self._settings.webhook)
        # Reading whom TLS trusts takes longer than the rest, and is for nothing where there is no TLS.
        answer = httpx.post(where, content=body, headers=headers, timeout=_SECONDS, verify=where.startswith("https:"))
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
        # The same when it is sent again, so that programs of mail show it once.
        mail["Message-ID"] = f"<{notice.id}@fraud.invalid>"
        due = f"{notice.due_at:%Y-%m-%d %H:%M}" if notice.due_at else "–"
        mail.set_content(f"{notice.subject}\n\n{notice.priority} · {notice.state} · {due}\n")
        host, _, port = str(self._settings.smtp).partition(":")
        with smtplib.SMTP(host, int(port or 25), timeout=_SECONDS) as server:
            if server.has_extn("starttls"):
                server.starttls()
            if self._settings.smtp_password:
                server.login(self._settings.mail_from, self._settings.smtp_password)
            server.send_message(mail)
