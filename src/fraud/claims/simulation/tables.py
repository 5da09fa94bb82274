"""The canonical tables of a simulated city: identifiers are drawn here, money is split, rows are ordered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fraud.claims.simulation.care import (
    BY_AMBULANCE,
    BY_REFERRAL,
    CHRONIC,
    EMERGENCY,
    INPATIENT,
    OUTPATIENT,
    VISIT_TYPES,
    Care,
    City,
)
from fraud.claims.simulation.identifiers import Identifiers
from fraud.claims.simulation.items import LEVELS
from fraud.claims.simulation.outcomes import INVESTIGATORS, SOURCES, VERDICTS
from fraud.claims.simulation.people import FEMALE
from fraud.claims.simulation.providers import KIND_OF_TIER, PRIMARY, TERTIARY
from fraud.claims.simulation.rows import DAY, NEVER, NONE, Array, Rows, occurrence, size, take
from fraud.claims.simulation.schemes import SCHEMES
from fraud.claims.simulation.schemes.stage import CLAIM, ENTITIES
from fraud.claims.simulation.stays import WEIGHT_OF_SEVERITY

__all__ = ["Names", "billed", "entity_ids", "names", "numbered", "outcome_rows", "tables", "truth_rows"]

CENTS = 100
# From this day no drug is settled without the scan of its trace code.
TRACED_FROM = int(np.datetime64("2025-07-01", "s").astype(np.int64))
INSURANCE = ("employee", "resident", "other")
ASSISTANCE = ("none", "low_income", "low_income_family", "destitute")
TITLES = ("resident", "attending", "associate_chief", "chief")
GROUP_SUFFIX = np.array(["5", "3", "1"], dtype=object)  # without, with, with major complications


@dataclass(frozen=True)
class Names:
    """What the payer sees instead of positions: random, so that they say nothing.

    `order` has the positions of the claims in the order of settlement, `rank` the place of each in it.
    """

    order: Array
    rank: Array
    claim: Array
    patient: Array
    provider: Array
    physician: Array
    terminal: Array
    account: Array
    operator: Array
    investigator: Array


def names(city: City, care: Care, ids: Identifiers) -> Names:
    """Identifiers for everybody and everything; those of claims are by position in `care.claims`."""
    houses = city.providers
    # Claims come out of the simulator kind by kind: drawn in random order, their numbers tell nothing.
    mixed = city.stream("claim numbers").permutation(size(care.claims))
    # One number for time and chance: sorting by one column is several times faster than by two.
    since = care.claims["settled"] - care.claims["settled"].min(initial=0)
    order = np.argsort(since * len(mixed) + mixed)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return Names(
        order=order,
        rank=rank,
        claim=ids.of("claim", size(care.claims))[mixed],
        patient=ids.of("patient", len(city.people)),
        provider=ids.of("provider", len(houses)),
        physician=ids.of("physician", len(city.physicians)),
        terminal=ids.of("terminal", int(care.claims["terminal"].max(initial=0)) + 1),
        account=ids.of("account", len(houses) + len(city.people)),
        operator=ids.of("operator", len(city.operators)),
        investigator=Identifiers(ids.seed, 0, 1).of("investigator", INVESTIGATORS),
    )


def billed(city: City, care: Care) -> Rows:
    """The claims with total, fund, self and deductible, in cents."""
    claims, lines, money = care.claims, care.lines, city.rates["money"]
    at = np.searchsorted(claims["key"], lines["claim"])
    amount = lines["price"] * lines["quantity"]
    shares = np.array([money["class_shares"][c] for c in city.library.items["class"]])[lines["item"]]
    n = size(claims)
    total = np.bincount(at, amount, minlength=n).round().astype(np.int64)
    covered = np.bincount(at, np.round(amount * shares), minlength=n)
    tier, kind = city.providers.tier[claims["provider"]], claims["kind"]
    rate = np.where(city.people.insurance[claims["patient"]] == 0, money["rate_employee"], money["rate_resident"])
    rate = rate + money["outpatient"] * np.isin(kind, (OUTPATIENT, EMERGENCY)) + money["chronic"] * (kind == CHRONIC)
    assisted = np.where(claims["assisted"] >= 0, claims["assisted"] == 1, _assisted(city, claims))
    rate = rate + money["assisted"] * assisted
    rate = rate + money["primary"] * (tier >= PRIMARY) + money["tertiary"] * (tier == TERTIARY)
    first = np.array([money["deductible"].get(t, 0) for t in ("tertiary", "secondary", "primary", "", "", "")])[tier]
    deductible = np.minimum(np.where((kind == INPATIENT) & ~assisted, first * CENTS, 0), covered)
    fund = np.floor((covered - deductible) * np.minimum(rate, 0.98)).astype(np.int64)
    return claims | {
        "total": total,
        "fund": fund,
        "self": total - fund,
        "deductible": deductible.astype(np.int64),
    }


def _assisted(city: City, claims: Rows) -> Array:
    return city.people.assisted(claims["patient"], claims["admitted"])


def numbered(lines: Rows, claims: Rows, ids: Names, rng: np.random.Generator) -> Rows:
    """Lines in the order of claims, time, chance: `of` is the claim's position, `no` the number in it."""
    of = np.searchsorted(claims["key"], lines["claim"])
    # Again one number: the claim's rank, seconds since the first line of all claims' beginnings, chance.
    since = lines["at"] - claims["admitted"][of]
    since -= since.min(initial=0)
    order = np.argsort(((ids.rank[of] << 28) + since << 10) + rng.integers(0, 1 << 10, size(lines)))
    owner = of[order]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    number = 1 + np.arange(len(owner)) - np.repeat(first, np.diff(np.r_[first, len(owner)]))
    return {**take(lines, order), "of": owner, "no": number}


