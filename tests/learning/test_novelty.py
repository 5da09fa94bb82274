"""A model without labels: surprises, exact contributions, files, and a training on the first day."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.errors import InputError, SpecError
from fraud.learning.datasets.dataset import build_dataset
from fraud.learning.datasets.timeline import build_timeline
from fraud.learning.governance.promotion import promote
from fraud.learning.model import FittedModel
from fraud.learning.novelty import LEAST_SEEN, Novelty, fit_novelty
from fraud.learning.registry import Registry
from fraud.learning.reports.cards import Facts, card
from fraud.learning.reports.documents import to_markdown
from fraud.learning.search import search
from fraud.learning.spec import Gate, load_spec, parse_spec
from fraud.learning.tracking import load_model
from fraud.learning.training import fit_model, train
from fraud.learning.unlabelled import examine
from fraud.learning.validation.gates import decide
from fraud.learning.validation.rolling import backtest_folder
from fraud.review.candidates import candidates_of
from fraud.review.queue import QueueRules
from fraud.scoring.batch import score_folder
from fraud.scoring.explain import explain_in_folder
from fraud.scoring.triage import Triage
from fraud.signals.catalogue import Catalogue
from tests.learning.governed import request
from tests.learning.town import END, START, write_room, write_town

NOVELTY = {
    "name": "novelty",
    "kind": "novelty",
    "entity": "claim",
    "seed": 3,
    "window_days": 365,
    "signals": ["claim.*"],
}
SPEC = parse_spec(NOVELTY)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """The town's catalogue."""
    return write_room(tmp_path_factory.mktemp("novelty") / "room")


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> ClaimsFolder:
    """The town before anybody has decided anything."""
    return write_town(tmp_path_factory.mktemp("novelty") / "town", outcomes=[])


@pytest.fixture(scope="module")
def fitted(silent: ClaimsFolder, room: Catalogue) -> FittedModel:
    """The model of the silent town."""
    dataset = build_dataset(silent, SPEC, room)
    return fit_model(dataset, SPEC, examine(dataset, SPEC))


# --- surprises ----------------------------------------------------------------------------------------------


def test_a_surprise_is_the_power_of_ten_of_the_share_that_is_at_least_as_extreme() -> None:
    """The definition, counted by hand for a thousand rows of which no two are alike."""
    values = np.arange(1000.0)[:, None]
    model = fit_novelty(values, [1])
    for rows in (10, 100, 500):
        (found,) = model.surprises(np.array([[1000.0 - rows]]))[0]
        assert -math.log10(rows / 1000) - 1 / 8 < found <= -math.log10(rows / 1000) + 1e-9


def test_surprise_goes_in_the_riskier_direction_only() -> None:
    values = np.linspace(-1, 1, 1001)[:, None] * np.ones(3)
    high, low, neither = fit_novelty(values, [1, -1, 0]).surprises(np.array([[1.0] * 3, [-1.0] * 3])).T
    assert high[0] > 2
    assert high[1] == 0
    assert low[1] > 2
    assert low[0] == 0
    assert not neither.any()


def test_what_is_not_known_and_what_everybody_has_surprise_nobody() -> None:
    values = np.column_stack([np.zeros(500), np.full(500, np.nan)])
    model = fit_novelty(values, [1, 1])
    assert not model.surprises(values).any()
    assert not model.surprises(np.array([[np.nan, np.nan]])).any()
    # A first value in a column that was never filled says that the data changed, not that the claim is odd.
    assert model.surprises(np.array([[0.0, 5.0]]))[0, 1] == 0


def test_a_value_beyond_all_that_were_seen_is_as_surprising_as_the_rows_can_show() -> None:
    model = fit_novelty(np.zeros((3000, 1)), [1])
    (found,) = model.margins(np.array([[1.0]]))
    assert found == pytest.approx(math.log10(3000 / LEAST_SEEN), abs=1 / 8)


