"""A changed limit over history: what fires now, what would fire, for whom, for how much, and how often wrongly.

A rule becomes a signal that is 1 where it fires, so both sides are queries of the engine: one with the limits in
force, one with the changed ones. A rule about a patient, provider or physician is asked on the first day of each
month, and stands for the claims of that month.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import Fault, InputError, nearest
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.frames import FrameBuilder, SignalFrame, months_of_claims
from fraud.signals.limits import Limits
from fraud.signals.relations import ENTITY_KEYS

__all__ = ["Backtest", "Newly", "Outcomes", "RuleBacktest", "Side", "backtest", "changes_of", "wilson"]

Progress = Callable[[str, float], None]
CONFIRMED = ("confirmed_fraud", "confirmed_abuse", "waste", "improper_payment")
CLEARED = ("false_positive", "appeal_upheld")
MOST_PROVIDERS, MOST_EXAMPLES = 10, 5
# 95 % of a normal distribution lie within this many standard deviations.
_Z = 1.959964
_PLACE = {"insured": "insured_region", "care": "care_region"}


@dataclass(frozen=True)
class Outcomes:
    """What investigations found of the claims that fire: `wrong` is the share of those decided that were cleared.

    `low` and `high` are its 95 % Wilson interval; all three are None where nothing was decided.
    """

    confirmed: int
    cleared: int

    @property
    def wrong(self) -> float | None:
        """Share of the decided claims that were cleared."""
        decided = self.confirmed + self.cleared
        return self.cleared / decided if decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Wilson interval of `wrong`."""
        decided = self.confirmed + self.cleared
        return wilson(self.cleared, decided) if decided else None


@dataclass(frozen=True)
class Side:
    """What fires under one set of limits; `amount` is what the fund is asked on these claims, in its currency."""

    claims: int
    patients: int
    providers: int
    amount: float
    outcomes: Outcomes


@dataclass(frozen=True)
class Newly:
    """A claim on which a rule would fire and does not fire now."""

    claim_id: str
    provider_id: str
    admitted_at: datetime
    value: float | None
    amount: float


@dataclass(frozen=True)
class RuleBacktest:
    """One rule, now and with the changed limits; `months` and `providers` give claims now and then."""

    signal: Signal
    now: Side
    then: Side
    added: int
    dropped: int
    months: tuple[tuple[date, int, int], ...]
    providers: tuple[tuple[str, int, int, float], ...]
    examples: tuple[Newly, ...]


