"""Schemes with the charges of care that was given: twice, or too dear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import Care
from fraud.claims.simulation.orders import priced
from fraud.claims.simulation.providers import CLINIC, PHARMACY, PRIMARY, SECONDARY, shelf_price
from fraud.claims.simulation.rows import Array, Rows, size, stack, take
from fraud.claims.simulation.schemes.stage import Cast, Deeds, Stage, marks

__all__ = ["dear_prices", "duplicate_charges"]


def _bent(stage: Stage, care: Care, cast: Cast) -> Array:
    """Mask of the lines of those claims of the actors that are bent at all."""
    claims = care.claims
    hit = (cast.acting(claims["provider"], claims["admitted"]) >= 0) & stage.hits(size(claims))
    return np.isin(care.lines["claim"], claims["key"][hit])


def _one_each(rows: Rows, rng: np.random.Generator) -> Rows:
    """One random line of each claim."""
    mixed = take(rows, rng.permutation(size(rows)))
    return take(mixed, np.unique(mixed["claim"], return_index=True)[1])


def duplicate_charges(stage: Stage, care: Care) -> Deeds:
    """A house enters an item twice, or bills a part beside the package that includes it."""
    city, rng, lib = stage.city, stage.rng, stage.city.library
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, weights=stage.volume * 1.0)
    bent = take(care.lines, _bent(stage, care, cast))
    billable = lib.is_category("laboratory", "examination", "treatment", "therapy", "drug")[bent["item"]]
    twice = _one_each(take(bent, billable), rng)
    pair = np.full(len(lib.items["key"]), -1)
    pair[lib.exclusions["package"]] = lib.exclusions["included"]
    package = take(bent, pair[bent["item"]] >= 0)
    package = _one_each(take(package, rng.random(size(package)) < 0.4), rng)
    part = priced(
        city, care.claims, {**package, "item": pair[package["item"]], "quantity": package["quantity"] * 0 + 1}
    )
    twice = take(twice, ~np.isin(twice["claim"], part["claim"]))
    extra = stack([twice, part])
    # Entered at the same moment or just after, before the claim is settled.
    extra |= {"at": extra["at"] + rng.integers(0, 4, size(extra))}
    joined = care.joined(Care(take(care.claims, np.zeros(0, np.int64)), extra, *_nothing(care)))
    false = take(joined.lines, joined.lines["key"] >= care.next_line)
    amount = false["price"] * false["quantity"]
    return Deeds(joined, (cast,), marks(false["claim"], amount), {"line": false["key"], "amount": amount})


def _nothing(care: Care) -> tuple[Rows, Rows]:
    none = np.zeros(0, np.int64)
    return take(care.diagnoses, none), take(care.procedures, none)


def dear_prices(stage: Stage, care: Care) -> Deeds:
    """A house charges more than the cap for part of its price list."""
    city, rng, lib, lines = stage.city, stage.rng, stage.city.library, care.lines
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, PHARMACY, weights=stage.volume * 1.0)
    dear = rng.random((len(city.providers), len(lib.items["key"]))) < 0.65
    house = care.claims["provider"][np.searchsorted(care.claims["key"], lines["claim"])]
    hit = _bent(stage, care, cast) & dear[house, lines["item"]] & (lines["price"] > 0)
    cap = np.round(lib.items["price_cap"][lines["item"]] * 100).astype(np.int64)
    asked = cap * rng.uniform(stage.rates["mark_up"][0], stage.rates["mark_up"][1], size(lines))
    price = np.where(hit, np.maximum(shelf_price(asked, rng, up=True), cap + 10), lines["price"])
    amount = (price - cap)[hit] * lines["quantity"][hit]
    claim, inverse = np.unique(lines["claim"][hit], return_inverse=True)
    total = np.bincount(inverse, weights=amount, minlength=len(claim)).astype(np.int64)
    billed = replace(care, lines={**lines, "price": price})
    return Deeds(billed, (cast,), marks(claim, total), {"line": lines["key"][hit], "amount": amount})