def test_rows_count_for_those_they_stand_for() -> None:
    """A row of weight ten is ten rows."""
    random = np.random.default_rng(0)
    values, weights = random.normal(size=(400, 2)), random.integers(1, 10, 400)
    plain = fit_novelty(np.repeat(values, weights, axis=0), [1, -1])
    weighted = fit_novelty(values, [1, -1], weights.astype(float))
    np.testing.assert_array_equal(plain.thresholds, weighted.thresholds)


def test_a_riskier_value_never_lowers_the_score() -> None:
    random = np.random.default_rng(1)
    values = random.lognormal(size=(2000, 3))
    model = fit_novelty(values, [1, -1, 1])
    raised = values + np.array([0.5, -0.5, 2.0])
    assert (model.margins(raised) >= model.margins(values)).all()


def test_few_rows_surprise_nobody() -> None:
    model = fit_novelty(np.array([[1.0], [2.0]]), [1])
    assert not model.margins(np.array([[9.0]])).any()


# --- contributions ------------------------------------------------------------------------------------------


def test_contributions_add_up_to_the_score_and_begin_at_nothing() -> None:
    random = np.random.default_rng(2)
    values = random.lognormal(size=(3000, 6))
    values[::7, 2] = np.nan
    model = fit_novelty(values, [1, -1, 1, 0, 1, 1])
    parts = model.contributions(values)
    np.testing.assert_allclose(parts.sum(axis=1), model.margins(values), rtol=0, atol=1e-12)
    assert not parts[:, -1].any()
    assert (parts >= 0).all()
    assert not parts[:, 3].any()


def test_the_score_is_little_more_than_the_largest_surprise() -> None:
    random = np.random.default_rng(3)
    values = random.normal(size=(5000, 20))
    model = fit_novelty(values, [1] * 20)
    largest = model.surprises(values).max(axis=1)
    assert (model.margins(values) >= largest - 1e-12).all()
    assert (model.margins(values) <= largest * 20 ** (1 / model.power) + 1e-12).all()


def test_a_row_scores_the_same_whoever_is_scored_with_it(fitted: FittedModel) -> None:
    random = np.random.default_rng(4)
    values = random.lognormal(6, 2, size=(300, len(fitted.names)))
    together = fitted.margins(values)
    alone = np.array([fitted.margins(row[None, :])[0] for row in values])
    np.testing.assert_array_equal(together, alone)


# --- files --------------------------------------------------------------------------------------------------


def test_the_thresholds_come_back_from_their_text_exactly() -> None:
    random = np.random.default_rng(5)
    values = np.column_stack([random.normal(size=1000), np.full(1000, np.nan), random.integers(0, 3, 1000)])
    model = fit_novelty(values, [1, 1, -1])
    again = Novelty.from_texts(model.texts)
    np.testing.assert_array_equal(again.thresholds, model.thresholds)
    np.testing.assert_array_equal(again.signs, model.signs)
    assert again.power == model.power


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"signs": [1], "power": 16, "thresholds": []}'])
def test_a_text_that_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="novelty model"):
        Novelty.from_texts((text,))


def test_a_saved_model_comes_back_and_a_changed_one_is_refused(
    fitted: FittedModel, room: Catalogue, tmp_path: Path
) -> None:
    folder = fitted.save(tmp_path / "model")
    loaded = FittedModel.load(folder, room)
    values = np.random.default_rng(6).lognormal(6, 2, size=(50, len(fitted.names)))
    np.testing.assert_array_equal(loaded.margins(values), fitted.margins(values))
    np.testing.assert_array_equal(loaded.place(loaded.margins(values)), fitted.place(fitted.margins(values)))
    file = folder / "booster-0.txt"
    plain = json.loads(file.read_text("utf-8"))
    plain["thresholds"][0][0] += 1
    file.write_text(json.dumps(plain), "utf-8")
    with pytest.raises(InputError, match="not those that were written"):
        FittedModel.load(folder)


# --- spec ---------------------------------------------------------------------------------------------------


