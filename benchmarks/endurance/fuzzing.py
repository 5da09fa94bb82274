"""Requests by the thousand to a running service, each answer judged; what the log says in the end is judged too."""

from __future__ import annotations

import http.client
import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from .callers import Callers
from .judging import Answer, Judge
from .mutations import Known, Request, mutated_requests, strange_addresses
from .running import HOST

__all__ = ["EXCLUDED", "Found", "Fuzzer", "log_faults"]

# What is not asked, or not judged by the description, and why. Said wherever the figures are.
EXCLUDED: Mapping[str, str] = {
    "/": "the page of the server itself",
    "addresses with a line feed": "the server's router answers 404 in plain text; only the status is judged",
    "/metrics, /livez, /readyz": "they take nothing; the service's own server answers them",
    "application/x-ndjson": "schemathesis has no way to write it; it is among the mutated bodies instead",
}
_SERVER = ("/metrics", "/livez", "/readyz")
_MOST_FOUND = 50
_SCORE = "/v1/claims/score"
_JSON = {"Content-Type": "application/json"}
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Found:
    """Something wrong, with the request that led to it."""

    what: str
    request: Request

    def as_dict(self) -> dict[str, str]:
        """For people: the beginning of the body is enough to send it again by hand."""
        request = self.request
        return {
            "what": self.what,
            "request": f"{request.method} {request.path[:200]}",
            "headers": str(dict(request.headers)),
            "body": request.body[:2_000].decode("utf-8", "backslashreplace"),
        }