@dataclass(frozen=True)
class Backtest:
    """Changed limits over a period; `features` are other signals whose values change, which models may read."""

    changes: Mapping[str, float]
    since: date
    until: date
    region: str | None
    claims: int
    rules: tuple[RuleBacktest, ...]
    features: tuple[str, ...]
    skipped: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The result as plain JSON types."""
        plain = asdict(replace(self, rules=()))
        return plain | {"rules": [_rule_dict(r) for r in self.rules]}


def wilson(hits: float, n: float) -> tuple[float, float]:
    """The 95 % Wilson interval of a share.

    >>> tuple(round(bound, 3) for bound in wilson(2, 10))
    (0.057, 0.51)
    """
    share, z2 = hits / n, _Z * _Z
    middle = share + z2 / (2 * n)
    spread = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + z2 / n)), min(1.0, (middle + spread) / (1 + z2 / n))


def changes_of(arguments: Sequence[str], limits: Limits) -> dict[str, float]:
    """Limits and their new values from `NAME=VALUE`; raises `InputError` with every fault at once."""
    faults = [f for text in arguments for f in _argument_faults(text, limits)]
    names = [text.partition("=")[0] for text in arguments]
    faults += [Fault(n, "twice", "is given more than once") for n in dict.fromkeys(names) if names.count(n) > 1]
    if faults:
        raise InputError("Some limits cannot be changed. Write NAME=VALUE, as split_admission_days=11.", faults)
    return {text.partition("=")[0]: float(text.partition("=")[2]) for text in arguments}


def backtest(
    folder: ClaimsFolder,
    catalogue: Catalogue,
    changes: Mapping[str, float],
    *,
    since: date | None = None,
    until: date | None = None,
    region: str | None = None,
    progress: Progress | None = None,
) -> Backtest:
    """Rules that depend on the changed limits, over the claims settled from `since` to `until`, both included.

    `region` changes the limits in that region only, and looks at its claims only.

    Raises:
        InputError: no rule depends on a limit, or no claim lies in the period and region.
    """
    changed = replace(catalogue, limits=_changed(catalogue.limits, changes, region))
    concerned = _concerned(catalogue, set(changes))
    rules = [s for s in concerned if s.limit]
    _all_ruled(catalogue, changes, rules)
    step = progress or (lambda name, done: None)
    connection = connect()
    try:
        folder.attach(connection)
        places = [_PLACE[catalogue.limits[name].place] for name in changes]
        first, last, count = _target(connection, since, until, region, places)
        builder = FrameBuilder(connection, catalogue, present=folder.present)
        step("norms", 0.0)
        norms = builder.learn_norms()
        usable = builder.usable(rules)
        after = FrameBuilder(connection, changed, present=folder.present)
        for name, side in (("now", builder), ("then", after)):
            side.use_norms(norms)
            _fire(side, usable, name, step)
        step("summary", 0.0)
        found = tuple(_summary(connection, rule) for rule in usable)
    finally:
        connection.close()
    features = tuple(s.id for s in concerned if not s.limit)
    return Backtest(dict(changes), first, last, region, count, found, features, dict(builder.skipped))


# --- what is concerned ---------------------------------------------------------------------------------------


def _argument_faults(text: str, limits: Limits) -> list[Fault]:
    name, equals, value = text.partition("=")
    if not equals:
        return [Fault(text, "no_value", "has no value: write NAME=VALUE")]
    if name not in limits:
        return [Fault(name, "not_known", f"limits.toml has no such limit{nearest(name, limits)}")]
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    return [] if math.isfinite(number) else [Fault(name, "no_number", f"{value!r} is no number")]


def _changed(limits: Limits, changes: Mapping[str, float], region: str | None) -> Limits:
    regions = (region,) if region else ()
    return Limits({n: v.changed(changes[n], regions) if n in changes else v for n, v in limits.items()})


def _concerned(catalogue: Catalogue, names: set[str]) -> list[Signal]:
    """Signals whose finding or value depends on a limit, by themselves or through what they roll up."""
    reading = {s.name for s in catalogue.of("claim") if names & set(s.limits_read)}
    return [s for e in ENTITIES for s in catalogue.of(e) if _depends(catalogue, s, names, reading)]


def _depends(catalogue: Catalogue, signal: Signal, names: set[str], reading: set[str]) -> bool:
    if signal.limit in names or names & set(signal.limits_read):
        return True
    if not reading or "window_signals" not in signal.scopes:
        return False
    compiler = catalogue.compiler(signal.entity)
    reductions = compiler.compile(signal).reductions
    return any(compiler.needed(r) & reading for r in reductions if r.scope.name == "window_signals")


def _all_ruled(catalogue: Catalogue, changes: Mapping[str, float], rules: Iterable[Signal]) -> None:
    """Raise `InputError` for limits on which no rule depends."""
    chosen = list(rules)
    idle = [name for name in changes if not any(_depends_on(catalogue, r, name) for r in chosen)]
    if idle:
        faults = [Fault(name, "no_rule", "no rule depends on it; it changes features of models only") for name in idle]
        raise InputError("There is no finding to test. Retrain a model to see what these limits change.", faults)


def _depends_on(catalogue: Catalogue, rule: Signal, name: str) -> bool:
    reading = {s.name for s in catalogue.of("claim") if name in s.limits_read}
    return _depends(catalogue, rule, {name}, reading)


# --- firing ------------------------------------------------------------------------------------------------------


def _target(
    connection: duckdb.DuckDBPyConnection,
    since: date | None,
    until: date | None,
    region: str | None,
    places: Sequence[str],
) -> tuple[date, date, int]:
    """Make `history` the claims of the period and region; returns their first and last day and their number."""
    end = until + timedelta(days=1) if until else None
    within = " OR ".join(f"starts_with({column}, $3)" for column in sorted(set(places)))
    connection.execute(
        f"""CREATE TEMP TABLE history AS SELECT * FROM claims
            WHERE ($1 IS NULL OR settled_at >= $1) AND ($2 IS NULL OR settled_at < $2) AND ($3 IS NULL OR {within})""",
        [since, end, region],
    )
    query = "SELECT min(settled_at)::DATE, max(settled_at)::DATE, count(*) FROM history"
    ((first, last, count),) = connection.execute(query).fetchall()
    if not count:
        where = f" in {region}" if region else ""
        raise InputError(f"No claims were settled{where} from {since or 'the first'} to {until or 'the last'} day.")
    return first, last, count


def _fired(rule: Signal) -> Signal:
    """The rule as a signal that is 1 where it fires."""

    def function(**relations: Any) -> ir.Value:
        value: ir.Value = rule.function(**{n: relations[n] for n in rule.scopes}).cast("float64")
        known = value if rule.default is None else value.fill_null(float(rule.default))
        limit = getattr(relations["limits"], str(rule.limit))
        beyond = known < limit if rule.riskier == "low" else known > limit
        return beyond.fill_null(False).cast("int64")

    names = dict.fromkeys([*rule.scopes, "limits"])
    parameters = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in names]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return replace(rule, function=function, name=f"{rule.name}.fires", default=0, limit=None, examples=[])


def _fire(builder: FrameBuilder, rules: Sequence[Signal], side: str, step: Progress) -> None:
    """Fill the table of a side: the claims on which each rule fires, and the rule's value."""
    connection = builder.connection
    connection.execute(f'CREATE TEMP TABLE "{side}" (signal VARCHAR, claim_id VARCHAR, value DOUBLE)')
    for entity in ENTITIES:
        own = [r for r in rules if r.entity == entity]
        if not own:
            continue
        step(f"{side}: {entity}", 0.0)
        frame = _frame(builder, entity, own)
        for rule in own:
            _keep(connection, side, entity, frame, rule)