def test_a_novelty_spec_needs_no_label_and_a_risk_spec_does() -> None:
    assert SPEC.label.positive
    with pytest.raises(SpecError, match="/label"):
        parse_spec({**NOVELTY, "kind": "risk"})


def test_gates_and_alarms_that_need_labels_are_refused() -> None:
    with pytest.raises(SpecError, match="no metric 'roc_auc'"):
        parse_spec({**NOVELTY, "gates": [{"metric": "roc_auc", "op": ">", "value": 0.5}]})
    with pytest.raises(SpecError, match="/leak_alarm"):
        parse_spec({**NOVELTY, "leak_alarm": {"roc_auc": 0.9}})
    with pytest.raises(SpecError, match="no metric 'list_stability'"):
        parse_spec({**NOVELTY, "kind": "risk", "label": {"positive": ["waste"], "negative": ["false_positive"]},
                    "gates": [{"metric": "list_stability", "op": ">", "value": 0.5}]})  # fmt: skip


def test_the_kind_of_a_risk_model_leaves_its_digest_as_it_was() -> None:
    risk = parse_spec({**NOVELTY, "kind": "risk", "label": {"positive": ["waste"], "negative": ["false_positive"]}})
    assert "kind" not in risk.as_dict()
    assert parse_spec(SPEC.as_dict()) == SPEC
    assert parse_spec(risk.as_dict()) == risk


def test_the_delivered_spec_can_be_read() -> None:
    spec = load_spec(Path(__file__).parents[2] / "models" / "novelty.toml")
    assert (spec.kind, spec.entity) == ("novelty", "claim")
    assert {g.metric for g in spec.gates} >= {"list_stability", "later_volume"}


# --- training and scoring -----------------------------------------------------------------------------------


def test_labels_decide_nothing(fitted: FittedModel, room: Catalogue, tmp_path: Path) -> None:
    """The same claims with 500 verdicts give the same thresholds."""
    dataset = build_dataset(write_town(tmp_path / "town"), SPEC, room)
    assert len(dataset.labelled) > 400
    assert fit_model(dataset, SPEC).ensemble.texts == fitted.ensemble.texts


def test_probabilities_are_unknown_and_places_are_not(fitted: FittedModel) -> None:
    margins = np.array([0.0, 1.0, 2.0, 9.0])
    assert np.isnan(fitted.probability(margins)).all()
    assert np.isnan(fitted.interval(margins)).all()
    places = fitted.place(margins)
    assert (np.diff(places) >= 0).all()
    assert places[-1] == 100


def test_the_first_training_without_a_single_outcome_is_champion(
    silent: ClaimsFolder, room: Catalogue, tmp_path: Path
) -> None:
    spec = parse_spec({**NOVELTY, "gates": [{"metric": "later_volume", "op": "<=", "value": 3.0}]})
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    result = train(spec, silent, room, tracking_uri=uri, artifacts=tmp_path / "artifacts")
    assert result.alias == "champion"
    assert "none of which needed a label" in result.as_text()
    assert not [k for k in result.as_dict()["figures"] if k.startswith("check.")]
    json.dumps(result.as_dict(), allow_nan=False)
    for locale, words in (("en", "without any label"), ("zh", "不使用任何核查结论")):
        page = to_markdown(card(Facts(load_model("novelty", 1, uri), result.as_dict(), room.signals, {}), locale))
        assert words in page
        assert "log-odds" not in page
        assert "list stability" not in page, "a figure without words of its own"
    model = load_model("novelty", "champion", uri, room)
    scores = score_folder(silent, model, room)
    assert scores["probability"].null_count == scores["expected_recovery"].null_count == scores.num_rows
    assert scores["percentile"].null_count == scores["margin"].null_count == 0
    for row in scores.slice(0, 200).to_pylist():
        shown = sum(r["contribution"] for r in row["reasons"])
        assert shown == pytest.approx(row["margin"], abs=1e-9)


