"""One city from end to end: its people and houses, honest care, schemes, and the tables that the payer sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from fraud.claims.simulation.care import Care, City
from fraud.claims.simulation.homecare import home_care
from fraud.claims.simulation.identifiers import Identifiers
from fraud.claims.simulation.items import library
from fraud.claims.simulation.mistakes import with_mistakes, with_register
from fraud.claims.simulation.operators import operators
from fraud.claims.simulation.outcomes import Known, outcomes, stakes
from fraud.claims.simulation.people import people
from fraud.claims.simulation.physicians import near_family, physicians
from fraud.claims.simulation.providers import FIRST, LAST, TIERS, providers
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, size, stack, stream, take
from fraud.claims.simulation.schemes import play
from fraud.claims.simulation.schemes.stage import ENTITIES, WHOLE, Deeds
from fraud.claims.simulation.stays import all_stays, ward_care
from fraud.claims.simulation.tables import (
    Names,
    billed,
    entity_ids,
    names,
    numbered,
    outcome_rows,
    tables,
    truth_rows,
)
from fraud.claims.simulation.visits import all_visits, visits_care

__all__ = ["Made", "Progress", "honest_city", "made_city"]

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Made:
    """The canonical tables of one city, and the tables of truth about it."""

    tables: dict[str, pa.Table]
    truth: dict[str, pa.Table]


def made_city(
    rates: Mapping[str, Any], seed: int, number: int = 0, schemes: bool = True, report: Progress | None = None
) -> Made:
    """City `number` of the payer; the same rates, seed and number give the same tables.

    `rates` are those of `presets.rates_of`. Without `schemes` everybody is honest and the truth is empty.
    """
    report = report or (lambda stage, share: None)
    rates = {**rates, "people": {**rates["people"], "regions": _regions(rates, number)}}
    city, care = honest_city(rates, (seed, number), report)
    city = with_register(city, care)
    typed, care = with_mistakes(city, care)
    twice, care = _sent_twice(city, care)
    mistakes = np.concatenate([typed, twice])
    deeds: tuple[Deeds, ...] = ()
    if schemes:
        report("planting schemes", 0.5)
        care, deeds = play(city, care, _root(rates))
    report("writing tables", 0.65)
    return _tables(city, care, mistakes, deeds, Identifiers(seed, number, rates["cities"]))


def _regions(rates: Mapping[str, Any], number: int) -> list[str]:
    """Names of the city's regions: with an invented name of the city before them where there are several."""
    if rates["cities"] == 1:
        return list(rates["people"]["regions"])
    places = [a + b + c for c, a, b in product("市州", FIRST, LAST)]
    turn = number // len(places)
    return [f"{places[number % len(places)]}{turn or ''}{region}" for region in rates["people"]["regions"]]


def _root(rates: Mapping[str, Any]) -> float:
    """How providers and actors grow with the claims of a city: by the root, and their claims by as much."""
    return float(np.sqrt(rates["wanted"] / rates["claims"]))


def honest_city(rates: Mapping[str, Any], seed: tuple[int, int], report: Progress) -> tuple[City, Care]:
    """The city and all care in it, none of it false; `rates` are those of `presets.rates_of`."""
    report("settling the city", 0.0)
    city = _settled(rates, seed)
    wanted = rates["wanted"] * (1 - rates["care"]["planted"])
    report("admitting patients", 0.1)
    city, admitted = all_stays(city, round(rates["wanted"] * rates["care"]["stays"]), city.stream("stays"))
    stays = ward_care(city, admitted, city.stream("ward"))
    report("seeing patients", 0.25)
    at_home = home_care(city, stays.claims, stays.next_key, city.stream("home care"))
    left = round(wanted) - size(stays.claims) - size(at_home.claims)
    visits = all_visits(city, left, stays.claims, city.stream("visits"))
    visits["key"] = stays.next_key + size(at_home.claims) + np.arange(size(visits))
    seen = visits_care(city, visits, city.stream("visit lines"))
    return city, _within_period(city, stays.joined(at_home, seen))


def _settled(rates: Mapping[str, Any], seed: tuple[int, int]) -> City:
    start = int(np.datetime64(rates["start"], "D").astype(np.int64))
    lib = library()
    count = max(130, round(rates["wanted"] * rates["people"]["per_claim"]))
    folk = people(count, start, rates["days"], rates["people"], lib, stream(seed, "people"))
    least = {"tertiary": 2, "secondary": 4, "primary": 6, "clinic": 9, "pharmacy": 8, "care_home": 2}
    wanted = {t: max(least[t], round(rates["providers"][t] * _root(rates))) for t in TIERS}
    regions = rates["people"]["regions"]
    days = rates["days"]
    houses = providers(wanted, start, days, rates["providers"], folk, regions, lib, stream(seed, "providers"))
    staff = physicians(houses, folk, start, days, rates["providers"], lib, stream(seed, "physicians"))
    houses = near_family(houses, staff, folk)
    desk = operators(rates["care"]["operators"], len(regions))
    return City(rates, seed, start, days, folk, houses, staff, desk, lib)


