"""Retrain: whether the recipe asks for a new training, and the training."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fraud.commands.console import data, print_json, progress
from fraud.commands.models import AsJson, Claims, check_locale, load_fitted, tracking
from fraud.config import Settings, load_settings
from fraud.errors import InputError

if TYPE_CHECKING:
    from fraud.learning.monitoring.retraining import Verdict
    from fraud.learning.training import TrainingResult

__all__ = ["retrain"]


def retrain(
    claims: Claims,
    model: Annotated[str | None, typer.Argument(help="Name of a registered model; default: all champions.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether, and why.")] = False,
    locale: Annotated[str | None, typer.Option(help="en or zh; default: that of fraud.toml.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model again when the recipe in training/retrain.toml says so, and say why or why not.

    \b
    fraud retrain claim_risk --claims city/
    fraud retrain --claims city/ --dry-run

    What came after the champion was fitted is compared with what it was fitted on. The new version becomes
    challenger, never champion: fraud promote compares the two.
    """
    from fraud.learning.reports.retraining import made_text, verdict_text

    settings = load_settings()
    spoken = check_locale(locale or settings.locale)
    results: list[dict[str, Any]] = []
    with progress(quiet=as_json) as step:
        for name in [model] if model else _champions(settings):
            step(f"{name}: what came after the fit", 0.0)
            verdict = _verdict(settings, name, claims)
            made = _train(settings, name, claims, step) if verdict.train and not dry_run else None
            results.append(verdict.as_dict() | {"trained": _made(made)})
            if not as_json:
                data(verdict_text(verdict, spoken))
                if made:
                    data(made_text(name, made.version, made.alias, spoken))
    if as_json:
        print_json(results[0] if model else results)


def _champions(settings: Settings) -> list[str]:
    from fraud.learning.registry import Registry

    registry = Registry(tracking(settings))
    found = [n for n in registry.names() if registry.champion(n) is not None]
    if not found:
        raise InputError("no model has a champion; there is nothing to train again. Make one with fraud train.")
    return found


def _verdict(settings: Settings, name: str, claims: Path) -> Verdict:
    from fraud.claims.folder import ClaimsFolder
    from fraud.learning.monitoring.drift import monitor_watched, origin_known
    from fraud.learning.monitoring.recipe import load_recipe
    from fraud.learning.monitoring.retraining import weigh
    from fraud.learning.monitoring.watched import last_day, watch
    from fraud.signals.catalogue import load_catalogue

    recipe, catalogue, folder = load_recipe(settings.home), load_catalogue(settings.features), ClaimsFolder(claims)
    fitted = load_fitted(settings, name, "champion")
    fitted.check(catalogue)
    origin_known(fitted)
    since, until, now = datetime.fromisoformat(fitted.as_of), last_day(folder, fitted.spec.entity), datetime.now()
    period = watch(folder, fitted, catalogue, since, max(since, until))
    found = monitor_watched(fitted, catalogue, recipe, period, folder.digest, now)
    return replace(weigh(found, recipe, until), waiting=_waiting(settings, name, folder.digest))


def _waiting(settings: Settings, name: str, digest: str) -> int | None:
    """The challenger, if it was fitted on these very data by the spec of today."""
    from fraud.learning import load_spec
    from fraud.learning.registry import Registry
    from fraud.learning.validation.gates import CHALLENGER

    if CHALLENGER not in Registry(tracking(settings)).aliases(name):
        return None
    challenger = load_fitted(settings, name, CHALLENGER)
    same = challenger.data_digest == digest and challenger.spec == load_spec(settings.models / f"{name}.toml")
    return challenger.version if same else None


def _train(settings: Settings, name: str, claims: Path, step: Any) -> TrainingResult:
    from fraud.claims.folder import ClaimsFolder
    from fraud.learning import load_spec, train
    from fraud.signals.catalogue import load_catalogue

    return train(
        load_spec(settings.models / f"{name}.toml"),
        ClaimsFolder(claims),
        load_catalogue(settings.features),
        tracking_uri=tracking(settings),
        artifacts=settings.artifacts,
        lock_file=settings.lock_file,
        progress=step,
    )


def _made(made: TrainingResult | None) -> dict[str, Any] | None:
    return {"version": made.version, "alias": made.alias, "run_id": made.run_id} if made else None
