"""Actors when they do nothing false: their honest claims, their places in the tables, and two seeds compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from fraud.claims.simulation.describing.comparing import Array, without_gaps
from fraud.claims.simulation.describing.deeds import FEWEST, texts
from fraud.claims.simulation.describing.judging import Told, by_model
from fraud.claims.simulation.describing.opening import Payer, opened
from fraud.claims.simulation.describing.stamps import claim_stamps
from fraud.claims.simulation.describing.traces import TOGETHER, Leak, Verdict

__all__ = ["honest_claims", "places", "shared"]

ENTITIES = ("provider", "physician", "patient")
PER_ACTOR = 40


# --- honest claims of actors ----------------------------------------------------------------------------

_STRATUM = {
    "provider": "visit_type || coalesce(kind, '') || coalesce(level, '')",
    "patient": """visit_type || sex || least(len(chronic_conditions), 3)
        || date_diff('year', birth_date, admitted_at::DATE) // 10""",
}
# What a claim holds that care decides: the guilty's honest care should be like anybody's.
CARE = {
    "total": "ln(1 + total_amount)",
    "fund": "fund_amount / nullif(total_amount, 0)",
    "nights": "date_diff('day', admitted_at, discharged_at)",
    "lines": "n",
    "hour": "hour(admitted_at)",
    "weekday": "isodow(admitted_at)",
    "wait": "ln(1 + greatest(date_diff('minute', discharged_at, settled_at), 0))",
}


def honest_claims(payer: Payer, seed: int) -> Iterator[Leak]:
    """Proof 2: honest claims of providers and patients who take part in a scheme, and of those who never do."""
    for entity in ("provider", "patient"):
        payer.connection.execute(_honest_sample(entity, seed))
        rows = texts(
            payer.connection.execute("SELECT claim_id, odd, stratum, actor FROM honest ORDER BY claim_id").fetchnumpy()
        )
        odd = np.asarray(rows["odd"], bool)
        actors = len(np.unique(rows["actor"][odd]))
        base = Leak("honest claims of actors", entity, TOGETHER, "too few", actors=actors, claims=int(odd.sum()))
        if actors < FEWEST:
            yield base
            continue
        stamps = claim_stamps(payer, "SELECT claim_id FROM honest")
        care = payer.connection.execute(_care_query()).fetchnumpy()
        figures: Array = np.column_stack([np.ma.filled(np.ma.asarray(care[n], float), np.nan) for n in CARE])
        # Whose identifiers are whose is a matter of places, see below; a few actors would decide it by chance.
        own = np.array([stamps.owners[name] == "claim_id" for name in stamps.names])
        sides = (odd, rows["stratum"], rows["actor"])
        stamped = Told(stamps.names, without_gaps(stamps.values, rows["stratum"], seed), *sides).having(own)
        cared = Told(tuple(CARE), without_gaps(figures, rows["stratum"], seed), *sides)
        yield by_model(base, stamped, 2, seed)
        yield by_model(replace(base, given=", ".join(CARE)), cared, 2, seed)


def _honest_sample(entity: str, seed: int) -> str:
    """Up to so many honest claims of each provider (patient), with the kind of claim that they are."""
    return f"""
        CREATE OR REPLACE TEMP TABLE honest AS
        SELECT claim_id, {entity}_id AS actor, {_STRATUM[entity]} AS stratum,
            {entity}_id IN (SELECT entity_id FROM true_actors WHERE entity = '{entity}') AS odd
        FROM claims JOIN {entity}s USING ({entity}_id)
        WHERE claim_id NOT IN (SELECT claim_id FROM true_claims)
        QUALIFY row_number() OVER (PARTITION BY {entity}_id ORDER BY hash(claim_id || '{seed}')) <= {PER_ACTOR}
        AND (odd OR hash({entity}_id || '{seed}') % (1 + (SELECT count(*) FROM {entity}s) // 1200) = 0)"""


def _care_query() -> str:
    columns = ", ".join(f"CAST({sql} AS DOUBLE) AS {name}" for name, sql in CARE.items())
    return f"""SELECT {columns} FROM honest JOIN claims USING (claim_id)
        JOIN (SELECT claim_id, count(*) AS n FROM lines GROUP BY 1) USING (claim_id) ORDER BY claim_id"""


# --- places of actors -----------------------------------------------------------------------------------


def places(payer: Payer) -> list[Leak]:
    """Proof 3: where the guilty stand in their tables, by the test of Kolmogorov and Smirnov."""
    from scipy.stats import kstest

    found = []
    for entity in ENTITIES:
        for given, order in (("order of rows", "row"), ("order of identifiers", "entity_id"), ("size", "claims")):
            spots = _spots(payer, entity, order)
            if len(spots) >= 5:
                found.append((entity, given, len(spots), float(kstest(spots, "uniform").pvalue)))
    bound = 0.05 / max(len(found), 1)
    return [
        Leak(
            "places of actors",
            entity,
            given,
            _place_verdict(given, p, bound),
            p=p,
            actors=n,
            note=_SIZE if given == "size" else "",
        )
        for entity, given, n, p in found
    ]


