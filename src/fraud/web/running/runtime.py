"""What the service works with: the store, the scorer and the models, and whether it is ready."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from fraud.config import Settings
from fraud.errors import FraudError, NotKnownError
from fraud.review.cases import CaseRules, Casework, case_rules
from fraud.review.cases.notices import Notices, NoticeSettings, notice_settings
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.triage import Triage
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Store, StoreBusyError
from fraud.store.outbox import Outbox
from fraud.web.access.guard import PER_SECOND, Demand, Guard, demands_of
from fraud.web.access.oidc_settings import oidc_settings
from fraud.web.access.unusual import Limits, limits_of
from fraud.web.running.deadlines import HistoryReader
from fraud.web.running.shadow import Shadow
from fraud.web.running.warming import warm_up
from fraud.web.serving import LISTENS_ON
from fraud.web.telemetry import metrics

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel
    from fraud.web.running.reloading import Reloader

__all__ = ["ENTITIES", "LoadModel", "Models", "Runtime", "load_models", "loader", "open_runtime", "scorer_of", "tell"]

log = logging.getLogger("fraud.web")
ENTITIES = ("claim", "provider", "patient", "physician")
ALIAS, SHADOW = "champion", "shadow"
# Seconds after which a model that could not be loaded is tried again, when somebody asks for readiness.
_RETRY = 30.0
LoadModel = Callable[[str], "FittedModel"]


@dataclass(frozen=True)
class Models:
    """The models in force by entity, and why one that is registered could not be loaded."""

    loaded: Mapping[str, FittedModel] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Runtime:
    """Everything a request needs. `now` is the clock; `load` gets a model by name.

    `shadow` scores claims after they were answered, with the version that `load_shadow` gets. Whoever computes many
    claims holds `turn` meanwhile: two that compute at once are slower than one after the other.
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
    demand: Demand = "when-any"
    per_second: float = PER_SECOND
    limits: Limits = field(default_factory=Limits)
    histories: HistoryReader = field(default_factory=HistoryReader)
    turn: threading.Lock = field(default_factory=threading.Lock)
    reloader: Reloader | None = None
    case_rules: CaseRules = field(default_factory=CaseRules)
    notices: Notices = field(default_factory=lambda: Notices(NoticeSettings()))
    _tried: float = field(default_factory=monotonic)

    def __post_init__(self) -> None:
        self.guard = Guard(self.store, self.demand, self.per_second, limits=self.limits)

    @property
    def casework(self) -> Casework:
        """The cases, by the runtime's clock and told to its ledger."""
        ledger = self.guard.ledger
        tell, note = self.notices.tell, self.notices.note
        return Casework(self.store, self.case_rules, self.now, ledger=ledger, tell=tell, note=note)

    def ready(self) -> bool:
        """Whether the database answers and no registered model is missing.

        A service without any registered model is ready: it answers from the rules, and says so.
        """
        if self.models.failed and monotonic() - self._tried > _RETRY:
            self.reload()
        try:
            self.store.ping()
        except StoreBusyError:
            metrics.store_errors().labels("readiness").inc()
            return False
        return not self.models.failed

    def reload(self) -> None:
        """Load the models again; requests go on with the old ones meanwhile."""
        self._tried = monotonic()
        models = load_models(self.names, self.load)
        self.scorer, self.models = scorer_of(self.store, self.catalogue, models, self.triage)
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

    @property
    def model_label(self) -> str:
        """Name and version of the model that scores claims, as logs and traces call it."""
        model = self.scorer.model
        return f"{model.spec.name}@{model.version or 0}" if model else "none"

    def warm(self) -> None:
        """Score a made-up claim and forget it, so that no caller pays for first use."""
        self.try_out(self.scorer)
        tell(self.models)
        settle()

    def try_out(self, scorer: ClaimScorer) -> None:
        """Let a scorer judge made-up claims, so that no caller pays for first use."""
        warm_up(self.store, self.histories, scorer)

    @property
    def refused(self) -> Mapping[str, str]:
        """What is new and was not brought into force, with the reason."""
        return self.reloader.refused if self.reloader is not None else {}

    def close(self) -> None:
        """End the shadow and close the store."""
        if self.reloader is not None:
            self.reloader.close()
        if self.shadow is not None:
            self.shadow.close()
        self.guard.close()
        self.notices.close()
        self.histories.close()
        self.store.close()
        gc.unfreeze()


def open_runtime(settings: Settings) -> Runtime:
    """A runtime on these settings; what cannot be loaded of models is told by `ready` and `degraded`."""
    from fraud.web.running.reloading import Reloader

    # Before the catalogue is read: what changes meanwhile is noticed.
    reloader = Reloader(settings)
    catalogue = load_catalogue(settings.features)
    names = {e: str(n) for e in ENTITIES if (n := settings.service.get(f"{e}_model"))}
    load = loader(settings, catalogue)
    store = Store(settings.database_url)
    triage = Triage(**settings.triage)
    scorer, models = scorer_of(store, catalogue, load_models(names, load), triage)
    shadow = loader(settings, catalogue, SHADOW)
    demands = demands_of(settings.service, os.environ.get(LISTENS_ON)) | {"limits": limits_of(settings.service)}
    rules = case_rules(settings.cases, settings.review)
    # Pages ask for it later: what is wrong with it is said now.
    oidc_settings(settings.oidc, os.environ)
    notices = Notices(notice_settings(settings.notices, os.environ), outbox=Outbox(store.database))
    own = {"case_rules": rules, "notices": notices, **demands}
    runtime = Runtime(store, catalogue, scorer, models, triage, names, load, shadow, **own)
    runtime.cast_shadow()
    runtime.warm()
    runtime.reloader = reloader
    reloader.follow(runtime)
    if runtime.guard.access == "open":
        log.warning("no key was ever made: whoever is on this machine may do everything (fraud keys add)")
    return runtime


def loader(settings: Settings, catalogue: Catalogue, alias: str = ALIAS, *, anew: bool = False) -> LoadModel:
    """What gets the model of an alias by its name, checked against the catalogue.

    A copy on this machine will do, as far as the registry has not changed, and for a start where that cannot be seen;
    with `anew`, a registry that cannot be seen is asked.
    """

    def load(name: str) -> FittedModel:
        from fraud.learning.registry import Registry
        from fraud.learning.shelf import Shelf

        if Registry(settings.tracking_uri).is_empty:
            raise NotKnownError("no model was ever registered: the tracking database is not there")

        def fetch() -> FittedModel:
            from fraud.learning import load_model

            return load_model(name, alias, settings.tracking_uri, catalogue)

        shelf = Shelf(settings.var / "serving" / "models", settings.tracking_uri)
        return shelf.model(name, alias, catalogue, fetch, anew=anew)

    return load


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


def scorer_of(store: Store, catalogue: Catalogue, models: Models, triage: Triage) -> tuple[ClaimScorer, Models]:
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


def tell(models: Models) -> None:
    """Tell Prometheus which models are in force."""
    for entity in ENTITIES:
        model = models.loaded.get(entity)
        metrics.model_versions().labels(entity).set(model.version or 0 if model else 0)
    metrics.model_failures().set(len(models.failed))


def settle() -> None:
    """Take what was loaded out of the garbage collector's sight: its pauses would be the longest requests."""
    # A worker starts without it, and leaves little behind that is worth a fifth of a second of a start.
    if gc.isenabled():
        gc.collect()
    gc.freeze()
    gc.enable()
