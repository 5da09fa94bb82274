"""A simulated town with one scheme beside the same town where everybody is honest, open to questions in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sklearn.metrics import roc_auc_score

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.simulation import SCHEMES, simulate
from fraud.claims.simulation.presets import rates_of
from tests.once import once

SEED = 5
# Most schemes need many houses; charges, drugs and papers show in a smaller town as well.
LARGE, SMALL = 30_000, 14_000
FALSE = "(SELECT claim_id FROM true_claims)"
# Identifiers of claims are drawn anew when there are more of them; what happened is told by who, where and when.
SAME = "patient_id, provider_id, physician_id, admitted_at, settled_at, total_amount, identity_check, registered"


@dataclass(frozen=True)
class Played:
    """A town with one scheme.

    The views are the canonical tables, `true_claims`, `true_lines`, `true_actors`, and `honest_claims`: those
    of the same town when everybody is honest.
    """

    connection: duckdb.DuckDBPyConnection

    def all(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def one(self, query: str) -> Any:
        return self.all(query)[0][0]

    def ranks(self, signal: str, entity: str = "provider", *, idle: bool = True) -> float:
        """ROC-AUC of a query of (id, value) for the actors of the entity against all others.

        Without `idle`, actors with nothing at stake are left out.
        """
        did = dict(self.all(f"SELECT entity_id, max(amount) FROM true_actors WHERE entity = '{entity}' GROUP BY 1"))
        rows = [(who, float(value or 0)) for who, value in self.all(signal) if idle or did.get(who) != 0]
        return float(roc_auc_score([who in did for who, _ in rows], [value for _, value in rows]))


class Town:
    """One town with any scheme of some actors, each played once; `rates` are those of schemes that need others."""

    def __init__(self, folders: pytest.TempPathFactory, claims: int, rates: Mapping[str, dict[str, Any]]) -> None:
        self.claims, self.rates = claims, rates
        self.folder = folders.mktemp("town")
        self.honest = once(
            folders,
            f"honest-{claims}",
            lambda to: simulate(to / "payer", seed=SEED, claims=claims, schemes=False),
        )
        self.known: dict[str, Played] = {}
        self._open = ExitStack()

    def __call__(self, scheme: str) -> Played:
        if scheme not in self.known:
            self.known[scheme] = self._play(scheme, {"actors": 6} | self.rates.get(scheme, {}))
        return self.known[scheme]

    def _play(self, scheme: str, rates: dict[str, Any]) -> Played:
        preset = preset_with(self.folder / f"{scheme}.toml", {scheme: rates})
        result = simulate(self.folder / scheme, preset=preset, seed=SEED, claims=self.claims)
        connection = self._open.enter_context(connect())
        ClaimsFolder(result.to).attach(connection)
        for part in ("claims", "lines", "actors"):
            connection.execute(f"CREATE VIEW true_{part} AS FROM read_parquet('{result.truth}/{part}.parquet')")
        honest = self.honest / "payer/claims/*.parquet"
        connection.execute(f"CREATE VIEW honest_claims AS FROM read_parquet('{honest}')")
        return Played(connection)

    def close(self) -> None:
        self._open.close()


@contextmanager
def town_of(
    folders: pytest.TempPathFactory, claims: int = LARGE, rates: Mapping[str, dict[str, Any]] | None = None
) -> Iterator[Town]:
    """A town that is closed in the end."""
    town = Town(folders, claims, rates or {})
    try:
        yield town
    finally:
        town.close()


def preset_with(file: Path, schemes: Mapping[str, Mapping[str, Any]], more: str = "") -> str:
    """A preset file in which nobody is at anything but these schemes."""
    known = rates_of("demo")["schemes"]
    lines = [more]
    for scheme in SCHEMES:
        # Some have houses or abettors beside their actors.
        none = {n: 0 for n in ("actors", "houses", "abettors") if isinstance(known[scheme.name].get(n), int | float)}
        rates = schemes.get(scheme.name, none)
        lines += [f"[schemes.{scheme.name}]", *(f"{name} = {value}" for name, value in rates.items())]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return str(file)


# --- what holds of any scheme ----------------------------------------------------------------------------


def changed(city: Played) -> int:
    """Claims that the truth does not name and that are not in the honest town as they are here."""
    return int(city.one(f"""
        SELECT count(*) FROM (SELECT {SAME} FROM claims WHERE claim_id NOT IN {FALSE}
        EXCEPT ALL SELECT {SAME} FROM honest_claims)"""))  # fmt: skip


def beyond(city: Played, entity: str, column: str) -> int:
    """False claims that belong to no actor of the entity in whose time they were settled."""
    return int(city.one(f"""
        SELECT count(*) FROM true_claims t JOIN claims c USING (claim_id) WHERE NOT EXISTS (FROM true_actors a
        WHERE a.entity = '{entity}' AND a.entity_id = c.{column}
        AND c.settled_at::DATE BETWEEN a."from" - 2 AND a."to" + 60)"""))  # fmt: skip


def begun_too_late(city: Played, days: int = 4) -> int:
    """False claims that begin when no actor (provider, patient or physician) of theirs is at it any more.

    The end of one who stops at an inspection is the day on which it came.
    """
    return int(city.one(f"""
        SELECT count(*) FROM true_claims t JOIN claims c USING (claim_id) WHERE NOT EXISTS (FROM true_actors a
        WHERE a.entity_id IN (c.provider_id, c.patient_id, c.physician_id)
        AND c.admitted_at::DATE BETWEEN a."from" - 4 AND a."to" + {days})"""))  # fmt: skip


def disordered(city: Played) -> int:
    """Lines of false claims whose times do not follow each other."""
    return int(city.one("""
        SELECT count(*) FROM true_claims JOIN claims USING (claim_id) JOIN lines USING (claim_id)
        WHERE NOT (admitted_at <= service_at AND service_at <= settled_at AND settled_at < uploaded_at
        AND coalesce(ordered_at, admitted_at) BETWEEN admitted_at AND service_at
        AND coalesce(executed_at, service_at) >= service_at
        AND coalesce(reported_at, executed_at, service_at) >= coalesce(executed_at, service_at))"""))  # fmt: skip


def unpaid(city: Played) -> int:
    """False claims whose amount at stake is not the whole of the claim."""
    return int(city.one("""
        SELECT count(*) FROM true_claims t JOIN claims USING (claim_id)
        WHERE round(t.amount * 100) <> round(total_amount * 100)"""))  # fmt: skip


def lines_apart(city: Played) -> int:
    """False claims whose lines at stake do not add up to what is at stake of the claim."""
    return int(city.one("""
        SELECT count(*) FROM true_claims t LEFT JOIN (SELECT claim_id, sum(amount) AS lines FROM true_lines GROUP BY 1)
        USING (claim_id) WHERE abs(coalesce(lines, 0) - t.amount) > 0.005"""))  # fmt: skip


def in_two_beds(city: Played) -> int:
    """Pairs of stays of one person that overlap."""
    return int(city.one("""
        SELECT count(*) FROM claims a JOIN claims b ON a.patient_id = b.patient_id AND a.claim_id < b.claim_id
        AND a.admitted_at < b.discharged_at AND b.admitted_at < a.discharged_at AND a.invoice_no <> b.invoice_no
        WHERE a.visit_type = 'inpatient' AND b.visit_type = 'inpatient'"""))  # fmt: skip


def false_shares(city: Played) -> list[float]:
    """For each house that takes part: the share of its claims that are false."""
    return [s for (s,) in city.all(f"""
        SELECT avg((claim_id IN {FALSE})::INT) FROM claims WHERE provider_id IN
        (SELECT entity_id FROM true_actors WHERE entity = 'provider') GROUP BY provider_id""")]  # fmt: skip


def dearer_than_honest(city: Played) -> list[tuple[float, float]]:
    """For each false claim that has an honest twin: what it costs more, and the amount at stake."""
    return city.all(f"""
        SELECT c.total_amount - h.total_amount, t.amount FROM true_claims t JOIN claims c USING (claim_id)
        JOIN honest_claims h USING (patient_id, provider_id, admitted_at, settled_at) WHERE c.claim_id IN {FALSE}""")


def assert_bound(city: Played, days: int = 4) -> None:
    """There is something false, in its time, in order, and claims that the truth does not name are as they were."""
    assert city.one("SELECT count(*) FROM true_claims") >= 12
    assert begun_too_late(city, days) == 0
    assert disordered(city) == 0
    assert changed(city) == 0


def inspected_and_not(
    folder: Path, schemes: Mapping[str, Mapping[str, Any]], claims: int, kinds: Sequence[str]
) -> list[dict[str, int]]:
    """False claims of each scheme where no actor of these kinds is ever inspected, and where all of them are."""
    counts = []
    for share in (0.0, 1.0):
        seen = "\n".join(["[outcomes]", *(f"guilty_{kind} = {share}" for kind in kinds)])
        preset = preset_with(folder / f"share-{share}.toml", schemes, seen)
        made = simulate(folder / f"town-{share}", preset=preset, seed=SEED, claims=claims)
        with connect() as connection:
            truth = f"read_parquet('{made.truth}/claims.parquet')"
            counts.append(dict(connection.execute(f"SELECT scheme, count(*) FROM {truth} GROUP BY 1").fetchall()))
    return counts
