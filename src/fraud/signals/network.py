"""Relations between entities as of a snapshot: shared patients, accounts and terminals, referrals, ties, surges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from fraud.signals.columns import admission_day
from fraud.signals.lookups import CLAIM, base_table, billed_services, item_pairs
from fraud.signals.prepared import PREPARED
from fraud.signals.scope import ENTITY_KEYS, Scope, only

__all__ = ["network_scopes"]

# A stay that begins so many days after a visit elsewhere may have been sent from there.
REFERRAL_DAYS = 14
# Patients of a suspended provider are those of so many days before; they moved in so many days after.
BEFORE_DAYS, AFTER_DAYS = 90, 30
# The recent part of a window, which is compared with the rest of it.
RECENT_DAYS = 90


class Windowed(Protocol):
    """What the relations of an entity are made from."""

    entity: str
    days: int
    key: tuple[str, ...]

    def in_window(self) -> ir.Table:
        """The entity's claims in the window before the snapshot, with both keys."""


Build = Callable[[Windowed], ir.Table]


def network_scopes(base: Windowed) -> list[Scope]:
    """The relations that an entity's signals may ask for beside its own window."""
    prepared = {
        "patient": ("ties", "joint_stays"),
        "provider": ("rings", "joint_stays", "surges"),
        "physician": ("rings",),
    }[base.entity]
    queried: dict[str, Sequence[Callable[[Windowed], Scope]]] = {
        "patient": (_accounts,),
        "provider": (
            _network,
            _accounts,
            _terminals,
            _referrals,
            _feeders,
            _suspended,
            _catchment,
            _bundles,
            _pairs,
        ),
        "physician": (_network,),
    }
    return [*(_prepared(base, name) for name in prepared), *(make(base) for make in queried[base.entity])]


_DOCS = {
    "ties": "patients who came with this one more often than chance explains, and the group that they make",
    "rings": "groups of patients who came together again and again, as far as they came here",
    "joint_stays": "pairs of patients who were admitted to one hospital together again and again",
    "surges": "weeks in which a series of claims rose above its own past and the rest of the region",
}


def _prepared(base: Windowed, name: str) -> Scope:
    table, columns = base_table(name), tuple(PREPARED[name].columns)
    types = {n: dt.dtype(t) for n, t in PREPARED[name].columns.items()}

    def build(needed: frozenset[str]) -> ir.Table:
        return only(table, {*base.key, *needed})

    doc = f"{_DOCS[name]}, in the window before the snapshot"
    requires = tuple(PREPARED[name].reads)
    return Scope(name, doc, base.key, build, columns, requires=requires, types=types, prepared=name)


def _scope(
    base: Windowed, name: str, doc: str, columns: Sequence[str], build: Build, requires: Sequence[str] = ()
) -> Scope:
    def needed_only(needed: frozenset[str]) -> ir.Table:
        return only(build(base), {*base.key, *needed})

    needs = tuple(("claims", c) for c in requires)
    return Scope(name, doc, base.key, needed_only, tuple(columns), requires=needs)


def _known(claims: ir.Table, window: ir.Table, days: int) -> list[ir.BooleanValue]:
    """Claims of anybody that fall into the window before the snapshot."""
    start = window.snapshot - ibis.interval(days=days)
    return [claims.settled_at < window.snapshot, claims.settled_at >= start]


def _other_claims(*columns: str) -> ir.Table:
    claims = base_table("claims").view()
    return claims.select(*columns)


# --- shared patients, accounts, terminals -----------------------------------------------------------------