def test_gates_that_do_not_hold_keep_it_a_challenger(silent: ClaimsFolder, room: Catalogue) -> None:
    spec = parse_spec({**NOVELTY, "gates": [{"metric": "one_signal_share", "op": "<", "value": 0.01}]})
    found = decide(spec, examine(build_dataset(silent, spec, room), spec))
    assert found.alias == "challenger"
    assert "one_signal_share < 0.01" in found.reasons[0]


def test_outcomes_check_the_list_where_there_are_some(room: Catalogue, tmp_path: Path) -> None:
    dataset = build_dataset(write_town(tmp_path / "town"), SPEC, room)
    found = examine(dataset, SPEC).summary
    assert found["check.decided"] == len(dataset.labelled)
    assert found["check.base"] == pytest.approx(np.nanmean(dataset.labels))
    assert found["check.average_precision"] > found["check.base"]


def test_an_unstable_list_is_seen(fitted: FittedModel, silent: ClaimsFolder, room: Catalogue) -> None:
    """The same claims with amounts that grow month by month: later alerts multiply."""
    dataset = build_dataset(silent, SPEC, room)
    calm = examine(dataset, SPEC).summary
    months = (dataset.happened_at - dataset.happened_at.min()) / np.timedelta64(30, "D")
    grown = replace(dataset, values=dataset.values * np.exp(0.3 * months)[:, None])
    assert calm["later_volume"] < 3 < examine(grown, SPEC).summary["later_volume"]


def test_a_timeline_serves_a_model_without_labels(silent: ClaimsFolder, room: Catalogue) -> None:
    cut = START + (END - START) / 2
    history = build_timeline(silent, SPEC, room, cuts=[cut])
    model = fit_model(history.training(cut), SPEC)
    assert len(model.margins(history.test(cut).values)) > 500


def test_an_explanation_says_what_stands_out_without_a_probability(
    fitted: FittedModel, silent: ClaimsFolder, room: Catalogue
) -> None:
    found = explain_in_folder(silent, fitted, room, "claim", "C000-00", triage=Triage(), now=END)
    assert found.probability is None
    assert found.expected_recovery is None
    assert found.percentile is not None
    assert found.base == 0
    assert found.margin == pytest.approx(sum(r.contribution for r in found.reasons))


def test_a_weeks_list_needs_probabilities_and_says_so(
    fitted: FittedModel, silent: ClaimsFolder, room: Catalogue
) -> None:
    with pytest.raises(InputError, match="knows no probabilities"):
        candidates_of(silent, fitted, room, QueueRules())


# --- who scores ---------------------------------------------------------------------------------------------


def test_a_later_version_is_promoted_by_its_gates_and_a_reason_in_words(
    silent: ClaimsFolder, room: Catalogue, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    for _ in range(2):
        train(SPEC, silent, room, tracking_uri=uri, artifacts=tmp_path / "artifacts")
    registry, papers = Registry(uri), tmp_path / "papers"
    wordless = promote(registry, "novelty", request(reason=""), silent, room)
    assert [f.where for f in wordless.refusals] == ["reason"]
    assert "outcomes do not judge" in wordless.refusals[0].detail
    assert registry.champion("novelty") == 1
    strict = replace(SPEC, gates=(Gate("one_signal_share", "<", 0.01),))
    assert [f.code for f in promote(registry, "novelty", request(), silent, room, spec=strict).refusals] == ["gate"]
    decision = promote(registry, "novelty", request(), silent, room, papers=papers)
    assert decision.promoted
    assert decision.comparison is None
    assert registry.champion("novelty") == 2
    (page,) = papers.glob("*promoted.en.md")
    assert "outcomes do not judge" in page.read_text("utf-8")
    (page,) = papers.glob("*promoted.zh.md")
    assert "核查结论无法评判" in page.read_text("utf-8")


def test_what_needs_labels_is_refused_before_any_work(silent: ClaimsFolder, room: Catalogue) -> None:
    with pytest.raises(InputError, match="learns from no label"):
        backtest_folder(silent, SPEC, room)
    with pytest.raises(InputError, match="learns from no label"):
        search(build_dataset(silent, SPEC, room), SPEC, trials=1)
