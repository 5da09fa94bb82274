"""Notices arrive at a real server, signed, tried again while it is away, and name nobody."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fraud.cli import app
from fraud.commands.doctor import _notices
from fraud.config import load_settings
from fraud.errors import SpecError
from fraud.review.cases import Casework, workflow
from fraud.review.cases.notices import SECRET, Notice, Notices, NoticeSettings, notice_settings, signature
from fraud.store import Ledger, Store
from fraud.store.outbox import LEASE, Outbox
from fraud.web.running.runtime import Models, Runtime
from tests.cases.parts import ANN, BOB, EVERYWHERE, FOUND, SUE, Clock, confirmed, scored, taken
from tests.cases.test_rules import ROOT

KEY = b"a secret of a desk"


class Hook(HTTPServer):
    """Takes notices; `away` times it fails first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.away = 0


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.away -= 1
        self.send_response(200 if self.server.away < 0 else 503)
        self.end_headers()
        if self.server.away < 0:
            self.server.got.append((dict(self.headers), body))

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


class Post(socketserver.TCPServer):
    """A mail server that says yes to everything and keeps what it is told."""

    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Clerk)
        self.said: list[str] = []


class _Clerk(socketserver.StreamRequestHandler):
    server: Post

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        inside = False
        for line in self.rfile:
            text = line.decode().strip()
            self.server.said.append(text)
            if inside and text != ".":
                continue
            inside = text.upper() == "DATA"
            if text.upper() == "QUIT":
                self.wfile.write(b"221 gone\r\n")
                return
            self.wfile.write(b"354 go on\r\n" if inside else b"250 yes\r\n")


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    with served(server):
        yield server


def to(hook: Hook) -> NoticeSettings:
    return NoticeSettings(webhook=f"http://127.0.0.1:{hook.server_port}/cases", secret=KEY)


SOON = tuple(timedelta(milliseconds=1) for _ in range(2))


def casework(store: Store, clock: Clock, notices: Notices) -> Casework:
    return Casework(store, clock=clock, tell=notices.tell, note=notices.note)


def sending(store: Store, settings: NoticeSettings, clock: Clock | None = None) -> Notices:
    """Notices of a store, sent within moments."""
    outbox = Outbox(store.database, waits=SOON)
    return Notices(settings, clock, outbox=outbox) if clock is not None else Notices(settings, outbox=outbox)


def until(done: Callable[[], bool]) -> None:
    """Wait for what a thread does."""
    ends = time.monotonic() + 30
    while not done() and time.monotonic() < ends:
        time.sleep(0.02)
    assert done()


def empty(store: Store) -> bool:
    return Outbox(store.database).state().waiting == 0


def test_changes_that_concern_somebody_are_told_signed_and_name_nobody(store: Store, hook: Hook, clock: Clock) -> None:
    notices = sending(store, to(hook), clock)
    work = casework(store, clock, notices)
    work.assign(work.open(scored(), ANN).case_id, SUE, "ann")
    case = work.propose(work.about("claim", "c-1")[0].case_id, ANN, FOUND)
    work.appeal(work.confirm(case.case_id, BOB).case_id, ANN, "Zhang San objects")
    until(lambda: empty(store))
    notices.close()
    told = sorted((json.loads(body) for _, body in hook.got), key=lambda n: n["id"])
    assert [(n["kind"], n["to"], n["case_id"]) for n in told] == [
        ("assigned", "ann", case.case_id),
        ("proposed", "*", case.case_id),
        ("appealed", "*", case.case_id),
    ]
    assert not any(b"p-1" in body or b"Zhang" in body for _, body in hook.got)
    headers, body = hook.got[0]
    sent = headers["X-Fraud-Signature"]
    assert sent == signature(KEY, int(clock().timestamp()), body)
    assert sent != signature(b"another secret of ours", int(clock().timestamp()), body)


