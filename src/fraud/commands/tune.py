"""Hyperparameters: search them, say what that is worth, and write them into the model's spec."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, note, print_json, progress
from fraud.commands.models import AsJson, Claims, Engine, Scheduler, tracking
from fraud.config import Settings, load_settings
from fraud.errors import GateError

if TYPE_CHECKING:
    from fraud.learning.search import Search
    from fraud.learning.tracking import Child

__all__ = ["tune"]

# A search fits hundreds of times; more rows that nobody looked at would cost hours and change no choice.
_MOST_UNLABELLED = 50_000


def tune(
    model: Annotated[str, typer.Argument(help="Name of a spec in models/, as claim_risk.")],
    claims: Claims,
    trials: Annotated[int | None, typer.Option(help="Trials of each search; default 40, without --minutes.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time for all searches together.")] = None,
    by: Annotated[
        str, typer.Option(help="average_precision, precision_at_k or money_share_at_k.")
    ] = "average_precision",
    write: Annotated[bool, typer.Option("--write", help="Put what is better into models/MODEL.toml.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="With --write: even when it is not clearly better.")] = False,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Search the settings of a model's trees under a budget, and print them as TOML.

    \b
    fraud tune claim_risk --claims claims/ --minutes 10
    fraud tune provider_risk --claims claims/ --trials 40 --write

    Every search sees the training rows of its split only; rows apart say what it is worth beside the settings in
    force. With --write, the file is changed only when that is better beyond chance; else the exit code is 3.
    """
    from fraud.claims.folder import ClaimsFolder
    from fraud.learning import build_dataset, load_spec
    from fraud.learning.fitting import fitting_on
    from fraud.learning.search import search, write_parameters
    from fraud.signals.catalogue import load_catalogue

    settings = load_settings()
    file = settings.models / f"{model}.toml"
    spec = load_spec(file)
    with progress(quiet=as_json) as step, fitting_on(engine, scheduler):
        few = replace(spec, sample=min(spec.sample or _MOST_UNLABELLED, _MOST_UNLABELLED))
        dataset = build_dataset(ClaimsFolder(claims), few, load_catalogue(settings.features), progress=step)
        found = search(dataset, spec, trials=trials, minutes=minutes, by=by, progress=step)
        step("tracking", 0.0)
        run_id = _record(found, settings)
    better = found.verdict == "better" and found.proposed != spec.parameters
    written = write and (better or anyway)
    if written:
        write_parameters(file, found.proposed)
    _show(found, run_id, file if written else None, as_json)
    if write and not written:
        raise GateError(f"{file.name} stays as it is: {found.advice} With --anyway it is written all the same.")


def _show(found: Search, run_id: str, written: Path | None, as_json: bool) -> None:
    from fraud.learning.search import as_toml

    if as_json:
        print_json({"run_id": run_id, "written": str(written) if written else None, **found.as_dict()})
        return
    note(f"{found.as_text()}\n\nRun {run_id} has every trial. Proposed for models/{found.spec.name}.toml:\n")
    data(as_toml(found.proposed).rstrip())
    if written:
        note(f"\n{written} is changed. Next: fraud train {found.spec.name} --claims DIR")


def _record(found: Search, settings: Settings) -> str:
    """Id of the run that keeps the search, with a run inside it for every trial."""
    from fraud.learning.search import as_toml
    from fraud.learning.tracking import Child, record_children

    worth = {f"{w}.{m}": getattr(v, w) for m, v in found.worth.items() for w in ("now", "found")}
    gains = {f"gain.{m}{b}": v for m, w in found.worth.items() for b, v in _bounds(w.gain.as_dict())}
    own = Child(
        name="tune",
        metrics={**worth, **gains, "seconds": found.seconds},
        params=asdict(found.proposed),
        tags={"kind": "search", "objective": found.by, "verdict": found.verdict, "judged_on": found.outer},
    )
    return record_children(
        found.spec.name,
        f"tune {found.spec.name}",
        _children(found),
        tracking_uri=tracking(settings),
        artifacts=settings.artifacts,
        summary=own,
        texts={
            "proposed.toml": as_toml(found.proposed),
            "search.json": json.dumps(found.as_dict(), indent=1),
            "search.txt": found.as_text(),
        },
    )


def _bounds(gain: dict[str, float]) -> list[tuple[str, float]]:
    return [("", gain["value"]), (".low", gain["low"]), (".high", gain["high"])]


def _children(found: Search) -> list[Child]:
    from fraud.learning.tracking import Child

    return [
        Child(
            name=f"{study.name}, trial {trial.number}",
            metrics={found.by: trial.value, "seconds": trial.seconds},
            params=asdict(trial.parameters),
            tags={"search": study.name, "pruned": str(trial.pruned).lower(), "best": str(trial is study.best).lower()},
        )
        for study in found.studies
        for trial in study.trials
    ]