def _frame(builder: FrameBuilder, entity: str, rules: Sequence[Signal]) -> SignalFrame:
    signals = [*rules, *(_fired(r) for r in rules)]
    if entity == "claim":
        return builder.claims(signals, "history")
    return builder.entities(signals, entity, months_of_claims(builder.connection, entity, "history"))


def _keep(connection: duckdb.DuckDBPyConnection, side: str, entity: str, frame: SignalFrame, rule: Signal) -> None:
    rows = np.flatnonzero(frame.column(f"{rule.id}.fires") > 0)
    fired = frame.keys.take(rows).append_column("value", pa.array(frame.column(rule.id)[rows]))
    connection.register("_fired", fired)
    on = "ON h.claim_id = f.claim_id"
    if entity != "claim":
        on = f"ON h.{ENTITY_KEYS[entity]} = f.entity_id AND date_trunc('month', h.settled_at) = f.snapshot"
    query = f'INSERT INTO "{side}" SELECT $1, h.claim_id, f.value FROM history h JOIN _fired f {on}'
    connection.execute(query, [rule.id])
    connection.unregister("_fired")


# --- summing up ----------------------------------------------------------------------------------------------------


def _summary(connection: duckdb.DuckDBPyConnection, rule: Signal) -> RuleBacktest:
    """One rule's claims on both sides, added up."""
    connection.execute(_BOTH, [rule.id, CONFIRMED, CLEARED])
    ((added, dropped),) = connection.execute(
        "SELECT count(*) FILTER (NOT now), count(*) FILTER (NOT later) FROM both_sides"
    ).fetchall()
    months = connection.execute(_MONTHS).fetchall()
    providers = connection.execute(_PROVIDERS, [MOST_PROVIDERS]).fetchall()
    examples = connection.execute(_EXAMPLES, [MOST_EXAMPLES]).fetchall()
    return RuleBacktest(
        signal=rule,
        now=_side(connection, "now"),
        then=_side(connection, "later"),
        added=added,
        dropped=dropped,
        months=tuple(months),
        providers=tuple(providers),
        examples=tuple(Newly(*row) for row in examples),
    )


