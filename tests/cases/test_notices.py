"""Notices arrive at a real server, signed, tried again while it is away, and name nobody."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fraud.config import load_settings
from fraud.errors import SpecError
from fraud.review.cases import Casework
from fraud.review.cases.notices import SECRET, Notice, Notices, NoticeSettings, notice_settings, signature
from fraud.store import Store
from tests.cases.parts import ANN, BOB, FOUND, SUE, Clock, confirmed, scored, taken
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


def test_changes_that_concern_somebody_are_told_signed_and_name_nobody(store: Store, hook: Hook, clock: Clock) -> None:
    notices = Notices(to(hook), clock)
    work = Casework(store, clock=clock, tell=notices.tell)
    work.assign(work.open(scored(), ANN).case_id, SUE, "ann")
    case = work.propose(work.about("claim", "c-1")[0].case_id, ANN, FOUND)
    work.appeal(work.confirm(case.case_id, BOB).case_id, ANN, "Zhang San objects")
    notices.close()
    told = [json.loads(body) for _, body in hook.got]
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


def test_whoever_takes_a_case_needs_no_notice_of_it(store: Store, hook: Hook, clock: Clock) -> None:
    notices = Notices(to(hook), clock)
    taken(Casework(store, clock=clock, tell=notices.tell))
    notices.close()
    assert hook.got == []


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
