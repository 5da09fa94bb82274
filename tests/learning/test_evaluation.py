"""Evaluation: beside its baselines, on the same folds, with an alarm that rings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fraud.learning.datasets.dataset import Dataset, Feature
from fraud.learning.metrics import BASELINES, GATE_METRICS, METRICS
from fraud.learning.validation.baselines import Part, peer_scores, scale_free, single_feature
from fraud.learning.validation.evaluation import MODEL, Evaluation, evaluate, list_length, single_feature_ranking
from fraud.learning.validation.gates import decide
from tests.learning.town import spec


def test_every_contender_is_measured_on_every_fold(evaluation: Evaluation) -> None:
    places = {(f["contender"], f["repeat"], f["fold"]) for f in evaluation.folds}
    assert places == {(c, r, k) for c in (MODEL, *BASELINES) for r in range(2) for k in range(4)}
    assert all(np.isfinite(f[m]) for f in evaluation.folds for m in METRICS)


def test_every_row_is_scored_once_a_repeat_by_a_model_that_did_not_see_it(evaluation: Evaluation) -> None:
    assert evaluation.margins.shape == (2, 280)
    assert np.isfinite(evaluation.margins).all()
    assert evaluation.mean(MODEL, "roc_auc") == pytest.approx(0.8, abs=0.1), "the town's labels are noisy"


def test_the_summary_has_every_metric_that_a_gate_may_name(evaluation: Evaluation) -> None:
    known = set(evaluation.summary)
    missing = {m for m in GATE_METRICS if m not in known}
    assert {m.split(".")[0] for m in missing} <= {"holdout"}, "providers of one day have no hold-out"


def test_the_same_seed_gives_the_same_figures_with_any_number_of_threads(
    providers: Dataset, evaluation: Evaluation
) -> None:
    again = evaluate(providers, spec(), threads=1)
    np.testing.assert_array_equal(again.margins, evaluation.margins)
    assert again.summary == evaluation.summary


def test_probabilities_out_of_fold_are_about_as_frequent_as_they_say(evaluation: Evaluation) -> None:
    mean = evaluation.probabilities.mean()
    assert mean == pytest.approx(evaluation.labels.mean(), abs=0.03)
    base_rate = evaluation.labels.mean()
    assert evaluation.mean(MODEL, "brier") < base_rate * (1 - base_rate)


def test_labels_drawn_at_random_give_the_chance_figure(providers: Dataset) -> None:
    labels = providers.labels.copy()
    labels[providers.labelled] = np.random.default_rng(5).permutation(labels[providers.labelled])
    found = evaluate(replace(providers, labels=labels), spec(split={"folds": 5, "repeats": 1}))
    assert found.mean(MODEL, "roc_auc") == pytest.approx(0.5, abs=0.12)


def _planted(providers: Dataset) -> Dataset:
    """A column that encodes each provider's own label, with a little noise to look like a feature."""
    noise = np.random.default_rng(6).normal(0, 0.25, size=len(providers))
    encoded = np.nan_to_num(providers.labels, nan=0.2) + noise
    return providers.with_feature(Feature("provider.encoded", "provider.encoded", 1, False), encoded)


def test_the_leak_alarm_rings_when_a_target_encoded_column_is_planted(
    providers: Dataset, evaluation: Evaluation
) -> None:
    alarmed = spec(leak_alarm={"roc_auc": 0.965, "average_precision": 0.95, "single_feature_auc": 0.95})
    assert decide(alarmed, evaluation).alias == "champion"
    leaking = evaluate(_planted(providers), alarmed)
    promotion = decide(alarmed, leaking)
    assert promotion.alias == "challenger"
    rung = {g.condition.split()[0] for g in promotion.gates if g.alarm and not g.holds}
    assert rung == {"roc_auc", "average_precision", "single_feature_auc"}
    assert leaking.single_features[0][0] == "provider.encoded"
    assert all(r.startswith("leak alarm") for r in promotion.reasons)


def test_the_alarm_also_hears_a_label_that_hides_in_what_is_missing(providers: Dataset) -> None:
    hidden = np.where(providers.labels == 1, np.nan, np.random.default_rng(7).random(len(providers)))
    leaking = providers.with_feature(Feature("provider.hole", "provider.hole", 0, False), hidden)
    name, auc = single_feature_ranking(leaking)[0]
    assert name == "provider.hole"
    assert auc > 0.99