def _network(base: Windowed) -> Scope:
    own = ENTITY_KEYS[base.entity]

    def build(base: Windowed) -> ir.Table:
        seen = base.in_window().select(*base.key, "patient_id").distinct()
        claims = base_table("claims").view()
        apart = [seen.patient_id == claims.patient_id, seen.entity_id != claims[own]]
        shared = seen.inner_join(claims, [*apart, *_known(claims, seen, base.days)])
        kept = (seen[n] for n in (*base.key, "patient_id"))
        shared = shared.select(*kept, other_id=claims[own]).distinct()
        return shared.group_by([*base.key, "other_id"]).aggregate(shared_patients=shared.count())

    doc = f"other {base.entity}s with patients in common, in the window before the snapshot"
    return _scope(base, "network", doc, ("other_id", "shared_patients"), build)


def _accounts(base: Windowed) -> Scope:
    """Private accounts: those that claims handed in by hand are paid to."""

    def build(base: Windowed) -> ir.Table:
        window = base.in_window()
        window = window.filter(window.settlement_channel == "manual", window.payee_account.notnull())
        own = window.group_by([*base.key, "payee_account"]).aggregate(
            claims=window.count(), amount=window.total_amount.sum()
        )
        claims = _other_claims("payee_account", "patient_id", "settled_at", "settlement_channel")
        claims = claims.filter(claims.settlement_channel == "manual")
        paid = own.inner_join(claims, [own.payee_account == claims.payee_account, *_known(claims, own, base.days)])
        paid = paid.select(*(own[n] for n in own.columns), patient_id=claims.patient_id)
        groups = paid.group_by([*base.key, "payee_account", "claims", "amount"])
        return groups.aggregate(persons=paid.patient_id.nunique())

    doc = "private accounts that claims handed in by hand are paid to, with all persons paid there in the window"
    columns = ("payee_account", "claims", "amount", "persons")
    return _scope(base, "accounts", doc, columns, build, ("payee_account", "settlement_channel"))


def _terminals(base: Windowed) -> Scope:
    def build(base: Windowed) -> ir.Table:
        window = base.in_window()
        window = window.filter(window.terminal_id.notnull())
        own = window.group_by([*base.key, "terminal_id"]).aggregate(
            claims=window.count(), amount=window.total_amount.sum()
        )
        claims = _other_claims("terminal_id", "provider_id", "settled_at")
        used = own.inner_join(claims, [own.terminal_id == claims.terminal_id, *_known(claims, own, base.days)])
        used = used.select(*(own[n] for n in own.columns), provider_id=claims.provider_id).distinct()
        groups = used.group_by([*base.key, "terminal_id", "claims", "amount"])
        return groups.aggregate(providers=used.count())

    doc = "terminals that settled here, with the number of providers that settled through them in the window"
    return _scope(base, "terminals", doc, ("terminal_id", "claims", "amount", "providers"), build, ("terminal_id",))


# --- referrals ----------------------------------------------------------------------------------------------


def _visits(claims: ir.Table, *key: str) -> ir.Table:
    seen = claims.filter(claims.visit_type.isin(("outpatient", "emergency", "chronic")))
    return seen.select(*key, "patient_id", "settled_at", other_id=seen.provider_id, visit_at=seen.admitted_at)


def _stays(claims: ir.Table, *key: str) -> ir.Table:
    stays = claims.filter(claims.visit_type == "inpatient")
    own = {"other_id": stays.provider_id, "stay": stays.claim_id, "stay_at": stays.admitted_at}
    return stays.select(*key, "patient_id", "settled_at", **own)


def _soon_after(base: Windowed, visits: ir.Table, stays: ir.Table, here: ir.Table, elsewhere: ir.Table) -> ir.Table:
    """Stays soon after a visit, by the other provider: one of both is `here`, in the window, the other `elsewhere`."""
    gap = stays.stay_at.date().delta(visits.visit_at.date(), unit="day")
    soon = (gap >= 0) & (gap <= REFERRAL_DAYS)
    pairs = [here.patient_id == elsewhere.patient_id, here.entity_id != elsewhere.other_id]
    both = here.inner_join(elsewhere, [*pairs, soon, *_known(elsewhere, here, base.days)])
    both = both.select(*(here[k] for k in base.key), elsewhere.other_id, stays.stay).distinct()
    return both.group_by([*base.key, "other_id"]).aggregate(stays=both.count())