def test_whoever_takes_a_case_needs_no_notice_of_it_nor_of_one_given_to_oneself(
    store: Store, hook: Hook, clock: Clock
) -> None:
    notices = Notices(to(hook), clock, outbox=None)
    listed = Notices(NoticeSettings(), outbox=Outbox(store.database))
    for own in (notices, listed):
        taken(casework(store, clock, own), f"c-{id(own)}")
    case = casework(store, clock, listed).open(scored("c-own"), SUE)
    casework(store, clock, listed).assign(case.case_id, SUE, "sue")
    assert empty(store)
    assert hook.got == []


@EVERYWHERE
def test_what_a_process_that_ended_left_is_sent_by_the_next_one(store: Store, hook: Hook, clock: Clock) -> None:
    # Only written: as by a process that was killed right after the step.
    before = Notices(to(hook), clock, outbox=Outbox(store.database))
    before.close()
    casework(store, clock, before).propose(taken(casework(store, clock, before)).case_id, ANN, FOUND)
    assert (hook.got, Outbox(store.database).state().waiting) == ([], 1)
    after = sending(store, to(hook), clock)
    until(lambda: empty(store))
    after.close()
    assert len(hook.got) == 1


def test_the_service_writes_what_it_has_to_tell_and_sends_it(store: Store, hook: Hook, clock: Clock) -> None:
    notices = sending(store, to(hook), clock)
    runtime = Runtime(store, None, None, Models(), notices=notices, now=clock)  # type: ignore[arg-type]
    runtime.casework.propose(taken(runtime.casework).case_id, ANN, FOUND)
    until(lambda: empty(store) and len(hook.got) == 1)
    runtime.close()