def tables(
    city: City, care: Care, claims: Rows, lines: Rows, ids: Names, rng: np.random.Generator
) -> dict[str, pa.Table]:
    """Every canonical table but the outcomes; claims and what belongs to them in order of settlement."""
    return {
        "claims": _claims(city, take(claims, ids.order), ids, ids.claim[ids.order]),
        "lines": _lines(city, claims, lines, ids, rng),
        "diagnoses": _diagnoses(city, care, claims, ids),
        "procedures": _procedures(city, care, claims, ids),
        "patients": _patients(city, ids),
        "providers": _providers(city, ids),
        "physicians": _physicians(city, ids),
        "catalogue": _catalogue(city),
        "exclusions": _exclusions(city),
    }


def _named(values: Any, index: Array, known: Array | None = None) -> pa.Array:
    """Values by position; null where not known."""
    mask = None if known is None else ~known
    return pa.DictionaryArray.from_arrays(
        pa.array(index.astype(np.int32), mask=mask), pa.array(list(values), pa.string())
    )


def _times(seconds: Array) -> pa.Array:
    """Times; `NONE` is not-a-time, hence null."""
    return pa.array(seconds.astype("datetime64[s]").astype("datetime64[us]"))


def _dates(days: Array, known: Array | None = None) -> pa.Array:
    return pa.array(days.astype("datetime64[D]"), mask=None if known is None else ~known)


