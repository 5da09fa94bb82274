"""Datasets: whose labels, as of when, and what was left out."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError, SpecError
from fraud.learning.datasets.dataset import Dataset, amounts_at_stake, build_dataset
from fraud.signals.catalogue import Catalogue
from tests.learning.town import (
    CLAIM_SPEC,
    END,
    PROVIDERS,
    default_outcomes,
    outcome,
    spec,
    verdict_of,
    write_town,
)


def _label(dataset: Dataset, entity_id: str) -> float:
    return float(dataset.labels[dataset.ids.index(entity_id)])


def test_every_provider_with_claims_is_a_row_labelled_or_not(providers: Dataset) -> None:
    assert len(providers) == PROVIDERS
    assert len(providers.labelled) == 280
    assert np.isnan(_label(providers, "H299"))
    assert _label(providers, "H000") == 1
    assert _label(providers, "H001") == 0


def test_labels_without_claims_are_counted_and_not_learned_from(providers: Dataset) -> None:
    assert any(n.startswith("5 labels concern providers without a claim") for n in providers.notes)


def test_a_signal_that_the_data_cannot_feed_is_skipped_with_the_reason(providers: Dataset) -> None:
    assert providers.skipped == {"provider.mean_weight": "the data lack claims.drg_weight"}
    assert not any("mean_weight" in name for name in providers.names)


def test_peer_columns_carry_the_sign_and_the_volume_of_their_signal(providers: Dataset) -> None:
    signs = {f.name: f.sign for f in providers.features}
    assert signs["provider.mean_amount"] == signs["provider.mean_amount.peer_z"] == 1
    assert signs["provider.self_paid"] == -1
    assert signs["provider.mean_weekday"] == 0
    assert [f.name for f in providers.features if f.volume] == ["provider.claims"]


def test_patterns_choose_signals_and_leave_out_single_columns(town: ClaimsFolder, room: Catalogue) -> None:
    chosen = spec(signals=["provider.mean_*", "provider.claims"], exclude=["*.peer_percentile", "provider.mean_stay"])
    found = build_dataset(town, chosen, room).names
    assert found == ("provider.claims", "provider.mean_amount", "provider.mean_weekday", "provider.mean_amount.peer_z")


def test_a_pattern_that_can_fit_nothing_is_refused_with_the_nearest_name(town: ClaimsFolder, room: Catalogue) -> None:
    wrong = spec(signals=["provider.mean_amout", "provder.*", "claim.amount"])
    with pytest.raises(SpecError) as error:
        build_dataset(town, wrong, room)
    assert 'did you mean "provider.mean_amount"' in error.value.message
    assert 'did you mean "provider"' in error.value.message
    assert "no provider signal 'claim.amount'" in error.value.message


def test_claims_bring_the_signals_of_their_provider_and_are_grouped_by_it(claims: Dataset) -> None:
    assert {"claim.amount", "provider.mean_amount"} <= set(claims.names)
    assert all(i[1:4] == g[1:] for i, g in zip(claims.ids, claims.groups, strict=True))
    assert np.isfinite(claims.amounts).all()


def test_labels_of_providers_are_never_copied_to_their_claims(tmp_path: Path, room: Catalogue) -> None:
    only = [o for o in default_outcomes() if o["entity"] == "provider"]
    folder = write_town(tmp_path, outcomes=only)
    with pytest.raises(InputError) as error:
        build_dataset(folder, spec(CLAIM_SPEC), room)
    assert "Outcomes here: 285 of a provider" in error.value.message
    assert "never copied" in error.value.message


def test_no_outcome_at_all_says_what_to_do(tmp_path: Path, room: Catalogue) -> None:
    folder = write_town(tmp_path, outcomes=[outcome("patient", "P1", "waste", END)])
    with pytest.raises(InputError, match="outcomes of a provider, and there is none"):
        build_dataset(folder, spec(), room)


@pytest.mark.parametrize("verdict", ["confirmed_fraud", "false_positive"])
def test_one_class_alone_is_refused(tmp_path: Path, room: Catalogue, verdict: str) -> None:
    folder = write_town(tmp_path, outcomes=[outcome("provider", f"H{p:03d}", verdict, END) for p in range(40)])
    with pytest.raises(InputError, match="at least 10 of each"):
        build_dataset(folder, spec(), room)


def _verdicts(*rows: tuple[str, int]) -> list[dict[str, Any]]:
    """Outcomes of provider H299, (verdict, days after the end), beside the usual ones."""
    return [*default_outcomes(), *(outcome("provider", "H299", v, END + timedelta(days=d)) for v, d in rows)]


@pytest.mark.parametrize(
    ("rows", "label"),
    [
        ([("confirmed_fraud", -9), ("appeal_upheld", -2)], 0.0),
        ([("appeal_upheld", -9), ("confirmed_abuse", -2)], 1.0),
        ([("confirmed_fraud", -9), ("pending", -2)], 1.0),
        ([("insufficient_evidence", -9), ("data_error", -3), ("operation_error", -2)], np.nan),
        ([("confirmed_fraud", -9), ("waste", -2)], np.nan),
        ([("confirmed_fraud", -2), ("false_positive", -2)], 0.0),
    ],
)
@pytest.mark.requirement("000-49", "001-76")
def test_the_latest_final_verdict_decides(
    tmp_path: Path, room: Catalogue, rows: list[tuple[str, int]], label: float
) -> None:
    dataset = build_dataset(write_town(tmp_path, outcomes=_verdicts(*rows)), spec(signals=["provider.claims"]), room)
    assert _label(dataset, "H299") == pytest.approx(label, nan_ok=True)


def test_the_past_knows_neither_later_outcomes_nor_later_claims(tmp_path: Path, room: Catalogue) -> None:
    folder = write_town(tmp_path, outcomes=_verdicts(("false_positive", 30)))
    today = build_dataset(folder, spec(signals=["provider.claims"]), room)
    assert _label(today, "H299") == 0
    day = END + timedelta(days=10)
    earlier = build_dataset(folder, spec(signals=["provider.claims"]), room, as_of=day)
    assert np.isnan(_label(earlier, "H299"))
    assert any(n.startswith("1 outcomes were decided after") for n in earlier.notes)
    half = END - timedelta(days=270)
    claims = build_dataset(folder, spec(CLAIM_SPEC), room, as_of=half)
    assert claims.happened_at.max() < np.datetime64(half)
    assert np.nanmax(claims.decided_at[claims.labelled].astype("int64")) <= np.datetime64(half, "us").astype("int64")


def test_what_happens_after_the_day_changes_no_figure_of_the_day(tmp_path: Path, room: Catalogue) -> None:
    half = END - timedelta(days=200)
    folder = write_town(tmp_path / "all")
    con = connect()
    folder.attach(con)
    claims = con.sql(f"FROM claims WHERE settled_at < TIMESTAMP '{half}'").to_arrow_table()
    con.close()
    (tmp_path / "cut").mkdir()
    pa.parquet.write_table(claims, tmp_path / "cut" / "claims.parquet")
    pa.parquet.write_table(pa.parquet.read_table(folder.files("outcomes")[0]), tmp_path / "cut" / "outcomes.parquet")
    plain = spec(CLAIM_SPEC, exclude=["*.peer_percentile"])
    whole = build_dataset(folder, plain, room, as_of=half)
    cut = build_dataset(ClaimsFolder(tmp_path / "cut"), plain, room, as_of=half)
    assert whole.ids == cut.ids
    # Other files, another order of addition: the last bit may differ.
    np.testing.assert_allclose(whole.values, cut.values, rtol=1e-9, atol=1e-12)


def test_snapshots_follow_the_period_then_the_decision_then_the_last_claim(tmp_path: Path, room: Catalogue) -> None:
    rows = [o for o in default_outcomes() if o["entity_id"] not in ("H001", "H002")]
    rows.append(outcome("provider", "H001", "false_positive", datetime(2024, 11, 20, 8)))
    rows.append(
        outcome("provider", "H002", "false_positive", datetime(2024, 11, 20), period_to=datetime(2024, 9, 30).date())
    )
    dataset = build_dataset(write_town(tmp_path, outcomes=rows), spec(), room)
    day = dict(zip(dataset.ids, dataset.happened_at.astype("datetime64[D]").astype(str), strict=True))
    assert day["H000"] == "2025-06-01"
    assert day["H001"] == "2024-11-01"
    assert day["H002"] == "2024-10-01"
    con = connect()
    write_town(tmp_path).attach(con)
    ((last,),) = con.sql("SELECT max(settled_at)::DATE + 1 FROM claims").fetchall()
    con.close()
    assert day["H299"] == str(last)


def test_a_network_is_seen_whole_on_the_day_of_each_label(tmp_path: Path, room: Catalogue) -> None:
    early = outcome("provider", "H001", "false_positive", datetime(2024, 11, 20, 8))
    rows = [early, *(o for o in default_outcomes() if o["entity_id"] != "H001")]
    folder = write_town(tmp_path, outcomes=rows)
    dataset = build_dataset(folder, spec(signals=["network.*"]), room)
    value = dataset.values[dataset.ids.index("H001"), dataset.names.index("network.shared_patients")]
    con = connect()
    folder.attach(con)
    known = "(SELECT DISTINCT provider_id, patient_id FROM claims WHERE settled_at < TIMESTAMP '2024-11-01')"
    query = f"SELECT count(*) FROM {known} a, {known} b WHERE a.patient_id = b.patient_id"
    ((shared,),) = con.sql(f"{query} AND a.provider_id = 'H001' AND b.provider_id <> 'H001'").fetchall()
    con.close()
    assert value == shared > 0


def test_features_of_an_entity_do_not_depend_on_any_label(
    tmp_path: Path, room: Catalogue, providers: Dataset, claims: Dataset
) -> None:
    """The proof that no label reaches a feature: other verdicts for the same entities, the same features."""
    turned = {"confirmed_fraud": "false_positive", "false_positive": "confirmed_fraud"}
    swapped = [o | {"verdict": turned[o["verdict"]]} for o in default_outcomes()]
    folder = write_town(tmp_path, outcomes=swapped)
    for base, changes in ((providers, {}), (claims, CLAIM_SPEC)):
        other = build_dataset(folder, spec(**changes), room)
        np.testing.assert_array_equal(base.values, other.values)
        np.testing.assert_array_equal(base.labels[base.labelled], 1 - other.labels[other.labelled])


def test_the_amount_at_stake_is_what_the_fund_paid_in_the_window(town: ClaimsFolder) -> None:
    con = connect()
    town.attach(con)
    pairs = pa.table({"entity_id": ["H001", "H000", "nobody"], "snapshot": pa.array([END] * 3, pa.timestamp("us"))})
    found = amounts_at_stake(con, "provider", pairs, days=100)
    since = END - timedelta(days=100)
    query = "SELECT sum(fund_amount) FROM claims WHERE provider_id = ? AND settled_at < ? AND settled_at >= ?"
    wanted = [con.execute(query, [p, END, since]).fetchone()[0] or 0.0 for p in ("H001", "H000")]  # type: ignore[index]
    con.close()
    assert found == pytest.approx([*wanted, 0.0])


def test_what_a_provider_was_called_is_written_in_the_town() -> None:
    assert {verdict_of(p) for p in range(20)} == {"confirmed_fraud", "false_positive"}