def _within_period(city: City, care: Care) -> Care:
    """Only what the payer knows by the end of the period."""
    claims = care.claims
    return care.kept(claims["key"][(claims["settled"] < city.ends) & (claims["admitted"] >= city.begins)])


def _sent_twice(city: City, care: Care) -> tuple[Array, Care]:
    """Some claims sent again by mistake, under another number with the same invoice: innocent, but odd."""
    rng = city.stream("mistakes")
    n = max(2, round(city.rates["care"]["duplicate_uploads"] * city.rates["wanted"] / city.rates["claims"]))
    early = care.claims["key"][care.claims["settled"] < city.ends - 10 * DAY]
    chosen = rng.choice(early, n, replace=False)
    original = take(care.claims, np.searchsorted(care.claims["key"], chosen))
    sent = original["settled"] + rng.integers(HOUR, 5 * DAY, n)
    again = care.cloned(chosen, original["admitted"], settled=sent, uploaded=sent + rng.integers(2, 4 * HOUR, n))
    return again.claims["key"], care.joined(again)


def _marked(deeds: tuple[Deeds, ...], care: Care, totals: Array, part: str) -> Rows:
    """What is false, of all schemes: claims or lines that are still there, with the cents at stake."""
    column = {"claims": "claim", "lines": "line"}[part]
    none = np.zeros(0, np.int64)
    parts: list[Rows] = [{column: none, "amount": none, "scheme": none}]
    for i, done in enumerate(deeds):
        marks: Rows = getattr(done, part)
        parts.append({**marks, "scheme": np.full(size(marks), i)})
    rows = stack(parts)
    present = care.claims["key"] if part == "claims" else care.lines["key"]
    rows = take(rows, np.isin(rows[column], present))
    if part == "claims":
        total = totals[np.searchsorted(care.claims["key"], rows["claim"])]
        rows["amount"] = np.where(rows["amount"] == WHOLE, total, rows["amount"])
        # A claim bent twice by one scheme is one false claim.
        rows = take(rows, np.unique(rows["scheme"] * (1 << 40) + rows["claim"], return_index=True)[1])
    return rows


def _tables(city: City, care: Care, mistakes: Array, deeds: tuple[Deeds, ...], ids: Identifiers) -> Made:
    """The canonical tables, and the tables of truth."""
    care = _within_period(city, care)
    claims = billed(city, care)
    false = _marked(deeds, care, claims["total"], "claims")
    known_as = names(city, care, ids)
    rng = city.stream("tables")
    lines = numbered(care.lines, claims, known_as, rng)
    written = tables(city, care, claims, lines, known_as, rng)
    casts = [(i, cast) for i, done in enumerate(deeds) for cast in done.casts]
    known = Known(claims, false, casts, np.intersect1d(mistakes, claims["key"]))
    found = outcomes(city, known, city.stream("outcomes"))
    written["outcomes"] = outcome_rows(claims, found, known_as)
    false_lines = _marked(deeds, care, claims["total"], "lines")
    claim_id = pa.array(known_as.claim[np.searchsorted(claims["key"], false["claim"])], pa.string())
    truth = {
        "claims": truth_rows(false, claim_id=claim_id),
        "lines": _line_truth(false_lines, lines, known_as),
        "actors": _actor_truth(known, known_as),
    }
    return Made(written, truth)


def _line_truth(false: Rows, lines: Rows, ids: Names) -> pa.Table:
    order = np.argsort(lines["key"])
    at = order[np.searchsorted(lines["key"][order], false["line"])]
    claim_id = pa.array(ids.claim[lines["of"][at]], pa.string())
    return truth_rows(false, claim_id=claim_id, line_no=pa.array(lines["no"][at]))


def _actor_truth(known: Known, ids: Names) -> pa.Table:
    """Who took part in which scheme, from when to when, and the cents at stake in their claims."""
    actors = {**known.actors, "amount": stakes(known, known.actors)}
    return truth_rows(
        actors,
        entity=pa.array([ENTITIES[e] for e in actors["entity"]], pa.string()),
        entity_id=entity_ids(ids, known.claims, actors["entity"], actors["who"]),
        **{
            side: pa.array((actors[column] // DAY).astype("datetime64[D]"))
            for side, column in (("from", "begins"), ("to", "ends"))
        },
    )
