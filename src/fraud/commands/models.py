"""Models: build features, train, score."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.config import Settings, load_settings
from fraud.errors import InputError

__all__ = ["build", "score", "train"]

Claims = Annotated[Path, typer.Option("--claims", help="Folder with the canonical tables.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Version = Annotated[str, typer.Option("--version", help="Alias (champion, challenger) or number of the version.")]
Engine = Annotated[str, typer.Option("--engine", help="Where trees are grown: local or dask.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Dask's address, tcp://HOST:8786; default: two processes here.")
]
_PLURAL = {"claim": "claims", "provider": "providers", "patient": "patients", "physician": "physicians"}


def build(
    entity: Annotated[str, typer.Argument(help="claim, patient, provider or physician.")],
    claims: Claims,
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write.")],
    as_of: Annotated[datetime | None, typer.Option(help="Snapshot day; default: after the last claim.")] = None,
    memory: Annotated[str, typer.Option(help="What DuckDB may hold before it spills to disk.")] = "3GB",
) -> None:
    """Write the feature frame of every claim or entity to a parquet file, in bounded memory.

    \b
    fraud build provider --claims claims/ --out providers.parquet
    fraud build claim --claims city/ --out claims.parquet --memory 2GB
    """
    import pyarrow.parquet as pq

    from fraud.signals.streaming import write_frame

    with progress() as step:
        made = write_frame(_folder(claims), _catalogue(), entity, out, as_of=as_of, memory=memory, progress=step)
    for name, why in made.skipped.items():
        note(f"  • {name} skipped: {why}")
    data(f"{out}: {made.rows[entity]:,} rows, {len(pq.read_schema(out)):,} columns")


def train(
    model: Annotated[str, typer.Argument(help="Name of a spec in models/, as provider_risk.")],
    claims: Claims,
    engine: Engine = "local",
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Train a model, report how good it is, and register it.

    \b
    fraud train provider_risk --claims claims/
    fraud train claim_risk --claims claims/ --engine dask --scheduler tcp://10.0.0.5:8786

    It becomes `champion` only when every gate of its spec holds; otherwise `challenger`, with the reasons.
    """
    from fraud.learning import load_spec
    from fraud.learning import train as run
    from fraud.learning.fitting import fitting_on

    settings = load_settings()
    spec = load_spec(settings.models / f"{model}.toml")
    with progress(quiet=as_json) as step, fitting_on(engine, scheduler):
        result = run(
            spec,
            _folder(claims),
            _catalogue(),
            tracking_uri=tracking(settings),
            artifacts=settings.artifacts,
            lock_file=settings.lock_file,
            progress=step,
        )
    if as_json:
        print_json(result.as_dict())
    else:
        data(result.as_text())


def score(
    model: Annotated[str, typer.Argument(help="Name of a registered model.")],
    claims: Claims,
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write.")],
    version: Version = "champion",
    as_of: Annotated[datetime | None, typer.Option(help="Snapshot day of an entity model.")] = None,
    locale: Annotated[str, typer.Option(help="Language of the sentences: en or zh.")] = "en",
    shadow: Annotated[bool, typer.Option("--shadow", help="Add the scores of the version in the shadow.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score every claim or entity of a folder, labelled or not.

    \b
    fraud score provider_risk --claims claims/ --out scores.parquet
    fraud score provider_risk --claims claims/ --out both.parquet --shadow
    """
    import pyarrow.parquet as pq

    from fraud.scoring.batch import score_folder

    settings = load_settings()
    fitted = load_fitted(settings, model, version)
    with progress(quiet=as_json) as step:
        scores = score_folder(
            _folder(claims), fitted, _catalogue(), as_of=as_of, locale=check_locale(locale), progress=step
        )
    beside: dict[str, Any] = {}
    if shadow:
        scores, beside = _beside(settings, scores, claims, fitted, as_of)
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(scores, out)
    if as_json:
        own = {"out": str(out), "rows": scores.num_rows, "model": fitted.spec.name, "version": fitted.version}
        print_json(own | ({"shadow": beside} if beside else {}))
        return
    _show_top(scores)
    data(f"{out}: {scores.num_rows:,} {_PLURAL[fitted.spec.entity]} scored by {model} version {fitted.version}")
    if beside:
        data(
            f"Beside it in the shadow version {beside['version']}: {beside['both']} of the {beside['k']} highest are "
            f"the same, rank correlation of all {beside['rank_correlation']:.3f}"
        )


def _beside(settings: Settings, scores: Any, claims: Path, fitted: Any, as_of: datetime | None) -> tuple[Any, Any]:
    """The scores with those of the shadow, and how far the two agree."""
    from dataclasses import asdict

    from fraud.scoring.beside import agreement_of, with_shadow

    other = load_fitted(settings, fitted.spec.name, "shadow")
    both = with_shadow(scores, _folder(claims), fitted, other, _catalogue(), as_of)
    return both, {"version": other.version, **asdict(agreement_of(both, fitted.spec.capacity.k))}


def load_fitted(settings: Settings, name: str, version: str) -> Any:
    """The registered model of that name and version."""
    from fraud.learning import load_model

    return load_model(name, version, tracking(settings))


def tracking(settings: Settings) -> str:
    """The tracking server's address; its folder is made when it is a local file."""
    settings.var.mkdir(parents=True, exist_ok=True)
    return settings.tracking_uri


def check_locale(locale: str) -> str:
    """The locale as reports know it; raises `InputError` for a language that is not there."""
    spoken = locale.split("-")[0].lower()
    if spoken not in ("en", "zh"):
        raise InputError(f"no reports in {locale!r}; there are en and zh (zh-CN is understood).")
    return spoken


def _folder(path: Path) -> Any:
    from fraud.claims.folder import ClaimsFolder

    return ClaimsFolder(path)


def _catalogue() -> Any:
    from fraud.signals.catalogue import load_catalogue

    return load_catalogue(load_settings().features)


def _show_top(scores: Any) -> None:
    """The ten that deserve the first look."""
    # Without a probability there is no expected recovery, and the margin gives the order.
    order = ("expected_recovery", "margin")
    top = scores.sort_by([(c, "descending") for c in order]).slice(0, 10).to_pylist()
    rows = [
        (
            r["entity_id"],
            "unknown" if r["probability"] is None else round(r["probability"], 3),
            round(r["percentile"], 1),
            "unknown" if r["expected_recovery"] is None else round(r["expected_recovery"]),
            r["reasons"][0]["sentence"] if r["reasons"] else "",
        )
        for r in top
    ]
    print_table(("id", "probability", "percentile", "expected recovery", "first reason"), rows)