def test_a_step_that_is_refused_leaves_no_notice(store: Store, hook: Hook, clock: Clock) -> None:
    quiet = Notices(to(hook), clock, outbox=Outbox(store.database))
    quiet.close()
    work = casework(store, clock, quiet)
    case = taken(work)

    def fails(connection: object, case: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        work.change(case.case_id, ANN, [lambda c, at: workflow.propose(c, ANN, at, FOUND)], finish=fails)
    assert empty(store)


@EVERYWHERE
def test_of_two_processes_one_sends_each_notice(store: Store, hook: Hook, clock: Clock) -> None:
    both = [sending(store, to(hook), clock) for _ in range(2)]
    work = casework(store, clock, both[0])
    for n in range(8):
        work.assign(work.open(scored(f"c-{n}"), ANN).case_id, SUE, "ann")
        both[1].tell(*[None] * 3)  # type: ignore[list-item]
    until(lambda: empty(store))
    for own in both:
        own.close()
    ids = [h["Idempotency-Key"] for h, _ in hook.got]
    assert (len(ids), len(set(ids))) == (8, 8)


def test_what_does_not_arrive_is_tried_again_with_growing_pauses_and_then_given_up(store: Store, clock: Clock) -> None:
    now = [datetime(2026, 3, 2, 9, tzinfo=UTC)]
    waits = (timedelta(seconds=10), timedelta(minutes=5))
    outbox = Outbox(store.database, lambda: now[0], waits)
    quiet = Notices(NoticeSettings(webhook="http://127.0.0.1:9", secret=KEY), outbox=outbox)
    quiet.close()
    case = casework(store, clock, quiet).propose(taken(casework(store, clock, quiet)).case_id, ANN, FOUND)
    for wait in (*waits, None):
        (own,) = outbox.take()
        assert outbox.take() == ()
        assert outbox.failed(own, "ConnectError") is (wait is None)
        if wait is not None:
            now[0] += wait - timedelta(seconds=1)
            assert outbox.take() == ()
            now[0] += timedelta(seconds=1)
    state = outbox.state()
    assert (state.waiting, [(w.case_id, w.tries, w.fault) for w in state.given_up]) == (
        0, [(case.case_id, 3, "ConnectError")]
    )  # fmt: skip
    assert Ledger(store.database).entries(what="notice.given_up")[0].who == "service"
    assert (outbox.again(), len(outbox.take()), outbox.forget()) == (1, 1, 0)


def test_what_somebody_else_took_and_left_is_taken_once_the_lease_is_over(store: Store, clock: Clock) -> None:
    now = [datetime(2026, 3, 2, 9, tzinfo=UTC)]
    outbox = Outbox(store.database, lambda: now[0])
    with store.database.write() as connection:
        outbox.put(connection, "n-1", "C", ("webhook", "mail"), {"kind": "assigned"})
    assert {w.way for w in outbox.take()} == {"mail", "webhook"}
    now[0] += LEASE
    assert len(outbox.take()) == 2


def test_a_server_that_is_away_is_tried_again_and_then_given_up(hook: Hook, work: Casework) -> None:
    notice = Notice.due_soon(confirmed(work))
    hook.away = 2
    notices = Notices(to(hook), pauses=(0.001, 0.001))
    assert notices.send(notice)
    assert [h["Idempotency-Key"] for h, _ in hook.got] == [notice.id]
    hook.away = 9
    assert not notices.send(notice)
    notices.close()


def test_mail_goes_to_whoever_signs_and_not_to_whoever_proposed(work: Casework) -> None:
    post = Post()
    addresses = {"ann": "ann@payer.example", "bob": "bob@payer.example", "sue": "sue@payer.example"}
    with served(post):
        own = NoticeSettings(smtp=f"127.0.0.1:{post.server_address[1]}", mail_from="cases@x.example", mail_to=addresses)
        case = work.propose(taken(work).case_id, ANN, FOUND)
        notice = Notice.of_change(case, work.history(case.case_id)[-1])
        assert notice is not None
        notices = Notices(own, pauses=())
        assert notices.send(notice)
        notices.close()
    received = {line for line in post.said if line.lower().startswith("rcpt")}
    assert received == {"rcpt TO:<bob@payer.example>", "rcpt TO:<sue@payer.example>"}


def test_nothing_is_sent_unless_it_is_set(work: Casework) -> None:
    settings = load_settings({"FRAUD_HOME": str(ROOT)})
    notices = Notices(notice_settings(settings.notices, {}))
    assert not notices.on
    assert not notices.send(Notice.due_soon(confirmed(work)))
    only = Notices(NoticeSettings(webhook="http://127.0.0.1:9", secret=KEY, kinds=("assigned",)))
    assert not only.send(Notice("n", "due_soon", "*", "C", "open", "normal", datetime(2026, 3, 2), ""))
    only.close()


def test_all_wrong_settings_of_notices_are_named_at_once() -> None:
    with pytest.raises(SpecError) as refused:
        notice_settings({"webhook": "ftp://x", "smtp": "mail:25", "kinds": ["soon"]}, {SECRET: "short"})
    assert [f.where for f in refused.value.faults] == [
        "/notices/webhook",
        "/notices/webhook",
        "/notices/mail_from",
        "/notices/kinds",
    ]


def test_the_doctor_and_the_command_say_what_was_given_up(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(store.database, waits=())
    with store.database.write() as connection:
        outbox.put(connection, "C-1:3", "C-1", ("mail",), {"kind": "assigned"})
    monkeypatch.setenv("FRAUD_DATABASE_URL", address)
    monkeypatch.setenv("FRAUD_VAR", str(tmp_path))

    def said(*words: str) -> Any:
        done = CliRunner().invoke(app, ["notices", *words, "--json"], catch_exceptions=False)
        return json.loads(done.stdout)

    assert said()["waiting"] == 1
    settings = replace(load_settings({"FRAUD_HOME": str(ROOT)}), database_url=address)
    (waits,) = _notices(store, settings)
    assert (waits.state, waits.says) == ("ok", "1 wait, 0 were given up")
    outbox.failed(outbox.take()[0], "SMTPConnectError")
    (found,) = _notices(store, settings)
    assert (found.state, "C-1 by mail (SMTPConnectError)" in found.says) == ("warn", True)
    assert [w["way"] for w in said()["given_up"]] == ["mail"]
    assert "SMTPConnectError" in CliRunner().invoke(app, ["notices"], catch_exceptions=False).stdout
    assert said("--again")["waiting"] == 1
    assert said("--forget")["given_up"] == []