def _days(seconds: Array) -> pa.Array:
    """Dates of times; `NONE` is null."""
    return _dates(np.where(seconds == NONE, 0, seconds // DAY), seconds != NONE)


def _yuan(cents: Array) -> pa.Array:
    return pa.array(cents / CENTS)


def _flags(values: Array) -> pa.Array:
    """Booleans from 0 and 1; -1 is null."""
    return pa.array(values == 1, mask=values < 0)


def _claims(city: City, claims: Rows, ids: Names, claim_ids: Array) -> pa.Table:
    lib, houses, folk = city.library, city.providers, city.people
    patient, provider, kind = claims["patient"], claims["provider"], claims["kind"]
    stay = kind == INPATIENT
    # The house is paid at the desk; later, the household.
    account = np.where(claims["manual"] == 1, len(houses) + folk.household[patient], provider)
    account = np.where(claims["account"] >= 0, claims["account"], account)
    weight = lib.diseases["weight"][claims["disease"]] * WEIGHT_OF_SEVERITY[claims["severity"]]
    drg = lib.diseases["drg"][claims["disease"]] + GROUP_SUFFIX[claims["severity"]]
    regions = city.rates["people"]["regions"]
    return pa.table({
        "claim_id": pa.array(claim_ids, pa.string()),
        "patient_id": _named(ids.patient, patient),
        "provider_id": _named(ids.provider, provider),
        "physician_id": _named(ids.physician, claims["physician"], claims["physician"] >= 0),
        "department": _named(
            lib.departments, city.physicians.department[claims["physician"].clip(0)], claims["physician"] >= 0
        ),
        "visit_type": _named(VISIT_TYPES, kind),
        "registered": _flags(claims["registered"]),
        "admitted_at": _times(claims["admitted"]),
        "discharged_at": _times(claims["discharged"]),
        "settled_at": _times(claims["settled"]),
        "uploaded_at": _times(claims["uploaded"]),
        "primary_diagnosis": _named(lib.diseases["code"], claims["disease"]),
        "drg": pa.array(np.where(stay, drg, None), pa.string()),
        "drg_weight": pa.array(np.round(weight, 4), mask=~stay),
        "discharge_status": _named(("home", "transferred", "died"), claims["status"], stay),
        "planned": _flags(np.where(stay, claims["planned"], -1)),
        "insured_region": _named(regions, folk.insured_region[patient]),
        "care_region": _named(regions, houses.region[provider]),
        "out_of_area": _out_of_area(city, claims),
        "settlement_channel": _named(("direct", "manual"), claims["manual"]),
        "identity_check": _named(("pass", "fail", "absent"), claims["identity"]),
        "total_amount": _yuan(claims["total"]),
        "fund_amount": _yuan(claims["fund"]),
        "self_amount": _yuan(claims["self"]),
        "deductible": _yuan(claims["deductible"]),
        "currency": pa.array(["CNY"] * size(claims)),
        "invoice_no": pa.array(claims["invoice"]).cast(pa.string()),
        "payee_account": _named(ids.account, account),
        "terminal_id": _named(ids.terminal, claims["terminal"].clip(0), claims["terminal"] >= 0),
        "operator_id": _named(ids.operator, claims["operator"]),
    })  # fmt: skip


def _out_of_area(city: City, claims: Rows) -> pa.Array:
    """Why care was given outside the region that insures the person: one lives there, was sent, or went."""
    folk, houses, patient = city.people, city.providers, claims["patient"]
    care = houses.region[claims["provider"]]
    home = folk.insured_region[patient] == care
    living = folk.region[patient] == care
    urgent = (claims["kind"] == EMERGENCY) | (claims["sent"] == BY_AMBULANCE)
    kinds = ("none", "resident", "resident_unsettled", "emergency", "referral", "self_arranged")
    known = [home, living & ~folk.unsettled[patient], living, urgent, claims["sent"] == BY_REFERRAL]
    return _named(kinds, np.select(known, [0, 1, 2, 3, 4], 5))


def _lines(city: City, claims: Rows, lines: Rows, ids: Names, rng: np.random.Generator) -> pa.Table:
    lib, at = city.library, lines["of"]
    given = np.where(lines["dispensed"] >= 0, lines["dispensed"], lines["item"])
    traced = lib.is_category("drug")[given] & (lines["at"] >= TRACED_FROM)
    hands = np.where(lines["physician"] >= 0, lines["physician"], claims["physician"][at])
    amount = lines["price"] * lines["quantity"]
    return pa.table({
        "claim_id": _named(ids.claim, at),
        "line_no": lines["no"],
        "item_code": _named(lib.items["item_code"], lines["item"]),
        "item_name": _named(lib.items["name"], lines["item"]),
        "quantity": lines["quantity"].astype(float),
        "unit_price": _yuan(lines["price"]),
        "amount": _yuan(amount),
        "service_at": _times(lines["at"]),
        "ordered_at": _times(lines["ordered"]),
        "executed_at": _times(lines["executed"]),
        "reported_at": _times(lines["reported"]),
        "report_positive": _flags(lines["positive"]),
        "days_supply": pa.array(lines["supply"].astype(float), mask=lines["supply"] <= 0),
        "physician_id": _named(ids.physician, hands, hands >= 0),
        "trace_code": _trace_codes(given, lines["trace"], traced, rng),
        "dispensed_item_code": _named(lib.items["item_code"], given, lib.is_category("drug")[given]),
        "local_item_code": _local_codes(city, claims["provider"][at], lines),
    })  # fmt: skip


def _trace_codes(item: Array, trace: Array, traced: Array, rng: np.random.Generator) -> pa.Array:
    """Twenty digits: 8, the product, a number of the box; a box that was sold before keeps its number."""
    fresh = rng.integers(0, 10**14, len(item))
    number = 8_000_000_000_000_000_000 + item * 10**14 + np.where(trace >= 0, trace, fresh)
    return pc.binary_join_element_wise(pa.scalar("8"), pa.array(number, mask=~traced).cast(pa.string()), "")


def _local_codes(city: City, provider: Array, lines: Rows) -> pa.Array:
    """The code that the house itself uses: one for each item, unless it maps a thing of its own to one."""
    hospital = city.providers.tier[provider] <= PRIMARY
    own = np.where(lines["local"] >= 0, lines["local"], lines["item"])
    number = 10_000_000 + (own * 7919 + provider * 104_729) % 9_000_011
    return pc.binary_join_element_wise(pa.scalar("L"), pa.array(number, mask=~hospital).cast(pa.string()), "")


def _owned(care_rows: Rows, claims: Rows, rank: Array) -> tuple[Rows, Array]:
    """Rows of claims in the order of settlement, then position, and the positions of their claims."""
    at = np.searchsorted(claims["key"], care_rows["claim"])
    order = np.lexsort((care_rows["position"], rank[at]))
    return take(care_rows, order), at[order]


def _diagnoses(city: City, care: Care, claims: Rows, ids: Names) -> pa.Table:
    rows, at = _owned(care.diagnoses, claims, ids.rank)
    stay = claims["kind"][at] == INPATIENT
    return pa.table({
        "claim_id": _named(ids.claim, at),
        "position": 1 + occurrence(at),
        "code": _named(city.library.codes, rows["code"]),
        "kind": _named(("discharge",), np.zeros(len(at), np.int64), stay),
        "present_on_admission": _flags(rows["present"]),
    })  # fmt: skip


def _procedures(city: City, care: Care, claims: Rows, ids: Names) -> pa.Table:
    rows, at = _owned(care.procedures, claims, ids.rank)
    return pa.table({
        "claim_id": _named(ids.claim, at),
        "position": 1 + occurrence(at),
        "code": _named(city.library.items["procedure"], rows["item"]),
        "performed_at": _times(rows["at"]),
        "physician_id": _named(ids.physician, rows["physician"], rows["physician"] >= 0),
    })  # fmt: skip


def _by_name(rows: dict[str, Any], key: str) -> pa.Table:
    return pa.table(rows).sort_by(key)


def _patients(city: City, ids: Names) -> pa.Table:
    folk = city.people
    helped = folk.assistance > 0
    conditions = [city.library.diseases["code"][row].tolist() for row in folk.conditions]
    return _by_name({
        "patient_id": pa.array(ids.patient, pa.string()),
        "birth_date": _dates(folk.birth),
        "sex": pa.array(np.where(folk.sex_written == FEMALE, "female", "male")),
        "insurance_type": _named(INSURANCE, folk.insurance).cast(pa.string()),
        "insured_region": _named(city.rates["people"]["regions"], folk.insured_region).cast(pa.string()),
        "died_on": _dates(np.where(folk.died == NEVER, 0, folk.died // DAY), folk.died != NEVER),
        "assistance": _named(ASSISTANCE, folk.assistance).cast(pa.string()),
        "assistance_from": _dates(np.where(helped, folk.assistance_from, 0), helped),
        "assistance_to": _dates(np.where(helped, folk.assistance_to, 0), helped),
        "chronic_conditions": pa.array(conditions, pa.list_(pa.string())),
    }, "patient_id")  # fmt: skip


def _providers(city: City, ids: Names) -> pa.Table:
    houses = city.providers
    return _by_name({
        "provider_id": pa.array(ids.provider, pa.string()),
        "name": pa.array(houses.name, pa.string()),
        "kind": pa.array(KIND_OF_TIER[houses.tier], pa.string()),
        "level": _named(LEVELS, houses.level).cast(pa.string()),
        "region": _named(city.rates["people"]["regions"], houses.region).cast(pa.string()),
        "licensed_beds": pa.array(houses.beds, mask=houses.beds == 0),
        "stations": pa.array(houses.stations, mask=houses.stations == 0),
        "latitude": np.round(houses.place[:, 0], 5),
        "longitude": np.round(houses.place[:, 1], 5),
        "opened_on": _dates(houses.opened),
        "suspended_from": _days(houses.suspended_from),
        "suspended_to": _days(houses.suspended_to),
    }, "provider_id")  # fmt: skip


def _physicians(city: City, ids: Names) -> pa.Table:
    """Physicians; most are insured as well."""
    staff = city.physicians
    return _by_name({
        "physician_id": pa.array(ids.physician, pa.string()),
        "provider_id": _named(ids.provider, staff.provider).cast(pa.string()),
        "patient_id": _named(ids.patient, staff.patient.clip(0), staff.patient >= 0).cast(pa.string()),
        "specialty": _named(city.library.departments, staff.department).cast(pa.string()),
        "title": _named(TITLES, staff.title).cast(pa.string()),
        "licensed_from": _dates(staff.licensed),
        "licensed_to": _days(staff.licensed_to),
        "suspended_from": _days(staff.suspended_from),
        "suspended_to": _days(staff.suspended_to),
    }, "physician_id")  # fmt: skip


def _texts(values: Iterable[str]) -> pa.Array:
    return pa.array([v or None for v in values], pa.string())


def _numbers(values: Array) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _catalogue(city: City) -> pa.Table:
    items = city.library.items
    texts = {n: _texts(items[n]) for n in ("item_code", "name", "category", "class", "sex_limit", "level_limit")}
    texts |= {n: _texts(items[n]) for n in ("visit_type_limit", "atc")}
    numbers = ("price_cap", "max_per_day", "max_days_supply", "minutes", "age_min", "age_max")
    lists = pa.array([v.split() or None for v in items["indications"]], pa.list_(pa.string()))
    flags = {n: pa.array(items[n]) for n in ("large_equipment", "dialysis")}
    return _by_name(texts | {n: _numbers(items[n]) for n in numbers} | {"indications": lists} | flags, "item_code")


def _exclusions(city: City) -> pa.Table:
    pairs, code = city.library.exclusions, city.library.items["item_code"]
    return pa.table({
        "item_code": pa.array(code[pairs["package"]], pa.string()),
        "included_item_code": pa.array(code[pairs["included"]], pa.string()),
        "kind": pa.array(pairs["kind"], pa.string()),
        "valid_from": _dates(np.full(len(pairs["package"]), city.start - 400)),
    })  # fmt: skip


def entity_ids(ids: Names, claims: Rows, entity: Array, who: Array) -> pa.Array:
    """Identifiers of entities: a key for a claim, a position for a provider or a patient."""
    by_kind: Sequence[Array] = (ids.provider, ids.patient, ids.physician, ids.operator, ids.claim)
    at = np.where(entity == CLAIM, np.searchsorted(claims["key"], who), who)
    return pa.array([by_kind[e][i] for e, i in zip(entity.tolist(), at.tolist(), strict=True)], pa.string())


def _violations(scheme: Array) -> pa.Array:
    return _named([s.violation for s in SCHEMES], scheme.clip(0), scheme >= 0).cast(pa.string())


def outcome_rows(claims: Rows, found: Rows, ids: Names) -> pa.Table:
    """The outcomes table, in order of decision."""
    pairs = ids.investigator[np.stack([found["lead"], found["second"]], axis=1)].tolist()
    return pa.table({
        "entity": _named(ENTITIES, found["entity"]),
        "entity_id": entity_ids(ids, claims, found["entity"], found["id"]),
        "verdict": _named(VERDICTS, found["verdict"]),
        "violation": _violations(found["scheme"]),
        "period_from": _dates(found["begins"] // DAY),
        "period_to": _dates(found["ends"] // DAY),
        "decided_at": _times(found["decided"]),
        "amount": pa.array(found["amount"] / CENTS, mask=found["amount"] == 0),
        "investigators": pa.array(pairs, pa.list_(pa.string())),
        "source": _named(SOURCES, found["source"]),
    })  # fmt: skip


def truth_rows(rows: Rows, **columns: pa.Array) -> pa.Table:
    """Truth with scheme, violation and amount after the given columns."""
    scheme = _named([s.name for s in SCHEMES], rows["scheme"]).cast(pa.string())
    amount = _yuan(rows["amount"])
    return pa.table(columns | {"scheme": scheme, "violation": _violations(rows["scheme"]), "amount": amount})