def _referrals(base: Windowed) -> Scope:
    """Hospitals that admitted this provider's patients soon after a visit here, beside their share of all stays."""

    def build(base: Windowed) -> ir.Table:
        visits, stays = _visits(base.in_window(), *base.key), _stays(base_table("claims").view())
        return _soon_after(base, visits, stays, visits, stays)

    doc = f"hospitals with stays of patients who had been here at most {REFERRAL_DAYS} days before"
    return _scope(base, "referrals", doc, ("other_id", "stays"), build)


def _feeders(base: Windowed) -> Scope:
    """Providers whose patients were admitted here soon after a visit there."""

    def build(base: Windowed) -> ir.Table:
        stays, visits = _stays(base.in_window(), *base.key), _visits(base_table("claims").view())
        return _soon_after(base, visits, stays, stays, visits)

    doc = f"providers where patients of stays here had been at most {REFERRAL_DAYS} days before"
    return _scope(base, "feeders", doc, ("other_id", "stays"), build)


# --- change -------------------------------------------------------------------------------------------------


def _suspended(base: Windowed) -> Scope:
    """Other providers whose suspension began in the window, and what of their patients came here afterwards."""

    def build(base: Windowed) -> ir.Table:
        entities, providers = base_table("entities"), base_table("providers")
        stopped = providers.filter(providers.suspended_from.notnull())
        began = [
            entities.entity_id != stopped.provider_id,
            stopped.suspended_from < entities.snapshot.date(),
            stopped.suspended_from >= (entities.snapshot - ibis.interval(days=base.days)).date(),
        ]
        pairs = entities.inner_join(stopped, began)
        pairs = pairs.select(
            entities.entity_id, entities.snapshot, other_id=stopped.provider_id, on=stopped.suspended_from
        )
        theirs = _persons(pairs, "other_id", -BEFORE_DAYS, 0)
        came = _persons(pairs, "entity_id", 1, AFTER_DAYS)
        here = _persons(pairs, "entity_id", -BEFORE_DAYS, 0)
        keys = ["entity_id", "snapshot", "other_id"]
        lost = theirs.group_by(keys).aggregate(their_patients=theirs.count())
        moved = came.anti_join(here, [*keys, "patient_id"]).semi_join(theirs, [*keys, "patient_id"])
        moved = moved.group_by(keys).aggregate(moved_patients=moved.count())
        both = lost.left_join(moved, keys)
        columns = {k: lost[k] for k in keys}
        return both.select(
            **columns, their_patients=lost.their_patients, moved_patients=moved.moved_patients.fill_null(0)
        )

    doc = f"other providers suspended in the window, and how many of their patients came here within {AFTER_DAYS} days"
    scope = _scope(base, "suspended", doc, ("other_id", "their_patients", "moved_patients"), build)
    return Scope(
        scope.name, scope.doc, scope.key, scope.build, scope.columns, requires=(("providers", "suspended_from"),)
    )


def _persons(pairs: ir.Table, place: str, first: int, last: int) -> ir.Table:
    """Patients who were at a place between two days counted from the suspension, by pair."""
    claims = base_table("claims").view()
    gap = claims.admitted_at.date().delta(pairs.on, unit="day")
    there = [pairs[place] == claims.provider_id, gap >= first, gap <= last, claims.settled_at < pairs.snapshot]
    both = pairs.inner_join(claims, there)
    return both.select(pairs.entity_id, pairs.snapshot, pairs.other_id, claims.patient_id).distinct()


