"""How the model of claims does now: its scores beside those of its fitting, what was missing, work, and hits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import sqlalchemy as sa

from fraud.errors import FraudError
from fraud.review.cases import Within
from fraud.review.periodic.figures import Share, share_of
from fraud.store.casework import searching
from fraud.store.casework.tables import cases
from fraud.store.tables import decisions

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fraud.learning.model import FittedModel
    from fraud.web.running.runtime import Runtime

__all__ = ["MONITOR_FOLDER", "Hits", "Missing", "Monitored", "ScoreDrift", "Volume", "Watch", "watch_of"]

# Where `fraud monitor` leaves its latest report on each model, below the folder of what changes.
MONITOR_FOLDER = "monitor"
_DAYS, _WEEKS, _YEAR = timedelta(days=30), timedelta(weeks=4), timedelta(days=365)
# More answers cost time and change no digit that anybody looks at.
_MOST, _CHUNK = 5_000, 500
_PARTS = np.linspace(10, 90, 9)
# Where the recipe of monitoring cannot be read. Source: Siddiqi, Credit Risk Scorecards (2006).
_USUAL_LIMIT = 0.2


@dataclass(frozen=True)
class ScoreDrift:
    """Scores of the last 30 days beside those at fitting: the stability index, what chance reaches, and the limit."""

    model: str
    version: int
    scores: int
    index: float
    chance: float
    limit: float

    @property
    def loud(self) -> bool:
        """Whether it is more than the limit and more than chance."""
        return self.index > max(self.limit, self.chance)


@dataclass(frozen=True)
class Missing:
    """Answers of the last 30 days that had to do without something; `parts` are model, history and signals."""

    answers: int
    without: int
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Volume:
    """Hours of review that flagged claims of the last weeks ask for in a week, beside those that the team has."""

    cases: float
    hours: float
    capacity: float


@dataclass(frozen=True)
class Hits:
    """Decided cases of a year that a probability was known of: the share at fault, and the share that was expected."""

    found: Share
    expected: float

    @property
    def loud(self) -> bool:
        """Whether what was expected lies outside of the interval of what was found."""
        low, high = self.found.low, self.found.high
        return low is not None and high is not None and not low <= self.expected <= high


@dataclass(frozen=True)
class Monitored:
    """The latest report of `fraud monitor`: its period, and the checks that need attention."""

    version: int
    since: str
    until: str
    made_at: str
    attention: tuple[str, ...]
    drifted_weight: float | None


@dataclass(frozen=True)
class Watch:
    """All of it; None is what cannot be said."""

    scores: ScoreDrift | None
    missing: Missing | None
    volume: Volume | None
    hits: Hits | None
    monitored: Monitored | None


def watch_of(runtime: Runtime, within: Within, home: Path, var: Path) -> Watch:
    """How the model does now; of cases those within somebody's bounds, of answers a sample of all."""
    now, model = runtime.now(), runtime.models.loaded.get("claim")
    with runtime.store.database.read() as connection:
        answers = _answers(connection, now - _DAYS)
        volume = _volume(connection, now, runtime.case_rules.hours_per_week)
        hits = _hits(connection, now - _YEAR, searching.bounds_of(within))
    return Watch(
        _scores(model, answers, _limit(home)) if model is not None else None,
        _missing(answers),
        volume,
        hits,
        _monitored(var / MONITOR_FOLDER / f"{model.name}.json") if model is not None else None,
    )


# --- answers ----------------------------------------------------------------------------------------------


