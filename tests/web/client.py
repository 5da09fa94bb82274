"""A client of the application within the test's own process, and claims to send."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import httpx
from starlette.applications import Starlette

JSON = {"Content-Type": "application/json"}
GOOD: dict[str, Any] = {
    "claim": {
        "claim_id": "c-1",
        "patient_id": "p-1",
        "provider_id": "h-1",
        "physician_id": "d-1",
        "visit_type": "outpatient",
        "admitted_at": "2024-03-01T09:30:00",
        "discharged_at": "2024-03-01T09:30:00",
        "settled_at": "2024-03-02",
        "primary_diagnosis": "I109",
        "total_amount": 120,
        "fund_amount": 90.5,
    },
    "lines": [
        {"line_no": 1, "item_code": "X1", "quantity": 1, "amount": 60},
        {"line_no": 2, "item_code": "X2", "quantity": 2.5, "amount": 60.0, "service_at": "2024-03-01 09:31"},
    ],
    "diagnoses": [{"position": 1, "code": "I109", "kind": None}],
}


def body(claim_id: str = "c-1", **claim: Any) -> dict[str, Any]:
    """A faultless body, with changes to the claim's row."""
    made = copy.deepcopy(GOOD)
    made["claim"].update(claim_id=claim_id, **claim)
    return made


class Client:
    """Sends requests to an application; each call ends before the next."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self._runner = asyncio.Runner()

    def send(self, method: str, address: str, **given: Any) -> httpx.Response:
        """The answer to one request."""
        return self._runner.run(self._send(method, address, given))

    def post(self, address: str, **given: Any) -> httpx.Response:
        """The answer to a POST."""
        return self.send("POST", address, **given)

    def get(self, address: str, **given: Any) -> httpx.Response:
        """The answer to a GET."""
        return self.send("GET", address, **given)

    def together(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """The answers to requests that are sent at once."""

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(*(self._send(m, a, given) for m, a, given in requests))

        return self._runner.run(all_of_them())

    async def _send(self, method: str, address: str, given: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(method, address, **given)

    def close(self) -> None:
        """End the loop and the application's threads."""
        self.app.state.door.close()
        self._runner.close()


def check_problem(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The problem's body, once its shape and status are as they must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:fraud:problem:{name}"
    assert problem["status"] == status
    assert problem["instance"] == f"urn:fraud:request:{answer.headers['x-request-id']}"
    assert problem["title"]
    assert problem["detail"]
    assert set(problem) <= {"type", "title", "status", "detail", "instance", "errors", "errors_total"}
    assert "Traceback" not in answer.text
    return problem