def _catchment(base: Windowed) -> Scope:
    """Where patients are insured, in the recent part of the window and in the rest of it."""

    def build(base: Windowed) -> ir.Table:
        window = CLAIM.apply(base.in_window(), ["patient_insured_region"])
        recent = window.settled_at >= window.snapshot - ibis.interval(days=RECENT_DAYS)
        rows = window.select(*base.key, region=window.patient_insured_region, is_recent=recent)
        rows = rows.filter(rows.region.notnull())
        places = rows.group_by([*base.key, "region"]).aggregate(
            recent_claims=rows.count(where=rows.is_recent), earlier_claims=rows.count(where=~rows.is_recent)
        )
        totals = rows.group_by(list(base.key)).aggregate(
            all_recent=rows.count(where=rows.is_recent), all_earlier=rows.count(where=~rows.is_recent)
        )
        return places.inner_join(totals, list(base.key)).select(*places.columns, "all_recent", "all_earlier")

    doc = f"regions that insure the patients, with claims of the last {RECENT_DAYS} days and of the rest of the window"
    columns = ("region", "recent_claims", "earlier_claims", "all_recent", "all_earlier")
    return _scope(base, "catchment", doc, columns, build)


# --- bills that are alike -------------------------------------------------------------------------------------


def _bundles(base: Windowed) -> Scope:
    """Bills with the same items: first and last code, number of lines and amount tell one from another."""

    def build(base: Windowed) -> ir.Table:
        window = base.in_window()
        window = window.select(*base.key, "patient_id", "visit_type", "admitted_at", "claim_id")
        lines = base_table("lines")
        # Amounts are rounded, because sums of the same lines in another order differ in the last digits.
        bills = lines.group_by("claim_id").aggregate(
            first_item=lines.item_code.min(),
            last_item=lines.item_code.max(),
            bill_lines=lines.count(),
            bill_items=lines.item_code.nunique(),
            bill_amount=lines.amount.sum().round(1),
        )
        both = window.inner_join(bills, "claim_id")
        same = ["visit_type", "first_item", "last_item", "bill_lines", "bill_items", "bill_amount"]
        both = both.select(*base.key, "patient_id", *same, day=admission_day(both.admitted_at))
        return both.group_by([*base.key, *same]).aggregate(
            claims=both.count(), patients=both.patient_id.nunique(), days=both.day.nunique()
        )

    doc = "bills of the window that consist of the same items at the same amount, added up"
    columns = ("visit_type", "first_item", "last_item", "bill_lines", "bill_amount", "claims", "patients", "days")
    scope = _scope(base, "bundles", doc, columns, build)
    return Scope(scope.name, scope.doc, scope.key, scope.build, scope.columns, requires=(("lines", "claim_id"),))


def _pairs(base: Windowed) -> Scope:
    """Pairs of services that the provider bills on one claim, beside how often others do."""

    def build(base: Windowed) -> ir.Table:
        window, lines = base.in_window(), base_table("lines")
        both = window.select(*base.key, "claim_id").inner_join(lines, "claim_id")
        services = billed_services(both, [*base.key, "claim_id"])
        single = services.group_by([*base.key, "item_code"]).aggregate(claims=services.count())
        pairs = item_pairs(services, [*base.key, "claim_id"])
        counted = pairs.group_by([*base.key, "item_code", "other_code"]).aggregate(pair_claims=pairs.count())
        joined = counted.inner_join(single, [*base.key, "item_code"])
        norms = base_table("norms")
        usual = norms.filter(norms.domain == "pair").select(code=norms.code, usual_share=norms.share)
        found = joined.left_join(usual, joined.item_code + "|" + joined.other_code == usual.code)
        own = (joined[n] for n in (*base.key, "item_code", "other_code", "pair_claims", "claims"))
        return found.select(*own, usual.usual_share)

    doc = "pairs of services on one claim: claims with both, claims with the first, and the usual share of both"
    columns = ("item_code", "other_code", "pair_claims", "claims", "usual_share")
    scope = _scope(base, "item_pairs", doc, columns, build)
    needs = (("lines", "item_code"), ("catalogue", "category"))
    return Scope(scope.name, scope.doc, scope.key, scope.build, scope.columns, requires=needs)