@dataclass
class Fuzzer:
    """Sends requests over one connection and keeps count; `document` is the service's own description.

    With `callers` every request that shows no key of its own shows one of theirs.
    """

    port: int
    document: Mapping[str, Any]
    progress: Progress = lambda count: None
    callers: Callers | None = None
    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._judge = Judge(self.document)
        self._known: Known = {}
        self._connection = http.client.HTTPConnection(HOST, self.port, timeout=60)

    def run(self, requests: int, seed: int) -> None:
        """Send about so many: up to a half that schemathesis makes of the description, the rest from its examples."""
        # What was found without keys is asked for again with them.
        known, before = self._known or self._acquainted(), self.sent.total()
        self._known = known
        calls = self._described(known)
        for n, (strategy, mode) in enumerate(calls):
            self._draw(f"schemathesis {mode}", strategy, requests // 2 // len(calls), seed + n)
        self._draw("addresses", strange_addresses(self.document, known), requests // 10, seed)
        # What takes little can be asked in few ways: these make up for it.
        self._draw("mutated", mutated_requests(self.document, known), before + requests - self.sent.total(), seed)
        self.close()

    def close(self) -> None:
        """End the connection; the next request opens another one."""
        self._connection.close()

    def _acquainted(self) -> Known:
        """Ids of claims that were scored, of their decisions and cases: with these most calls find something."""
        call = self.document["paths"][_SCORE]["post"]
        sample = call["requestBody"]["content"]["application/json"]["examples"]["sample"]["value"]
        # So many lines that a rule may open a case.
        lines = [{**sample["lines"][0], "line_no": n} for n in range(1, 9)]
        claim = sample["claim"]
        known: dict[str, list[str]] = {name: [] for name in ("claim_id", "request_id", "id")}
        for n in range(4):
            body = {**sample, "lines": lines, "claim": {**claim, "claim_id": f"known-{n}"}}
            answer = self._send(Request("POST", _SCORE, _SCORE, _JSON, json.dumps(body).encode()))
            told = json.loads(answer.body) if answer is not None and answer.status == 200 else {"case": None}
            known["claim_id"].append(f"known-{n}")
            known["request_id"].append(told.get("request_id", "none"))
            known["id"].append((told["case"] or {}).get("id", "none"))
        parties = [claim[f"{name}_id"] for name in ("patient", "provider", "physician")]
        return {**known, "entity_id": parties, "number": ["1", "0", "-1", "x"]}

    def _described(self, known: Known) -> list[tuple[SearchStrategy[Request], str]]:
        """For each call what fits its description, and what does not."""
        import schemathesis

        plain = {path: call for path, call in self.document["paths"].items() if path not in _SERVER}
        schema = schemathesis.openapi.from_dict(_without_ndjson({**self.document, "paths": plain}))
        found: list[tuple[SearchStrategy[Request], str]] = []
        for result in schema.get_all_operations():
            for mode in schemathesis.GenerationMode:
                # What takes nothing cannot be asked in a way that does not fit.
                strategy = result.ok().as_strategy(generation_mode=mode)  # type: ignore[union-attr]
                places = st.integers(-1, len(known["id"]) - 1)
                found.append((st.builds(partial(_request, known), strategy, places), mode.value))
        return found

    def _draw(self, kind: str, strategy: SearchStrategy[Request], count: int, seed: int) -> None:
        if count < 1:
            return

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(strategy)
        def one(request: Request) -> None:
            self.try_out(kind, request)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one()

    def try_out(self, kind: str, request: Request) -> None:
        """Send one request and judge its answer."""
        # A connection that was idle for long, while requests were thought up, may be closed: asked again, it opens.
        answer = self._send(request) or self._send(request)
        self.sent[kind] += 1
        self.progress(1)
        if answer is None:
            self._note("no answer", request)
            return
        self.statuses[answer.status] += 1
        for fault in self._judge.faults(request, answer):
            self._note(fault, request)

    def _note(self, what: str, request: Request) -> None:
        if len(self.found) < _MOST_FOUND:
            self.found.append(Found(what, request))

    def _send(self, request: Request) -> Answer | None:
        headers = {n: v.encode("utf-8") for n, v in request.headers.items()}
        if self.callers is not None:
            secret = self.callers.secret(request, self.sent.total())
            headers = {"Authorization": f"Bearer {secret}".encode(), **headers}
        try:
            self._connection.request(request.method, request.path, request.body or None, headers)  # type: ignore[arg-type]
            got = self._connection.getresponse()
            return Answer(got.status, {n.lower(): v for n, v in got.getheaders()}, got.read())
        except (http.client.HTTPException, OSError):
            self._connection.close()
            return None


def _request(known: Known, case: Any, place: int) -> Request:
    """What schemathesis would send, as it goes over the wire; with a known id of that place, or the one it made up."""
    import requests

    if place >= 0 and case.path_parameters:
        case.path_parameters = {n: known[n][min(place, len(known[n]) - 1)] for n in case.path_parameters}
    made = requests.Request(**_of_case(case)).prepare()
    where = urlsplit(str(made.url))
    body = made.body.encode() if isinstance(made.body, str) else bytes(made.body or b"")  # type: ignore[arg-type]
    headers = {n: v if isinstance(v, str) else v.decode("latin-1") for n, v in made.headers.items()}
    headers.pop("Content-Length", None)
    path = where.path + (f"?{where.query}" if where.query else "")
    return Request(str(made.method), path, case.path, headers, body)


def _of_case(case: Any) -> dict[str, Any]:
    taken = ("method", "url", "headers", "params", "data", "json", "cookies", "files")
    return {n: v for n, v in case.as_transport_kwargs(base_url=f"http://{HOST}").items() if n in taken}


def _without_ndjson(document: Mapping[str, Any]) -> dict[str, Any]:
    """The description without bodies of lines."""
    copied: dict[str, Any] = json.loads(json.dumps(document))
    for call in copied["paths"].values():
        for told in call.values():
            told.get("requestBody", {}).get("content", {}).pop("application/x-ndjson", None)
    return copied


def log_faults(log: Path) -> list[str]:
    """Lines of a service's log that tell of a fault of ours: errors, and whatever is no line of ours."""
    return [line for line in log.read_text("utf-8", "replace").splitlines() if _is_fault(line)]


def _is_fault(line: str) -> bool:
    if not line.startswith("{"):
        return "Traceback" in line or "Error" in line
    told = json.loads(line)
    return told["level"] in ("ERROR", "CRITICAL") or "error" in told
