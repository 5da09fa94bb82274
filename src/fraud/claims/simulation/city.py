"""A simulated payer on disk: canonical tables in one folder, the truth about them in another beside it."""

from __future__ import annotations

import json
import os
import shutil
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.claims.folder import MANIFEST, TableWriter
from fraud.claims.simulation.care import Care, City, without_overlaps
from fraud.claims.simulation.items import library
from fraud.claims.simulation.outcomes import ENTITIES, Known, outcomes, stakes
from fraud.claims.simulation.people import people
from fraud.claims.simulation.providers import TIERS, physicians, providers
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, size, stack, stream, take
from fraud.claims.simulation.schemes import WHOLE, Deeds, play
from fraud.claims.simulation.stays import DIED, admissions, chemotherapy, returns, stacked, stays_care
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
from fraud.errors import ClaimsError, InputError, NotKnownError, nearest

__all__ = ["PRESETS", "SimulationResult", "simulate"]

PRESETS: tuple[str, ...] = ("demo",)
FEWEST_CLAIMS = 1_000

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class SimulationResult:
    """What was written: rows of each table, the two folders, and how long it took."""

    to: Path
    truth: Path
    counts: dict[str, int]
    truth_counts: dict[str, int]
    seconds: float


def simulate(
    to: str | Path,
    *,
    preset: str = "demo",
    seed: int = 7,
    schemes: bool = True,
    claims: int | None = None,
    progress: Progress | None = None,
) -> SimulationResult:
    """Write a simulated payer to the folder `to`, and who did what to the folder `<to>.truth`.

    The same preset, seed and number of claims give the same bytes. `claims` is about how many there will be;
    it scales the population. Without `schemes` everybody is honest and the truth is empty.

    Raises:
        NotKnownError: there is no such preset.
        InputError: too few claims are asked for.
        ClaimsError: one of the folders already holds something.
    """
    started = time.perf_counter()
    report = progress or (lambda stage, share: None)
    folder, truth = Path(to), Path(f"{to}.truth")
    rates = _rates(preset, claims)
    _refuse_full(folder, truth)
    city, care = _honest(rates, seed, report)
    mistakes, care = _sent_twice(city, care)
    deeds: tuple[Deeds, ...] = ()
    if schemes:
        report("planting schemes", 0.5)
        care, deeds = play(city, care, _root(rates))
    report("writing tables", 0.65)
    written, known = _tables(city, care, mistakes, deeds)
    counts = _write(folder, written, {"source": "simulation", "preset": preset, "seed": seed})
    truth_counts = _write_truth(truth, known)
    report("done", 1.0)
    return SimulationResult(folder, truth, counts, truth_counts, time.perf_counter() - started)


def _rates(preset: str, claims: int | None) -> dict[str, Any]:
    """The preset with the wanted number of claims."""
    if preset not in PRESETS:
        raise NotKnownError(f'No preset "{preset}"{nearest(preset, PRESETS)}. There are: {", ".join(PRESETS)}.')
    rates = tomllib.loads(files("fraud.claims.simulation").joinpath(f"{preset}.toml").read_text("utf-8"))
    wanted = rates["claims"] if claims is None else claims
    if wanted < FEWEST_CLAIMS:
        raise InputError(f"{wanted} claims are too few for a city. Ask for {FEWEST_CLAIMS} or more.")
    return rates | {"wanted": wanted}


def _refuse_full(*folders: Path) -> None:
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ClaimsError(f"{folder}: already holds something. Remove it, or simulate to another folder.")


def _root(rates: Mapping[str, Any]) -> float:
    """How providers and actors grow with the number of claims: by the root, and their claims by as much."""
    return float(np.sqrt(rates["wanted"] / rates["claims"]))


def _honest(rates: dict[str, Any], seed: int, report: Progress) -> tuple[City, Care]:
    """The city and all care in it, none of it false."""
    report("settling the city", 0.0)
    city = _settled(rates, seed)
    wanted = rates["wanted"] * (1 - rates["care"]["planted"])
    report("admitting patients", 0.1)
    city, stays = _stays(city, round(rates["wanted"] * rates["care"]["stays"]))
    report("seeing patients", 0.25)
    visits = all_visits(city, round(wanted) - size(stays.claims), city.stream("visits"))
    visits = take(visits, _at_large(city, visits, stays.claims))
    visits["key"] = stays.next_key + np.arange(size(visits))
    seen = visits_care(city, visits, city.stream("visit lines"))
    return city, _within_period(city, stays.joined(seen))


