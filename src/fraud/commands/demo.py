"""`fraud demo`: the whole main job on a small simulated city."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fraud.commands.console import data, note, progress
from fraud.config import Settings, load_settings
from fraud.errors import FraudError

__all__ = ["demo", "running_service"]

SEED = 7
MODELS = ("provider_risk", "claim_risk")
# A laptop under load needs a while to import everything; a healthy start takes a few seconds.
DEMO_SAMPLE = 4_000
START_SECONDS = 60
# So many of the last claims are scored for the workbench.
CASES_FROM = 500


def demo(
    seed: Annotated[int, typer.Option(help="The same seed gives the same city.")] = SEED,
    claims: Annotated[int | None, typer.Option(help="About how many claims.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service running.")] = False,
) -> None:
    """Simulate a city, train both models, serve, score one claim over HTTP and write its report.

    \b
    fraud demo
    """
    settings = _own_places(load_settings())
    city = settings.var / "city"
    _start_afresh(settings.var)
    started = time.monotonic()
    _simulate(city, seed, claims)
    for name in MODELS:
        _train(settings, name, city)
    _load(settings, city)
    with running_service(settings, keep) as address:
        answer = _score(address, settings, city)
        page = _report(address, settings, answer["claim_id"])
        _open_cases(address, city)
    command = _shown(Path(sys.executable).parent / "fraud")
    data(f"\nDone in {time.monotonic() - started:.0f} s. The claim's report: {page.resolve().as_uri()}")
    again = f"FRAUD_VAR={_shown(settings.var)} {command}"
    note(f"The workbench: {again} users add admin --role supervisor && {again} serve, then /workbench")
    note("Runs and models: make mlflow")


def _own_places(settings: Settings) -> Settings:
    """The same rooms, but data, database and runs of its own."""
    var = settings.var / "demo"
    return replace(
        settings,
        var=var,
        database_url=f"sqlite:///{var / 'fraud.db'}",
        tracking_uri=f"sqlite:///{var / 'mlflow.db'}",
    )


def _start_afresh(var: Path) -> None:
    """Remove what an earlier demo left in its own folder, so that every run shows the whole job."""
    import shutil

    shutil.rmtree(var, ignore_errors=True)
    var.mkdir(parents=True)


def _simulate(city: Path, seed: int, claims: int | None) -> None:
    from fraud.claims.simulation import simulate

    note("1. A city with honest claims, honest outliers and a few planted schemes")
    with progress() as step:
        result = simulate(city, seed=seed, claims=claims, progress=step)
    note(f"   {result.counts['claims']:,} claims with {result.counts['lines']:,} lines")


def _train(settings: Settings, name: str, city: Path) -> None:
    from fraud.claims.folder import ClaimsFolder
    from fraud.learning import load_spec, train
    from fraud.signals.catalogue import load_catalogue

    note(f"2. Model {name}")
    spec = load_spec(settings.models / f"{name}.toml")
    with progress() as step:
        result = train(
            # Fewer claims that nobody looked at than a payer would use: somebody is waiting for the demo.
            replace(spec, sample=DEMO_SAMPLE) if spec.sample else spec,
            ClaimsFolder(city),
            load_catalogue(settings.features),
            tracking_uri=settings.tracking_uri,
            artifacts=settings.artifacts,
            lock_file=settings.lock_file,
            progress=step,
        )
    data(result.as_text())


def _load(settings: Settings, city: Path) -> None:
    from fraud.commands.service import load_history

    note("3. The service's history and snapshots")
    with progress() as step:
        load_history(settings, city, step)


@contextmanager
def running_service(settings: Settings, keep: bool = False) -> Iterator[str]:
    """The address of a service in a process of its own, stopped in the end unless it is to be kept."""
    port = _free_port()
    note(f"4. The service at http://127.0.0.1:{port}")
    environ = {**os.environ, "FRAUD_HOME": str(settings.home), "FRAUD_VAR": str(settings.var)}
    log = (settings.var / "service.log").open("wb")
    command = [sys.executable, "-m", "fraud.cli", "serve", "--no-tls", "--port", str(port)]
    process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        _await_ready(f"http://127.0.0.1:{port}", process, settings.var / "service.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        if not keep:
            _stop(process)
        log.close()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise FraudError(f"the service ended while it started; see {log}")
        if _call(f"{address}/readyz", quiet=True) is not None:
            return
        time.sleep(0.2)
    raise FraudError(f"the service was not ready after {START_SECONDS} s; see {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    import signal

    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _call(url: str, body: object | None = None, accept: str = "application/json", quiet: bool = False) -> Any:
    """The body of an answer; None when it cannot be had and `quiet`."""
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    headers = {"Accept": accept, "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body, default=_plain).encode()
    try:
        with urlopen(Request(url, content, headers), timeout=30) as response:
            return response.read()
    except (URLError, OSError) as error:
        if quiet:
            return None
        raise FraudError(f"{url}: {error}") from error


def _plain(value: object) -> str:
    assert isinstance(value, (date, datetime))
    return value.isoformat()


def _score(address: str, settings: Settings, city: Path) -> dict[str, Any]:
    """Send the claim that deserves a look most, as the claim system would, and show the answer."""
    claim = _most_suspicious(settings, city)
    raw = _call(f"{address}/v1/claims/score", {**claim, "options": {"explain": "reasons", "store": False}})
    answer: dict[str, Any] = json.loads(raw)
    risk = answer["risk"]
    note(f"5. POST /v1/claims/score: {answer['claim_id']} → {answer['action']}")
    if risk:
        data(
            f"   probability {risk['probability']:.2f}, higher than {risk['percentile']:.1f} % of claims, "
            f"expected recovery {risk['expected_recovery']:,.0f}"
        )
    said = [f["sentence"] for f in answer["findings"] if f["status"] == "hit"]
    said += [r["sentence"] for r in (risk or {}).get("reasons", [])]
    for text in said:
        data(f"   • {text}")
    return answer


def _open_cases(address: str, city: Path) -> None:
    """Send the last claims as a claim system would: those that do not pass become cases of the workbench."""
    from fraud.claims.folder import ClaimsFolder
    from fraud.scoring.sample import last_bodies

    claims = last_bodies(ClaimsFolder(city), CASES_FROM)
    answers = json.loads(_call(f"{address}/v1/claims/score-batch", claims))
    cases = sum(1 for a in answers if a.get("case"))
    note(f"6. POST /v1/claims/score-batch: of the last {len(claims)} claims {cases} became cases for reviewers")


def _most_suspicious(settings: Settings, city: Path) -> dict[str, Any]:
    """The claim of the last month with the highest score, as the body of a request."""
    from fraud.claims.folder import ClaimsFolder
    from fraud.learning import load_model
    from fraud.scoring.batch import score_folder
    from fraud.scoring.sample import claim_body, recent_claims
    from fraud.signals.catalogue import load_catalogue

    folder = ClaimsFolder(city)
    model = load_model("claim_risk", "champion", settings.tracking_uri)
    scores = score_folder(folder, model, load_catalogue(settings.features))
    recent = recent_claims(folder)
    ranked = scores.sort_by([("probability", "descending")])["entity_id"].to_pylist()
    return claim_body(folder, next(i for i in ranked if i in recent))


def _report(address: str, settings: Settings, claim_id: str) -> Path:
    page = settings.var / f"claim-{claim_id}.html"
    page.write_bytes(_call(f"{address}/v1/claims/{claim_id}/report", accept="text/html"))
    return page


def _shown(path: Path) -> str:
    """The path as short as it can be written from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
