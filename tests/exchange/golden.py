"""Recorded messages and their answers: `python -m tests.exchange.golden` writes the answers anew.

Ids that are drawn are named by what they are, so that the files stay the same.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from fraud.scoring.scorer import ClaimScorer
from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.running.door import Door
from tests.exchange.messages import BEFORE, COURSE, FEEDBACK, FHIR
from tests.exchange.rooms import runtime_on, small_catalogue
from tests.web.client import Client

FOLDER = Path(__file__).parent / "golden"
# In the order in which they are sent: the feedback speaks of the first one's warning.
CALLS = {"3101": BEFORE, "3102": COURSE, "3103": FEEDBACK, "3101-faulty": BEFORE, "fhir": FHIR, "fhir-faulty": FHIR}
DECISION = "0" * 32


def request(name: str) -> dict[str, Any]:
    """A recorded message."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}-request.json").read_text("utf-8"))
    return found


def answered(client: Client) -> dict[str, Any]:
    """The answers to all recorded messages by name, with the ids of decisions replaced."""
    answers: dict[str, Any] = {}
    decision = DECISION
    for name, address in CALLS.items():
        text = json.dumps(request(name)).replace(DECISION, decision)
        sent = {"Content-Type": "application/json", "X-Request-ID": name}
        answer = client.post(address, content=text.encode(), headers=sent).json()
        drawn = _decision(answer)
        decision = drawn if name == "3101" else decision
        answers[name] = json.loads(json.dumps(answer).replace(drawn, DECISION) if drawn else json.dumps(answer))
    return answers


def _decision(answer: dict[str, Any]) -> str:
    if answer.get("resourceType") == "ClaimResponse":
        return str(answer["id"])
    results = answer.get("output", {}).get("result", [])
    return results[0]["jr_id"][:32] if results else ""


def _main() -> None:
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/service.db") as store:
        catalogue = small_catalogue(Path(folder) / "home")
        client = Client(build_app(runtime_on(store, catalogue, ClaimScorer(catalogue, None)), Door(seconds=60)))
        for name, answer in answered(client).items():
            text = json.dumps(answer, ensure_ascii=False, indent=2) + "\n"
            (FOLDER / f"{name}-answer.json").write_text(text, "utf-8")
            sys.stdout.write(f"{name}\n")
        client.close()


if __name__ == "__main__":
    _main()