def test_an_alarm_that_was_looked_into_is_cleared_up_to_a_value_and_no_further(evaluation: Evaluation) -> None:
    why = "labels were shuffled and every feature stayed the same, see the tests"
    low = {"leak_alarm": {"roc_auc": 0.6}}
    assert decide(spec(**low), evaluation).alias == "challenger"
    cleared = decide(spec(**low, cleared=[{"metric": "roc_auc", "up_to": 0.95, "because": why}]), evaluation)
    assert cleared.alias == "champion"
    assert any(why in remark for remark in cleared.remarks), "the reason is in every report"
    still = decide(spec(**low, cleared=[{"metric": "roc_auc", "up_to": 0.65, "because": why}]), evaluation)
    assert still.alias == "challenger"


def test_a_gate_that_does_not_hold_stops_the_promotion_and_says_so(evaluation: Evaluation) -> None:
    gates = [{"metric": "precision_at_k", "op": ">=", "value": 0.999}, {"metric": "brier", "op": "<", "value": 0.3}]
    promotion = decide(spec(gates=gates), evaluation)
    assert promotion.alias == "challenger"
    assert len(promotion.reasons) == 1
    assert "precision_at_k >= 0.999: measured 0." in promotion.reasons[0]


def test_a_gate_may_name_a_baseline(evaluation: Evaluation) -> None:
    gate = {"metric": "average_precision", "op": ">", "value": "baseline.peers.average_precision"}
    (result, *_) = decide(spec(gates=[gate]), evaluation).gates
    assert result.holds == (evaluation.mean(MODEL, "average_precision") > evaluation.mean("peers", "average_precision"))


def test_a_metric_that_was_not_measured_holds_no_gate(evaluation: Evaluation) -> None:
    promotion = decide(spec(gates=[{"metric": "holdout.roc_auc", "op": ">=", "value": 0.1}]), evaluation)
    assert promotion.reasons == ("holdout.roc_auc >= 0.1: measured not measured, does not hold",)


def test_claims_decided_over_months_are_also_tested_later_in_time(claims: Dataset) -> None:
    quick = spec(split={"folds": 3, "repeats": 1})
    found = evaluate(claims, quick).holdout
    assert found.metrics is not None
    assert set(found.metrics) == {MODEL, *BASELINES}
    assert found.positives >= 10
    assert 0 <= found.known_groups <= 1
    assert found.test < len(claims.labelled)


def _part(features: list[Feature], train: np.ndarray, test: np.ndarray, labels: np.ndarray) -> Part:
    peers = peer_scores(train, features), peer_scores(test, features)
    return Part(spec(), features, train, labels, np.arange(len(train)), test, *peers, seed=1)


def test_the_single_best_feature_is_chosen_on_the_training_rows_alone() -> None:
    random = np.random.default_rng(8)
    labels = np.repeat([0.0, 1.0], 50)
    good_before = np.column_stack([labels + random.normal(0, 0.3, 100), random.normal(size=100)])
    good_after = np.column_stack([random.normal(size=100), labels + random.normal(0, 0.3, 100)])
    features = [Feature("a", "a", 1, False), Feature("b", "b", 1, False)]
    found = single_feature(_part(features, good_before, good_after, labels))
    np.testing.assert_array_equal(found.scores, good_after[:, 0])


def test_a_feature_where_low_is_riskier_is_turned_round() -> None:
    labels = np.repeat([0.0, 1.0], 30)
    values = (1 - labels)[:, None] + np.random.default_rng(9).normal(0, 0.1, (60, 1))
    found = single_feature(_part([Feature("a", "a", -1, False)], values, values, labels))
    assert found.scores[-1] > found.scores[0]


def test_the_scale_free_model_reads_no_volume_feature(providers: Dataset) -> None:
    rows = providers.labelled
    part = _part(list(providers.features), providers.values[rows], providers.values[rows], providers.labels[rows])
    changed = part.test.copy()
    changed[:, providers.names.index("provider.claims")] = 1e9
    np.testing.assert_array_equal(scale_free(part).scores, scale_free(replace(part, test=changed)).scores)


def test_the_peer_baseline_uses_no_label(providers: Dataset) -> None:
    other = replace(providers, labels=np.zeros(len(providers)))
    np.testing.assert_array_equal(
        peer_scores(providers.values, providers.features), peer_scores(other.values, other.features)
    )


@pytest.mark.parametrize(("labelled", "length"), [(1000, 20), (100, 20), (50, 10), (3, 1)])
def test_the_list_is_the_capacity_but_never_nearly_everybody(labelled: int, length: int) -> None:
    assert list_length(spec(), labelled) == length