def _answers(connection: Connection, since: datetime) -> list[Mapping[str, Any]]:
    """An even sample of the latest answers, all over the ids of claims; which claims there are an index can tell."""
    recent = decisions.c.scored_at >= since
    count = int(connection.execute(sa.select(sa.func.count()).select_from(decisions).where(recent)).scalar_one())
    every = max(1, -(-count // _MOST))
    all_of_them = sa.select(decisions.c.claim_id).where(recent).order_by(decisions.c.claim_id)
    with connection.execute(all_of_them.execution_options(yield_per=10 * _CHUNK)).scalars() as ids:
        chosen = [claim for n, claim in enumerate(ids) if n % every == 0]
    found = []
    for first in range(0, len(chosen), _CHUNK):
        own = sa.select(decisions.c.response).where(decisions.c.claim_id.in_(chosen[first : first + _CHUNK]), recent)
        found += [orjson.loads(response) for response in connection.execute(own).scalars()]
    return found


def _scores(model: FittedModel, answers: Sequence[Mapping[str, Any]], limit: float) -> ScoreDrift | None:
    """Drift of the places that scores have, for the version in force."""
    # With what models are fitted with: a service without a model starts without it.
    from fraud.learning.monitoring.drift import chance_index, stability_index
    from fraud.learning.origin import shares_between

    own = (a["risk"] for a in answers if a["model"]["name"] == model.name and a["model"]["version"] == model.version)
    places = np.array([r["percentile"] for r in own if r and r["percentile"] is not None], dtype=np.float64)
    if not len(places) or model.origin is None:
        return None
    fitted = model.percentile(model.standing.quantiles)
    then, now = shares_between(_PARTS, fitted), shares_between(_PARTS, places)
    rows = model.origin.used
    return ScoreDrift(
        model=model.name,
        version=model.version or 0,
        scores=len(places),
        index=stability_index(then, now, rows, len(places)),
        chance=chance_index(len(then), rows, len(places)),
        limit=limit,
    )


def _missing(answers: Sequence[Mapping[str, Any]]) -> Missing | None:
    if not answers:
        return None
    parts = Counter(part for a in answers for part in dict.fromkeys(a["degraded"]))
    return Missing(len(answers), sum(bool(a["degraded"]) for a in answers), tuple(parts.most_common(3)))


def _limit(home: Path) -> float:
    from fraud.learning.monitoring.recipe import load_recipe

    try:
        return load_recipe(home).limit("score_psi")
    except (FraudError, OSError):
        return _USUAL_LIMIT


# --- work and hits ----------------------------------------------------------------------------------------


def _volume(connection: Connection, now: datetime, capacity: float) -> Volume | None:
    """The mean of the last weeks; of a service that is younger, of the weeks since its first case."""
    first = connection.execute(sa.select(sa.func.min(cases.c.opened_at))).scalar_one()
    if first is None:
        return None
    since = max(first, now - _WEEKS)
    weeks = max((now - since) / timedelta(weeks=1), 1.0)
    query = sa.select(sa.func.count(), sa.func.sum(cases.c.hours)).where(
        cases.c.opened_at >= since, cases.c.selected_by == "decision"
    )
    count, hours = connection.execute(query).one()
    return Volume(count / weeks, float(hours or 0.0) / weeks, capacity)


def _hits(connection: Connection, since: datetime, bounds: Sequence[Any]) -> Hits | None:
    """Cases that were drawn at random are in it too: a probability is one, however the case was chosen."""
    hit = sa.func.sum(sa.case((cases.c.result == "violation", 1), else_=0))
    query = sa.select(sa.func.count(), hit, sa.func.avg(cases.c.probability)).where(
        cases.c.decided_at >= since,
        cases.c.result.in_(("violation", "compliant")),
        cases.c.probability.is_not(None),
        *bounds,
    )
    count, found, expected = connection.execute(query).one()
    return Hits(share_of(int(found), int(count)), float(expected)) if count else None


# --- the report of monitoring -----------------------------------------------------------------------------


def _monitored(path: Path) -> Monitored | None:
    try:
        told = json.loads(path.read_text("utf-8"))
        return Monitored(
            version=int(told["version"] or 0),
            since=str(told["since"])[:10],
            until=str(told["until"])[:10],
            made_at=str(told["made_at"])[:16].replace("T", " "),
            attention=tuple(str(name) for name in told["attention"]),
            drifted_weight=told["drifted_weight"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        # None was made yet, or by a program that wrote something else.
        return None