_SIZE = "an actor needs some work to hide in: size may tell, see the sizes of actors"


def _place_verdict(given: str, p: float, bound: float) -> Verdict:
    if p >= bound:
        return "none"
    return "trace" if given == "size" else "leak"


def _spots(payer: Payer, entity: str, order: str) -> Array:
    """Places of the actors among all of their kind (providers: of their kind and level), from 0 to 1."""
    among = "kind, level" if entity == "provider" else "1"
    files = payer.folder.files(f"{entity}s")
    paths = ", ".join("'" + str(p).replace("'", "''") + "'" for p in files)
    within = f"PARTITION BY {among}" if order == "claims" else ""
    rows = payer.connection.execute(f"""
        WITH everybody AS (SELECT {entity}_id AS entity_id, {among if entity == "provider" else "1 AS kind"},
            row_number() OVER (ORDER BY filename, file_row_number) AS row
            FROM read_parquet([{paths}], filename = true, file_row_number = true)),
        counted AS (SELECT e.*, (SELECT count(*) FROM claims c WHERE c.{entity}_id = e.entity_id) AS claims
            FROM everybody e),
        placed AS (SELECT *, (row_number() OVER ({within} ORDER BY {order}, hash(entity_id)) - 0.5)
            / count(*) OVER ({within}) AS place FROM counted WHERE claims > 0)
        SELECT place FROM placed WHERE entity_id IN
            (SELECT entity_id FROM true_actors WHERE entity = '{entity}') ORDER BY 1""").fetchnumpy()
    return np.asarray(rows["place"], float)


# --- two seeds ------------------------------------------------------------------------------------------


def shared(one: str | Path, other: str | Path) -> list[Leak]:
    """Proof 4: what two payers of different seeds have in common: identifiers, spans and places of actors."""
    with opened(one) as first, opened(other) as second:
        return [*_shared_sets(first, second), *_shared_places(first, second)]


_SETS = {
    "identifiers of actors": "SELECT DISTINCT entity || entity_id AS x FROM true_actors",
    "identifiers of claims": "SELECT claim_id AS x FROM claims",
    "identifiers of patients": "SELECT patient_id AS x FROM patients",
    "identifiers of providers": "SELECT provider_id AS x FROM providers",
    "first and last day of an actor": """SELECT DISTINCT scheme || "from"::VARCHAR || "to"::VARCHAR AS x
        FROM true_actors WHERE "from" > (SELECT min(admitted_at)::DATE FROM claims)
        AND "to" < (SELECT max(settled_at)::DATE FROM claims)""",
}


def _shared_sets(first: Payer, second: Payer) -> Iterator[Leak]:
    for given, query in _SETS.items():
        mine, theirs = ({row["x"] for row in payer.rows(query)} for payer in (first, second))
        common = len(mine & theirs)
        # Random numbers of ten digits meet now and then; a pattern would bring more than a few.
        verdict: Verdict = "leak" if common > 0.002 * len(mine) + 1 else "none"
        note = f"{common:,} of {len(mine):,} come back"
        yield Leak("two seeds", "all", given, verdict, actors=len(mine), note=note)


def _shared_places(first: Payer, second: Payer) -> Iterator[Leak]:
    """Whether the n-th actor of a scheme stands at the same place in both: by the rank correlation."""
    from scipy.stats import spearmanr

    for order in ("row", "claims"):
        mine, theirs = (_scheme_places(payer, order) for payer in (first, second))
        both = [(a, b) for s in mine.keys() & theirs.keys() for a, b in zip(mine[s], theirs[s], strict=False)]
        if len(both) >= 8:
            found = spearmanr(*zip(*both, strict=True))
            verdict: Verdict = "leak" if found.pvalue < 0.01 and found.statistic > 0 else "none"
            given = {"row": "places of actors by row", "claims": "places of actors by size"}[order]
            yield Leak("two seeds", "all", given, verdict, p=float(found.pvalue), actors=len(both))


def _scheme_places(payer: Payer, order: str) -> dict[str, list[float]]:
    """Places of the providers of each scheme in the order in which the truth names them."""
    rows = payer.rows(f"""
        WITH counted AS (SELECT provider_id, kind, level, row_number() OVER () AS row,
            (SELECT count(*) FROM claims c WHERE c.provider_id = p.provider_id) AS claims FROM providers p),
        placed AS (SELECT provider_id, row_number() OVER among / count(*) OVER (PARTITION BY kind, level) AS place
            FROM counted WINDOW among AS (PARTITION BY kind, level ORDER BY {order}, row))
        SELECT scheme, place FROM (SELECT *, row_number() OVER () AS no FROM true_actors)
        JOIN placed ON entity = 'provider' AND entity_id = provider_id ORDER BY no""")
    places: dict[str, list[float]] = {}
    for row in rows:
        places.setdefault(row["scheme"], []).append(row["place"])
    return places
