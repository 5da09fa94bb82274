"""What the service works with: the store, the scorer and the models, and whether it is ready."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from fraud.claims.schema import TABLES
from fraud.config import Settings
from fraud.errors import FraudError, NotKnownError
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle
from fraud.scoring.triage import Triage
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Store, StoreBusyError
from fraud.web.shadow import Shadow

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["ENTITIES", "LoadModel", "Models", "Runtime", "open_runtime"]

log = logging.getLogger("fraud.web")
ENTITIES = ("claim", "provider", "patient", "physician")
ALIAS, SHADOW = "champion", "shadow"
# Seconds after which a model that could not be loaded is tried again, when somebody asks for readiness.
_RETRY = 30.0
LoadModel = Callable[[str], "FittedModel"]
# A claim of nobody, for the first run of every query.
_MOMENT = datetime(2000, 1, 3)
_MADE_UP = ClaimBundle(
    dict.fromkeys(TABLES["claims"].by_name)
    | dict.fromkeys(("claim_id", "patient_id", "provider_id", "physician_id"), "warm-up")
    | {"visit_type": "outpatient", "admitted_at": _MOMENT, "discharged_at": _MOMENT, "settled_at": _MOMENT}
    | {"total_amount": 1.0, "fund_amount": 1.0}
)


@dataclass(frozen=True)
class Models:
    """The models in force by entity, and why one that is registered could not be loaded."""

    loaded: Mapping[str, FittedModel] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Runtime:
    """Everything a request needs. `now` is the clock; `load` gets a model by name.

    `shadow` scores claims after they were answered, with the version that `load_shadow` gets.
    """

    store: Store
    catalogue: Catalogue
    scorer: ClaimScorer
    models: Models
    triage: Triage = field(default_factory=Triage)
    names: Mapping[str, str] = field(default_factory=dict)
    load: LoadModel | None = None
    load_shadow: LoadModel | None = None
    shadow: Shadow | None = None
    now: Callable[[], datetime] = datetime.now
    _tried: float = field(default_factory=monotonic)

    def ready(self) -> bool:
        """Whether the database answers and no registered model is missing.

        A service without any registered model is ready: it answers from the rules, and says so.
        """
        if self.models.failed and monotonic() - self._tried > _RETRY:
            self.reload()
        try:
            self.store.ping()
        except StoreBusyError:
            return False
        return not self.models.failed

    def reload(self) -> None:
        """Load the models again; requests go on with the old ones meanwhile."""
        self._tried = monotonic()
        models = load_models(self.names, self.load)
        self.scorer, self.models = _scorer(self.store, self.catalogue, models, self.triage)
        self.cast_shadow()
        self.warm()

    def cast_shadow(self) -> None:
        """Begin to score with the shadow that is registered now, or with none; nothing depends on it."""
        before, self.shadow = self.shadow, None
        if before is not None:
            before.close()
        name = self.names.get("claim")
        if name and self.load_shadow is not None:
            self.shadow = _shadow(self, name, self.load_shadow)

    @property
    def claim_model(self) -> str:
        """Name of the model that scores claims; empty when there is none."""
        return self.scorer.model.spec.name if self.scorer.model else ""

    def warm(self) -> None:
        """Score a made-up claim and forget it, so that no caller pays for first use."""
        known = self.store.history(_MADE_UP.claim, self.scorer.needs_lines, self.claim_model)
        self.scorer.score(_MADE_UP, known)
        settle()

    def close(self) -> None:
        """End the shadow and close the store."""
        if self.shadow is not None:
            self.shadow.close()
        self.store.close()
        gc.unfreeze()


def open_runtime(settings: Settings) -> Runtime:
    """A runtime on these settings; what cannot be loaded of models is told by `ready` and `degraded`."""
    catalogue = load_catalogue(settings.features)
    names = {e: str(n) for e in ENTITIES if (n := settings.service.get(f"{e}_model"))}
    load = _loader(settings, catalogue)
    store = Store(settings.database_url)
    triage = Triage(**settings.triage)
    scorer, models = _scorer(store, catalogue, load_models(names, load), triage)
    shadow = _loader(settings, catalogue, SHADOW)
    runtime = Runtime(store, catalogue, scorer, models, triage, names, load, shadow)
    runtime.cast_shadow()
    runtime.warm()
    return runtime


def _loader(settings: Settings, catalogue: Catalogue, alias: str = ALIAS) -> LoadModel:
    def load(name: str) -> FittedModel:
        if _is_missing(settings.tracking_uri):
            raise NotKnownError("no model was ever registered: the tracking database is not there")
        from fraud.learning import load_model

        return load_model(name, alias, settings.tracking_uri, catalogue)

    return load


def _is_missing(tracking_uri: str) -> bool:
    """Whether the database is a file that is not there: asked for it, MLflow would make one."""
    _, is_file, path = tracking_uri.partition("sqlite:///")
    return bool(is_file) and not Path(path).exists()


def load_models(names: Mapping[str, str], load: LoadModel | None) -> Models:
    """The models of these names by entity: not being registered is no failure, anything else is."""
    loaded: dict[str, FittedModel] = {}
    failed: dict[str, str] = {}
    for entity, name in names.items() if load is not None else ():
        try:
            loaded[entity] = load(name)  # type: ignore[misc]
        except NotKnownError as error:
            log.info("no model of %ss: %s", entity, error.message)
        except Exception as error:
            # Whatever keeps a model away, claims are answered from the rules.
            log.exception("model %s cannot be loaded", name)
            failed[entity] = error.message if isinstance(error, FraudError) else type(error).__name__
    return Models(loaded, failed)


def _scorer(store: Store, catalogue: Catalogue, models: Models, triage: Triage) -> tuple[ClaimScorer, Models]:
    """A scorer with the claim model, or without when it does not fit the catalogue."""
    library = {"items": store.table("catalogue"), "exclusions": store.table("exclusions")}
    model = models.loaded.get("claim")
    try:
        return ClaimScorer(catalogue, model, triage=triage, **library), models
    except FraudError as error:
        if model is None:
            raise
        log.error("the model of claims cannot be used: %s", error.message)
        kept = {e: m for e, m in models.loaded.items() if e != "claim"}
        without = Models(kept, {**models.failed, "claim": error.message})
        return ClaimScorer(catalogue, None, triage=triage, **library), without


def _shadow(runtime: Runtime, name: str, load: LoadModel) -> Shadow | None:
    """The shadow of the model of claims; None, and a line in the log, when there is none or it cannot be used."""
    library = {"items": runtime.store.table("catalogue"), "exclusions": runtime.store.table("exclusions")}
    try:
        # Rules are no part of a version: the champion has looked at them.
        scorer = ClaimScorer(runtime.catalogue, load(name), triage=runtime.triage, with_rules=False, **library)
    except NotKnownError as error:
        log.info("no shadow: %s", error.message)
    except Exception:
        # Whatever keeps the shadow away, the champion answers.
        log.exception("the shadow of %s cannot be used", name)
    else:
        return Shadow(runtime.store, scorer, runtime.now)
    return None


def settle() -> None:
    """Take what was loaded out of the garbage collector's sight: its pauses would be the longest requests."""
    gc.collect()
    gc.freeze()
