"""Case mix: what is usual for patients of one kind, and whom a claim is compared with."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from fraud.signals.catalogue import Catalogue
from fraud.signals.examples import world
from fraud.signals.frames import FrameBuilder
from fraud.signals.norms import RARE_PAIR, SHRINK, learn_norms

DAY = datetime(2024, 6, 3, 9)
PATIENTS = [
    {"patient_id": "OLD", "birth_date": date(1940, 1, 1), "chronic_conditions": ["I10", "E11", "N18"]},
    {"patient_id": "YOUNG", "birth_date": date(2000, 1, 1), "chronic_conditions": []},
]


def _claim(number: int, **given: Any) -> dict[str, Any]:
    usual = {"claim_id": f"C{number:04d}", "patient_id": "OLD", "provider_id": "H", "primary_diagnosis": "J18"}
    kind = {"visit_type": "inpatient", "drg_weight": 1.0}
    days = {"admitted_at": DAY, "discharged_at": DAY + timedelta(days=5), "settled_at": DAY + timedelta(days=5)}
    return {**usual, **kind, **days, "total_amount": 1000.0, "fund_amount": 700.0, **given}


def _norms(claims: list[dict[str, Any]], **tables: Any) -> dict[tuple[str, str], dict[str, Any]]:
    connection = world({"claims": claims, "patients": PATIENTS, **tables})
    try:
        return {(r["domain"], r["code"]): r for r in learn_norms(connection).to_pylist()}
    finally:
        connection.close()


def test_the_mix_of_a_patient_is_shrunk_towards_the_diagnosis() -> None:
    dear = [_claim(i, total_amount=3000.0) for i in range(10)]
    cheap = [_claim(100 + i, patient_id="YOUNG") for i in range(30)]
    norms = _norms([*dear, *cheap])
    mean = (10 * 3000 + 30 * 1000) / 40
    found = norms["mix", "inpatient|J18|4|2"]
    assert found["amount"] == pytest.approx((10 * 3000 + SHRINK * mean) / (10 + SHRINK))
    assert norms["mix", "inpatient|J18|1|0"]["n"] == 30


def test_what_a_provider_codes_as_severity_does_not_change_what_is_expected_of_it() -> None:
    claims = [_claim(i, drg_weight=1.0 + i % 2, drg=f"ES2{i % 2}") for i in range(40)]
    assert [code for domain, code in _norms(claims) if domain == "mix"] == ["inpatient|J18|4|2"]


def test_admissions_are_expected_from_the_visits_that_might_have_led_to_one() -> None:
    stays = [_claim(i) for i in range(10)]
    visits = [_claim(100 + i, visit_type="outpatient") for i in range(30)]
    sold = [_claim(200 + i, visit_type="pharmacy") for i in range(60)]
    assert _norms([*stays, *visits, *sold])["admission", "J18|4|2"]["share"] == pytest.approx(0.25)


def test_pairs_of_services_count_once_a_claim_and_rare_ones_not_at_all() -> None:
    lines = [
        {"claim_id": f"C{i:04d}", "line_no": n, "item_code": code, "quantity": 1.0, "amount": 1.0}
        for i in range(RARE_PAIR * 2)
        for n, code in enumerate(("A", "A", "B") if i < RARE_PAIR else ("A", "C") if i == RARE_PAIR else ("A",), 1)
    ]
    items = [{"item_code": c, "category": "laboratory"} for c in "ABC"]
    norms = _norms([_claim(i) for i in range(RARE_PAIR * 2)], lines=lines, catalogue=items)
    assert norms["pair", "A|B"]["share"] == pytest.approx(0.5)
    assert ("pair", "A|C") not in norms


@pytest.mark.requirement("T17")
def test_a_provider_that_groups_the_same_patients_heavier_stands_out(catalogue: Catalogue) -> None:
    claims = [_claim(i, provider_id=f"H{i % 10}", drg_weight=1.5 if i % 10 == 0 else 1.0) for i in range(200)]
    assert _values(catalogue, claims, "provider.weight_against_expected")[0] == pytest.approx(1.5 / 1.05)


@pytest.mark.requirement("T04")
def test_a_provider_that_admits_whom_others_send_home_stands_out(catalogue: Catalogue) -> None:
    kinds = ["inpatient" if i % 10 == 0 or i % 40 == 1 else "outpatient" for i in range(400)]
    claims = [_claim(i, provider_id=f"H{i % 10}", visit_type=kind) for i, kind in enumerate(kinds)]
    found = _values(catalogue, claims, "provider.admissions_against_expected")
    assert found[0] == pytest.approx(40 / (40 * 50 / 400))
    assert found[1] == pytest.approx(10 / (40 * 50 / 400))


def _values(catalogue: Catalogue, claims: list[dict[str, Any]], signal_id: str) -> list[float]:
    connection = world({"claims": claims, "patients": PATIENTS})
    try:
        builder = FrameBuilder(connection, catalogue)
        builder.learn_norms()
        ids = sorted({c["provider_id"] for c in claims})
        pairs = pa.table(
            {"entity_id": ids, "snapshot": pa.array([datetime(2024, 7, 1)] * len(ids), pa.timestamp("us"))}
        )
        return [float(v) for v in builder.entities([catalogue[signal_id]], "provider", pairs).values[:, 0]]
    finally:
        connection.close()
