"""The lines of docs/api.md are run against a service that listens."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from fraud.client import FraudClient
from fraud.scoring.scorer import ClaimScorer
from fraud.store import Store
from fraud.web.app import CALLS, build_app
from fraud.web.openapi import description
from fraud.web.running.door import Door
from tests.exchange.rooms import listening, runtime_on, small_catalogue
from tests.web.client import body

PAGE = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text("utf-8")
BLOCKS = [b for b in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) if "curl " in b]
# A service without models has no risk of anybody to tell, and says so.
_SHELL = """set -euo pipefail
curl() {
  local code=0
  command curl --fail-with-body "$@" > said || code=$?
  cat said
  [[ $code == 0 ]] || grep -q 'urn:fraud:problem:no-model' said
}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("docs")
    catalogue = small_catalogue(folder / "home")
    with Store(f"sqlite:///{folder / 'service.db'}", busy_ms=60_000) as store:
        runtime = runtime_on(store, catalogue, ClaimScorer(catalogue, None))
        with listening(build_app(runtime, Door(seconds=60))) as url:
            yield url
        runtime.guard.close()
        runtime.histories.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lines leave their files; later ones read what earlier ones wrote."""
    return tmp_path_factory.mktemp("reader")


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block-{n}" for n in range(1, len(BLOCKS) + 1)])
def test_every_curl_line_works_as_it_is_written(address: str, folder: Path, block: str) -> None:
    script = _SHELL + block.replace("localhost:3000", address.removeprefix("http://"))
    ran = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # Only the reply speaks of a warning that this service never gave.
    assert [e for e in re.findall(r'"err_msg":"([^"]+)"', ran.stdout) if "warn_rslt_id" not in e] == []


def test_there_is_a_line_for_every_call() -> None:
    written = re.findall(r"localhost:3000(/[^\s'\"?]*)", "".join(BLOCKS))
    templates = [re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)) for path, *_ in CALLS]
    assert [t for t in templates if not any(re.fullmatch(t, w) for w in written)] == []


def test_the_python_of_the_page_is_python_and_names_what_is_there() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    ast.parse(block)
    section = PAGE[PAGE.index("## The Python client") : PAGE.index("## FHIR R4")]
    named = set(re.findall(r"`(\w+)`", section))
    assert {n for n in vars(FraudClient) if not n.startswith("_")} - named == {"close"}


def _samples() -> list[tuple[str, str, Any]]:
    """Address, media type and body of every sample in the description."""
    paths = json.loads(description())["paths"]
    return [
        (path, media_type, sample["value"])
        for path, calls in paths.items()
        for media_type, content in calls.get("post", {}).get("requestBody", {}).get("content", {}).items()
        for sample in content.get("examples", {}).values()
    ]


def _case(address: str) -> str:
    """The number of a case in our own hands."""
    with FraudClient(address) as client:
        lines = [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 30} for n in range(1, 5)]
        opened = client.score(body("c-case")["claim"], lines)["case"]
        assert opened is not None
        return client.change_case(opened["id"], {"take": True})["id"]


@pytest.mark.parametrize(("path", "media_type", "sample"), _samples(), ids=lambda v: v if isinstance(v, str) else "")
def test_every_sample_of_the_description_is_answered(address: str, path: str, media_type: str, sample: Any) -> None:
    url = address + path.replace("{id}", _case(address)) if "{id}" in path else address + path
    answer = httpx.post(url, content=json.dumps(sample), headers={"Content-Type": media_type}, timeout=60)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    # Of the samples only the reply speaks of a warning that this service never gave.
    assert not isinstance(found, dict) or found.get("infcode", 0) == (-1 if path.endswith("/feedback") else 0)


@pytest.mark.parametrize(("path", "media_type", "sample"), _samples(), ids=lambda v: v if isinstance(v, str) else "")
def test_every_sample_is_as_its_body_is_described(path: str, media_type: str, sample: Any) -> None:
    document = json.loads(description())
    schema = document["paths"][path]["post"]["requestBody"]["content"][media_type]["schema"]
    jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(sample)


def test_every_call_with_a_body_has_a_sample() -> None:
    paths = json.loads(description())["paths"]
    assert {path for path, calls in paths.items() if "post" in calls} == {path for path, *_ in _samples()}
