"""Phantom visits and cash swipes: what their actors do shows in the tables, within their time, and nothing else does.

`played` makes a small city with one scheme only; the other tests of schemes use it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.simulation import SCHEMES, SimulationResult, simulate
from fraud.claims.simulation.presets import rates_of
from fraud.claims.simulation.seasons import is_holiday

CLAIMS, SEED = 30_000, 5


@dataclass(frozen=True)
class Played:
    """A city with one scheme, and the same city without it, open to questions in SQL.

    The views are the canonical tables, `true_claims`, `true_lines`, `true_actors`, and `honest_claims`: those
    of the same city when everybody is honest.
    """

    result: SimulationResult
    connection: duckdb.DuckDBPyConnection

    def all(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def one(self, query: str) -> Any:
        return self.all(query)[0][0]

    def ranks(self, signal: str, entity: str = "provider") -> float:
        """ROC-AUC of a query of (id, guilt, value) or (id, value): guilty are the actors of that entity."""
        actors = {who for (who,) in self.all(f"SELECT entity_id FROM true_actors WHERE entity = '{entity}'")}
        rows = self.all(signal)
        return float(roc_auc_score([who in actors for who, _ in rows], [float(value or 0) for _, value in rows]))


def preset_of(folder: Path, scheme: str, **rates: float) -> str:
    """A preset file in which only one scheme has actors."""
    counts = {"actors": 0, "houses": 0, "abettors": 0}
    known: Mapping[str, Mapping[str, Any]] = rates_of("demo")["schemes"]
    lines = ['base = "demo"']
    for other in SCHEMES:
        mine = {
            n: v for n, v in counts.items() if n in known[other.name] and not isinstance(known[other.name][n], list)
        }
        lines += [
            f"[schemes.{other.name}]",
            *(f"{n} = {v}" for n, v in (rates if other.name == scheme else mine).items()),
        ]
    file = folder / f"{scheme}.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return str(file)


def played(folder: Path, scheme: str, claims: int = CLAIMS, seed: int = SEED, **rates: float) -> Played:
    """The city with the scheme at these rates, beside the honest one."""
    preset = preset_of(folder, scheme, **rates)
    result = simulate(folder / scheme, preset=preset, seed=seed, claims=claims)
    honest = simulate(folder / f"{scheme}.honest", preset=preset, seed=seed, claims=claims, schemes=False)
    connection = connect()
    ClaimsFolder(result.to).attach(connection)
    for part in ("claims", "lines", "actors"):
        connection.execute(f"CREATE VIEW true_{part} AS FROM read_parquet('{result.truth}/{part}.parquet')")
    connection.execute(f"CREATE VIEW honest_claims AS FROM read_parquet('{honest.to}/claims/*.parquet')")
    return Played(result, connection)


# Identifiers of claims are drawn anew when there are more of them; what happened is told by who, where and when.
SAME = "patient_id, provider_id, physician_id, admitted_at, settled_at, total_amount, identity_check, registered"


def changed(city: Played) -> int:
    """Claims that the truth does not name and that are not in the honest city as they are here."""
    return int(city.one(f"""
        SELECT count(*) FROM (SELECT {SAME} FROM claims WHERE claim_id NOT IN (SELECT claim_id FROM true_claims)
        EXCEPT ALL SELECT {SAME} FROM honest_claims)"""))  # fmt: skip


def beyond(city: Played, entity: str, column: str) -> int:
    """False claims that belong to no actor of the entity in whose time they were settled."""
    return int(city.one(f"""
        SELECT count(*) FROM true_claims t JOIN claims c USING (claim_id) WHERE NOT EXISTS (FROM true_actors a
        WHERE a.entity = '{entity}' AND a.entity_id = c.{column}
        AND c.settled_at::DATE BETWEEN a."from" - 2 AND a."to" + 60)"""))  # fmt: skip


def disordered(city: Played) -> int:
    """False claims whose times do not follow each other."""
    return int(city.one("""
        SELECT count(*) FROM true_claims JOIN claims USING (claim_id) JOIN lines USING (claim_id)
        WHERE NOT (admitted_at <= service_at AND service_at <= settled_at AND settled_at < uploaded_at
        AND coalesce(ordered_at, admitted_at) BETWEEN admitted_at AND service_at)"""))  # fmt: skip


def unpaid(city: Played) -> int:
    """False claims whose amount at stake is not the whole of the claim."""
    return int(city.one("""
        SELECT count(*) FROM true_claims t JOIN claims USING (claim_id)
        WHERE round(t.amount * 100) <> round(total_amount * 100)"""))  # fmt: skip


@pytest.fixture(scope="module")
def clinics(tmp_path_factory):
    city = played(tmp_path_factory.mktemp("visits"), "phantom_visits", actors=8, intensity=0.5)
    yield city
    city.connection.close()


@pytest.fixture(scope="module")
def pharmacies(tmp_path_factory):
    city = played(tmp_path_factory.mktemp("visits"), "cash_swipes", actors=8, intensity=0.5)
    yield city
    city.connection.close()


@pytest.mark.parametrize("city", ["clinics", "pharmacies"])
def test_only_claims_that_the_truth_names_are_new_and_all_of_them_is_at_stake(city, request):
    city = request.getfixturevalue(city)
    assert city.one("SELECT count(*) FROM true_claims") > 40
    assert changed(city) == 0
    assert disordered(city) == 0
    assert unpaid(city) == 0
    assert beyond(city, "provider", "provider_id") == 0


@pytest.mark.parametrize("city", ["clinics", "pharmacies"])
def test_no_copy_shares_a_number_with_its_original(city, request):
    city = request.getfixturevalue(city)
    assert city.one("""
        SELECT count(*) FROM claims a JOIN claims b USING (invoice_no) WHERE a.claim_id <> b.claim_id
        AND a.claim_id IN (SELECT claim_id FROM true_claims)""") == 0  # fmt: skip
    assert city.one("""
        SELECT count(*) FROM lines a JOIN lines b USING (trace_code) WHERE a.claim_id <> b.claim_id
        AND a.claim_id IN (SELECT claim_id FROM true_claims)""") == 0  # fmt: skip


BURSTS = """
    SELECT p.provider_id, coalesce(max(n), 0) FROM providers p LEFT JOIN (SELECT a.provider_id,
     count(DISTINCT b.patient_id) AS n FROM claims a JOIN claims b ON a.terminal_id = b.terminal_id
     AND b.settled_at BETWEEN a.settled_at AND a.settled_at + INTERVAL {seconds} SECOND
     GROUP BY a.claim_id, a.provider_id) USING (provider_id) WHERE kind = '{kind}' GROUP BY 1"""


def test_bursts_at_a_terminal_rank_the_guilty_above_the_honest(clinics, pharmacies):
    assert clinics.ranks(BURSTS.format(seconds=300, kind="clinic")) > 0.85
    assert pharmacies.ranks(BURSTS.format(seconds=300, kind="pharmacy")) > 0.9


def test_one_physician_sees_several_people_within_a_minute_who_were_never_registered(clinics):
    minute = clinics.one("""
        SELECT avg((n >= 3)::INT) FROM (SELECT a.claim_id, count(DISTINCT b.patient_id) AS n FROM claims a
        JOIN claims b ON a.physician_id = b.physician_id AND abs(date_diff('second', a.settled_at, b.settled_at)) <= 60
        WHERE a.claim_id IN (SELECT claim_id FROM true_claims) GROUP BY 1)""")  # fmt: skip
    assert minute > 0.35
    registered = dict(clinics.all("""
        SELECT claim_id IN (SELECT claim_id FROM true_claims), avg(registered::INT) FROM claims
        WHERE visit_type = 'outpatient' GROUP BY 1"""))  # fmt: skip
    assert registered[True] < 0.6 < 0.95 < registered[False]


def test_phantoms_are_swiped_at_night_and_on_days_off_but_not_only_then(clinics):
    rows = clinics.all("""
        SELECT claim_id IN (SELECT claim_id FROM true_claims), epoch(settled_at)::BIGINT // 86400,
        hour(settled_at) NOT BETWEEN 7 AND 20 OR isodow(settled_at) = 7
        FROM claims WHERE visit_type = 'outpatient'""")  # fmt: skip
    false, shut = np.array([r[0] for r in rows]), np.array([r[2] for r in rows])
    shut |= is_holiday(np.array([r[1] for r in rows]))
    assert shut[~false].mean() < 0.15
    assert 1.4 * shut[~false].mean() < shut[false].mean() < 0.7


def test_the_same_cards_are_swiped_again_and_again(clinics, pharmacies):
    again = "SELECT count(*) / count(DISTINCT (provider_id, patient_id)) FROM true_claims JOIN claims USING (claim_id)"
    assert clinics.one(again) > 1.05
    assert pharmacies.one(again) > 1.15


def test_the_holders_of_cashed_cards_take_part_and_the_owners_of_kept_cards_do_not(clinics, pharmacies):
    assert clinics.one("SELECT count(*) FROM true_actors WHERE entity = 'patient'") == 0
    holders = pharmacies.all("SELECT entity_id FROM true_actors WHERE entity = 'patient' ORDER BY 1")
    swiped = "SELECT DISTINCT patient_id FROM true_claims JOIN claims USING (claim_id) ORDER BY 1"
    assert holders == pharmacies.all(swiped)


def test_accounts_are_drained_at_the_end_of_the_month_by_round_sums(pharmacies):
    ending = dict(pharmacies.all("""
        SELECT claim_id IN (SELECT claim_id FROM true_claims),
        avg((date_diff('day', settled_at, last_day(settled_at)) < 3)::INT)
        FROM claims WHERE visit_type = 'pharmacy' GROUP BY 1"""))  # fmt: skip
    assert ending[True] > 2 * ending[False]
    tens = "avg((round(total_amount * 100)::BIGINT % 1000 = 0)::INT)"
    share = dict(pharmacies.all(f"""
        SELECT claim_id IN (SELECT claim_id FROM true_claims), {tens} FROM claims
        WHERE visit_type = 'pharmacy' GROUP BY 1"""))  # fmt: skip
    assert share[True] > 0.25 > 0.15 > share[False]
    by_house = f"SELECT provider_id, {tens} FROM claims WHERE visit_type = 'pharmacy' GROUP BY 1 HAVING count(*) > 30"
    assert pharmacies.ranks(by_house) > 0.6


def test_a_round_sum_lowers_one_price_and_raises_none(pharmacies):
    # Houses raise their prices now and then: what is asked lies between the lowest and the highest honest price.
    usual = """SELECT provider_id, item_code, min(unit_price) AS low, max(unit_price) AS high FROM lines
        JOIN claims USING (claim_id) WHERE claim_id NOT IN (SELECT claim_id FROM true_claims) GROUP BY 1, 2"""
    bent = pharmacies.all(f"""
        SELECT t.claim_id, sum((unit_price < low)::INT), sum((unit_price > high)::INT) FROM true_claims t
        JOIN claims USING (claim_id) JOIN lines USING (claim_id) JOIN ({usual}) USING (provider_id, item_code)
        GROUP BY 1""")  # fmt: skip
    assert sum(lowered for _, lowered, _ in bent) > 10
    # Nobody else may have paid a price since it rose, or before: that happens, and seldom.
    assert sum(lowered > 1 for _, lowered, _ in bent) <= 0.05 * len(bent)
    assert sum(raised for _, _, raised in bent) <= 0.08 * len(bent)


def test_who_stops_at_an_inspection_swipes_no_more(clinics, pharmacies):
    """The span of an actor who stops ends with the inspection, months before the period does."""
    decided = []
    for city in (clinics, pharmacies):
        assert (
            city.one("""
            SELECT count(*) FROM true_claims JOIN claims c USING (claim_id) JOIN true_actors a
            ON a.entity = 'provider' AND a.entity_id = c.provider_id WHERE settled_at::DATE > a."to" """)
            == 0
        )
        decided += city.all("""
            SELECT a."to" FROM true_actors a JOIN outcomes o USING (entity, entity_id) WHERE entity = 'provider'
            AND o.decided_at::DATE BETWEEN a."to" AND a."to" + 80""")  # fmt: skip
    assert decided


def test_two_seeds_share_no_actor_and_no_span(tmp_path):
    spans = []
    for seed in (1, 2):
        preset = preset_of(tmp_path, "phantom_visits", actors=6)
        result = simulate(tmp_path / str(seed), preset=preset, seed=seed, claims=3_000)
        rows = duckdb.sql(f"""SELECT entity_id, "from", "to" FROM '{result.truth}/actors.parquet'""").fetchall()
        spans.append(rows)
    assert not {who for who, *_ in spans[0]} & {who for who, *_ in spans[1]}
    assert not {tuple(span) for _, *span in spans[0]} & {tuple(span) for _, *span in spans[1]}


def test_the_careful_show_less_than_the_blatant(clinics):
    """Actors differ: the shares of unregistered visits of their false claims are spread."""
    shares = [s for (s,) in clinics.all("""
        SELECT 1 - avg(registered::INT) FROM true_claims JOIN claims USING (claim_id)
        GROUP BY provider_id HAVING count(*) >= 4""")]  # fmt: skip
    assert np.ptp(shares) > 0.25