def _settled(rates: dict[str, Any], seed: int) -> City:
    start = int(np.datetime64(rates["start"], "D").astype(np.int64))
    lib = library()
    count = max(130, round(rates["wanted"] * rates["people"]["per_claim"]))
    folk = people(count, start + rates["days"] // 2, rates["people"], lib, stream(seed, "people"))
    least = {"tertiary": 2, "secondary": 4, "primary": 6, "clinic": 9, "pharmacy": 8}
    wanted = {t: max(least[t], round(rates["providers"][t] * _root(rates))) for t in TIERS}
    regions = rates["people"]["regions"]
    houses = providers(wanted, start, rates["providers"], folk, regions, lib, stream(seed, "providers"))
    staff = physicians(houses, start, rates["providers"], lib, stream(seed, "physicians"))
    return City(rates, seed, start, rates["days"], folk, houses, staff, lib)


def _stays(city: City, wanted: int) -> tuple[City, Care]:
    """Stays without overlaps, and the city with its dead: nobody is treated after a death."""
    rng = city.stream("stays")
    cycles = chemotherapy(city, rng)
    others = admissions(city, max(wanted - size(cycles), 50), rng)
    stays = stacked([cycles, others, returns(city, others, rng)])
    stays = take(stays, without_overlaps(stays))
    stays["key"] = np.arange(size(stays))
    care = stays_care(city, stays, city.stream("ward"))
    dead = care.claims["status"] == DIED
    city = replace(city, people=city.people.with_deaths(care.claims["patient"][dead], care.claims["discharged"][dead]))
    alive = city.people.alive(care.claims["patient"], care.claims["admitted"])
    return city, care.kept(care.claims["key"][alive])


def _at_large(city: City, visits: Rows, stays: Rows) -> Array:
    """Mask of the visits of people who live and are not in hospital that day."""
    order = np.lexsort((stays["admitted"], stays["patient"]))
    # One number for patient and time; stays of a patient do not overlap: only the last one before counts.
    span = 1 << 36
    began = (stays["patient"] * span + stays["admitted"] // DAY * DAY)[order]
    last = np.searchsorted(began, visits["patient"] * span + visits["admitted"], side="right") - 1
    stay = order[last.clip(0)]
    inside = (last >= 0) & (stays["patient"][stay] == visits["patient"])
    inside &= visits["admitted"] < (stays["discharged"][stay] // DAY + 1) * DAY
    return np.asarray(~inside & city.people.alive(visits["patient"], visits["admitted"]))


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


def _tables(
    city: City, care: Care, mistakes: Array, deeds: tuple[Deeds, ...]
) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    """The canonical tables, and the tables of truth."""
    care = _within_period(city, care)
    claims = billed(city, care)
    false = _marked(deeds, care, claims["total"], "claims")
    ids = names(city, care, city.stream("names"))
    rng = city.stream("tables")
    lines = numbered(care.lines, claims, ids, rng)
    written = tables(city, care, claims, lines, ids, rng)
    casts = [(i, cast) for i, done in enumerate(deeds) for cast in done.casts]
    mistakes = np.intersect1d(mistakes, claims["key"])
    known = Known(claims, false, casts, mistakes)
    written["outcomes"] = outcome_rows(claims, outcomes(city, known, city.stream("outcomes")), ids)
    false_lines = _marked(deeds, care, claims["total"], "lines")
    claim_id = pa.array(ids.claim[np.searchsorted(claims["key"], false["claim"])], pa.string())
    truth = {
        "claims": truth_rows(false, claim_id=claim_id),
        "lines": _line_truth(false_lines, lines, ids),
        "actors": _actor_truth(known, ids),
    }
    return written, truth


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


def _write(folder: Path, written: Mapping[str, pa.Table], manifest: dict[str, Any]) -> dict[str, int]:
    """Rows written of each table; the folder appears only when it is complete."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    counts = {}
    for name, rows in written.items():
        with TableWriter(partial, name) as writer:
            writer.write(rows)
        counts[name] = rows.num_rows
    (partial / MANIFEST).write_text(json.dumps(manifest | {"rows": counts}, indent=2) + "\n", "utf-8")
    _put(partial, folder)
    return counts


def _write_truth(folder: Path, known: Mapping[str, pa.Table]) -> dict[str, int]:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, rows in known.items():
        pq.write_table(rows, partial / f"{name}.parquet", compression="zstd")
    _put(partial, folder)
    return {name: rows.num_rows for name, rows in known.items()}


def _put(partial: Path, folder: Path) -> None:
    if folder.exists():  # an empty one, see `_refuse_full`
        folder.rmdir()
    os.replace(partial, folder)
