"""A real HTTP server that fails as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Mood:
    """One answer; `hangs_up` closes the line without any, `waits` seconds first."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    waits: float = 0.0


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def problem(status: int, name: str, **headers: str) -> Mood:
    """A problem as the service tells it."""
    body = {"type": f"urn:fraud:problem:{name}", "title": name, "status": status, "detail": "why", "instance": "i"}
    return Mood(status, body, {"Content-Type": "application/problem+json", "X-Request-ID": "r-1", **headers})


class MoodyServer:
    """Answers with the moods in turn; the last one stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._moods: Iterator[Mood] = iter(())
        self._last = Mood()
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def will(self, *moods: Mood) -> None:
        """Answer so from now on."""
        self._moods = iter(moods)
        self._last = moods[-1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def do_POST(self) -> None:
                outer._answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {k.lower(): v for k, v in handler.headers.items()}
        self.asked.append(Asked(handler.command, handler.path, headers, body))
        mood = next(self._moods, self._last)
        self._stopped.wait(mood.waits)
        if mood.hangs_up:
            handler.connection.close()
            return
        told = mood.body if isinstance(mood.body, bytes) else json.dumps(mood.body).encode()
        try:
            handler.send_response(mood.status)
            for name, value in {"Content-Type": "application/json", **mood.headers}.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(told)))
            handler.end_headers()
            handler.wfile.write(told)
        except OSError:
            # Whoever asked has stopped waiting.
            return