def _side(connection: duckdb.DuckDBPyConnection, flag: str) -> Side:
    query = f"""
        SELECT count(*), count(DISTINCT patient_id), count(DISTINCT provider_id), coalesce(sum(fund_amount), 0),
            count(*) FILTER (verdict = 'confirmed'), count(*) FILTER (verdict = 'cleared')
        FROM both_sides WHERE {flag}"""
    ((claims, patients, providers, amount, confirmed, cleared),) = connection.execute(query).fetchall()
    return Side(claims, patients, providers, round(float(amount), 2), Outcomes(confirmed, cleared))


# Claims on which the rule fires on either side, with the last verdict of an investigation of the claim itself.
_BOTH = """
    CREATE OR REPLACE TEMP TABLE both_sides AS
    WITH known AS (
        SELECT entity_id AS claim_id, arg_max(verdict, decided_at) AS last FROM outcomes
        WHERE entity = 'claim' AND (list_contains($2, verdict) OR list_contains($3, verdict)) GROUP BY entity_id)
    SELECT h.claim_id, h.patient_id, h.provider_id, h.admitted_at, h.settled_at, h.fund_amount,
        n.claim_id IS NOT NULL AS now, t.claim_id IS NOT NULL AS later, t.value,
        CASE WHEN list_contains($2, last) THEN 'confirmed' WHEN last IS NOT NULL THEN 'cleared' END AS verdict
    FROM history h
    LEFT JOIN (SELECT * FROM now WHERE signal = $1) n USING (claim_id)
    LEFT JOIN (SELECT * FROM "then" WHERE signal = $1) t USING (claim_id)
    LEFT JOIN known USING (claim_id)
    WHERE n.claim_id IS NOT NULL OR t.claim_id IS NOT NULL"""
_MONTHS = """
    SELECT date_trunc('month', settled_at)::DATE AS month, count(*) FILTER (now), count(*) FILTER (later)
    FROM both_sides GROUP BY month ORDER BY month"""
_PROVIDERS = """
    SELECT provider_id, count(*) FILTER (now), count(*) FILTER (later) AS then_,
        round(coalesce(sum(fund_amount) FILTER (later), 0), 2)
    FROM both_sides GROUP BY provider_id ORDER BY abs(count(*) FILTER (now) - then_) DESC, then_ DESC, provider_id
    LIMIT $1"""
_EXAMPLES = """
    SELECT claim_id, provider_id, admitted_at, value, fund_amount FROM both_sides WHERE NOT now
    ORDER BY fund_amount DESC, claim_id LIMIT $1"""


def _rule_dict(rule: RuleBacktest) -> dict[str, Any]:
    return {
        "rule": rule.signal.id,
        "limit": rule.signal.limit,
        "kind": rule.signal.kind,
        "violation": rule.signal.violation,
        "national_code": rule.signal.national_code,
        "now": _side_dict(rule.now),
        "then": _side_dict(rule.then),
        "added": rule.added,
        "dropped": rule.dropped,
        "months": [{"month": m.isoformat(), "now": a, "then": b} for m, a, b in rule.months],
        "providers": [{"provider_id": p, "now": a, "then": b, "amount": s} for p, a, b, s in rule.providers],
        "examples": [asdict(e) for e in rule.examples],
    }


def _side_dict(side: Side) -> dict[str, Any]:
    known = side.outcomes
    wrong = {"confirmed": known.confirmed, "cleared": known.cleared, "wrong": known.wrong, "interval": known.interval}
    return {**asdict(side), "outcomes": wrong}
