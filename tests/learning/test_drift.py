"""Monitoring: what has changed is told, chance is not, and retraining follows the recipe."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomlkit
from typer.testing import CliRunner, Result

from fraud.claims.folder import ClaimsFolder, connect
from fraud.cli import app
from fraud.errors import InputError, SpecError
from fraud.learning.datasets.dataset import build_dataset
from fraud.learning.model import FittedModel
from fraud.learning.monitoring import drift
from fraud.learning.monitoring.drift import Monitoring, chance_index, monitor_watched, stability_index
from fraud.learning.monitoring.gauges import to_prometheus
from fraud.learning.monitoring.recipe import FILE, Recipe, load_recipe
from fraud.learning.monitoring.retraining import weigh
from fraud.learning.monitoring.watched import Watched, watch
from fraud.learning.origin import shares_between
from fraud.learning.registry import Registry
from fraud.learning.reports.documents import to_html
from fraud.learning.reports.monitor import monitor_document
from fraud.learning.reports.retraining import verdict_text
from fraud.learning.training import fit_model, train
from fraud.learning.validation.evaluation import evaluate
from fraud.signals.catalogue import Catalogue
from tests.learning.town import CLAIM_SPEC, END, START, outcome, spec, verdict_of, write_town

ROOT = Path(__file__).resolve().parents[2]
CUT = START + timedelta(days=330)
NOW = datetime(2025, 7, 1)
# Signals of the claim itself: what looks back sees more in the town's second year than in its first.
_SPEC = {**CLAIM_SPEC, "signals": ["claim.*"], "split": {"folds": 3, "repeats": 1}}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(ROOT)


@pytest.fixture(scope="module")
def watched_town(town: ClaimsFolder, tmp_path_factory: pytest.TempPathFactory) -> ClaimsFolder:
    """The town, where every other claim is looked at within two months."""
    with connect() as connection:
        town.attach(connection)
        rows = connection.sql("SELECT claim_id, settled_at FROM claims ORDER BY claim_id").fetchall()
    random = np.random.default_rng(5)
    delays = random.integers(5, 60, len(rows)).tolist()
    outcomes = [
        outcome("claim", claim, verdict_of(int(claim[1:4])), settled + timedelta(days=delay))
        for (claim, settled), delay in zip(rows[::2], delays[::2], strict=True)
    ]
    return write_town(tmp_path_factory.mktemp("watched"), outcomes=outcomes)


@pytest.fixture(scope="module")
def early(watched_town: ClaimsFolder, room: Catalogue) -> FittedModel:
    """A model of claims as it could be fitted two months before the end."""
    dataset = build_dataset(watched_town, spec(_SPEC), room, as_of=CUT)
    return fit_model(dataset, spec(_SPEC), evaluate(dataset, spec(_SPEC)))


@pytest.fixture(scope="module")
def later(watched_town: ClaimsFolder, room: Catalogue, early: FittedModel) -> Watched:
    return watch(watched_town, early, room, CUT, END)


@pytest.fixture
def look(early: FittedModel, room: Catalogue, recipe: Recipe, later: Watched) -> Callable[..., Monitoring]:
    """The later period, with something about it changed."""
    return lambda **changes: monitor_watched(early, room, recipe, replace(later, **changes), "sha256:x", NOW)


# --- measures -------------------------------------------------------------------------------------------


def test_equal_shares_have_an_index_of_zero_and_it_is_that_of_the_textbook() -> None:
    then, now = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    assert stability_index(then, then, 1e6, 1e6) == pytest.approx(0)
    by_hand = (0.4 - 0.5) * np.log(0.4 / 0.5) + (0.3 - 0.2) * np.log(0.3 / 0.2)
    assert stability_index(then, now, 1e9, 1e9) == pytest.approx(by_hand, rel=1e-4)


def test_chance_exceeds_its_bound_as_rarely_as_it_says() -> None:
    random, edges = np.random.default_rng(3), np.arange(1, 10) / 10
    then = np.full(10, 0.1)
    found = [stability_index(then, shares_between(edges, random.random(150)), 1e9, 150) for _ in range(2000)]
    assert np.mean(np.array(found) > chance_index(10, 1e9, 150)) < 0.005
    assert np.mean(np.array(found) > 0.1) > 0.05, "a fixed limit alone would ring by chance"


def test_a_value_that_most_rows_have_is_one_part() -> None:
    assert shares_between(np.array([0.0]), np.array([0, 0, 0, 1.0])).tolist() == [0.75, 0.25]


# --- a period -------------------------------------------------------------------------------------------


def test_a_model_remembers_what_it_was_fitted_on(early: FittedModel, tmp_path: Path) -> None:
    origin = FittedModel.load(early.save(tmp_path)).origin
    assert origin is not None
    assert early.origin is not None
    assert list(origin.spreads) == list(early.names)
    assert origin.until < CUT.isoformat()
    assert origin.bands == early.origin.bands
    assert origin.delay == early.origin.delay
    for name in early.names:
        assert np.array_equal(origin.spreads[name].quantiles, early.origin.spreads[name].quantiles, equal_nan=True)
        assert origin.spreads[name].shares.sum() == pytest.approx(1)
    assert (tmp_path / "origin.parquet").stat().st_size < 20_000
    (tmp_path / "origin.parquet").unlink()
    assert FittedModel.load(tmp_path).origin is None, "a model of an earlier time still scores"


def test_a_quiet_period_needs_no_attention(look: Callable[..., Monitoring], later: Watched) -> None:
    found = look()
    assert later.rows > 300
    assert found.hits.decided > 30
    assert [c.name for c in found.loud] == []
    assert found.hits.expected_low <= found.hits.expected <= found.hits.expected_high


def test_decisions_that_the_fit_knew_are_not_counted(
    watched_town: ClaimsFolder, room: Catalogue, early: FittedModel, later: Watched
) -> None:
    whole = watch(watched_town, early, room, START, END)
    assert len(whole.judged) == len(later.judged)
    assert whole.rows > later.rows


def test_a_figure_that_moved_is_named_and_one_that_is_gone_too(
    look: Callable[..., Monitoring], later: Watched, early: FittedModel
) -> None:
    amount, stay = early.names.index("claim.amount"), early.names.index("claim.stay")
    values = later.values.copy()
    values[:, amount] *= 3
    values[::2, stay] = np.nan
    found = look(values=values)
    assert {c.name for c in found.loud} == {"drifted_weight", "missing_rise"}
    assert [s.feature for s in found.shifts if s.changed] == ["claim.amount"]
    assert [s.feature for s in found.shifts if s.gone] == ["claim.stay"]
    assert found.drifted_weight > 0
    unread = np.where(np.arange(len(early.names)) == amount, 0.0, 1.0)
    assert "drifted_weight" not in {c.name for c in look(values=values, weights=unread).loud}, "no score leans on it"


def test_scores_that_moved_change_the_volume_of_alerts(look: Callable[..., Monitoring], later: Watched) -> None:
    found = look(scores=np.sqrt(later.scores))
    assert {"score_psi", "alerts_high"} <= {c.name for c in found.loud}
    assert "alerts_low" in {c.name for c in look(scores=later.scores / 10).loud}


def test_fewer_hits_than_expected_ring_only_beyond_chance(look: Callable[..., Monitoring], later: Watched) -> None:
    missed = later.judged.copy()
    missed[:, 1] = 0
    found = look(judged=missed)
    assert [c.name for c in found.loud] == ["hits_gap"]
    assert found.hits.gap_high < 0
    few = look(judged=missed[:5])
    assert not few.check("hits_gap").known


def test_decisions_that_take_longer_are_told(look: Callable[..., Monitoring], later: Watched) -> None:
    slow = later.judged.copy()
    slow[:, 2] = 10 * np.abs(slow[:, 2]) + 1000
    assert "delay_ratio" in {c.name for c in look(judged=slow).loud}


def test_providers_are_compared_as_they_stand_at_the_end_of_the_period(
    room: Catalogue, recipe: Recipe, tmp_path: Path
) -> None:
    looked_at = [(p, START + timedelta(days=200 + (p * 37) % 330)) for p in range(280)]
    outcomes = [
        outcome("provider", f"H{p:03d}", verdict_of(p), day, period_to=(day - timedelta(days=40)).date())
        for p, day in looked_at
    ]
    folder, cut = write_town(tmp_path, outcomes=outcomes), START + timedelta(days=400)
    own = spec(split={"folds": 3, "repeats": 1})
    dataset = build_dataset(folder, own, room, as_of=cut)
    fitted = fit_model(dataset, own, evaluate(dataset, own))
    found = drift.monitor(folder, fitted, room, recipe, since=cut, until=END, now=NOW)
    assert found.period.rows == 300
    assert found.period.units == {"provider": 300}
    assert found.hits.decided == sum(cut < day < END for _, day in looked_at)
    assert not found.check("hits_gap").loud
    # From the first of the month after the period that was looked into.
    assert 25 <= found.delay[0] <= 75


def test_an_empty_period_is_refused(town: ClaimsFolder, room: Catalogue, early: FittedModel, recipe: Recipe) -> None:
    day = datetime(2030, 1, 1)
    with pytest.raises(InputError, match="no claim that settled from 2030-01-01"):
        drift.monitor(town, early, room, recipe, since=day, until=day + timedelta(days=9), now=NOW)
    with pytest.raises(InputError, match="has no day"):
        drift.monitor(town, early, room, recipe, since=day, until=day, now=NOW)
    with pytest.raises(InputError, match="Train it again"):
        drift.monitor(town, replace(early, origin=None), room, recipe, since=START, until=day, now=NOW)


# --- what comes out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_the_page_says_it_in_both_languages(
    locale: str, look: Callable[..., Monitoring], later: Watched, room: Catalogue, recipe: Recipe
) -> None:
    page = to_html(monitor_document(look(values=later.values * 5), room, recipe, locale))
    assert ("Attention" if locale == "en" else "需关注") in page
    assert page.count("<svg") == 6
    assert "nan" not in page.lower().replace("tenan", "")
    assert "C000-" not in page, "no claim is named"


def test_gauges_are_what_prometheus_reads(look: Callable[..., Monitoring]) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    families = {f.name: f for f in text_string_to_metric_families(to_prometheus(look()))}
    attention = {s.labels["check"]: s.value for s in families["fraud_model_attention"].samples}
    assert set(attention.values()) == {0.0}
    assert families["fraud_model_hit_rate"].samples[0].labels["model"] == "claim_risk"


def test_json_has_no_figure_that_json_does_not_know(look: Callable[..., Monitoring]) -> None:
    found = look(judged=np.empty((0, 3)))
    told: dict[str, Any] = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["hits"]["found"] is None


# --- the recipe -----------------------------------------------------------------------------------------


def test_every_number_of_the_recipe_has_a_date_a_reason_and_a_source(recipe: Recipe) -> None:
    for section in (recipe.limits, recipe.reasons, recipe.needs):
        for threshold in section.values():
            assert threshold.since.year >= 2026
            assert len(threshold.why("en").split()) > 8
            assert re.search(r"[\u4e00-\u9fff]{4}", threshold.why("zh"))
            assert threshold.origin("en")
            assert not threshold.origin("en").startswith("Own choice") or threshold.origin("zh").startswith("自定")


def test_a_reason_may_be_written_in_one_language_and_is_shown_in_it_everywhere(
    look: Callable[..., Monitoring], room: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "training").mkdir()
    text = (ROOT / FILE).read_text("utf-8")
    plain = re.sub(r'because = \{ en = (".*"), zh = .*\}', r"because = \1", text)
    (tmp_path / FILE).write_text(plain, "utf-8")
    english = load_recipe(tmp_path)
    assert english.limits["score_psi"].why("zh") == english.limits["score_psi"].why("en")
    assert '<ul class="points" lang="en">' in to_html(monitor_document(look(), room, english, "zh"))
    both = load_recipe(ROOT)
    page = to_html(monitor_document(look(), room, both, "zh"))
    assert both.limits["score_psi"].why("zh") in page
    assert '<ul class="points" lang="en">' not in page
    (tmp_path / FILE).write_text(
        plain.replace('because = "Up to', 'because = {fr = "Up to').replace('chance."', 'chance."}', 1), "utf-8"
    )
    with pytest.raises(SpecError, match="one for each of en and zh"):
        load_recipe(tmp_path)


def test_all_faults_of_a_recipe_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Copy the delivered one"):
        load_recipe(tmp_path)
    text = (ROOT / FILE).read_text("utf-8").replace("limits.score_psi", "limits.score_psy")
    (tmp_path / "training").mkdir()
    (tmp_path / FILE).write_text(text.replace("value = 0.1", 'value = "much"'), "utf-8")
    with pytest.raises(SpecError) as caught:
        load_recipe(tmp_path)
    assert {f.where for f in caught.value.faults} == {
        "/limits/score_psy",
        "/limits/score_psi",
        "/limits/missing_rise/value",
    }
    assert 'did you mean "score_psi"' in caught.value.message


def test_a_missed_hit_rate_asks_for_training_and_a_broken_feed_forbids_it(
    look: Callable[..., Monitoring], later: Watched, early: FittedModel, recipe: Recipe
) -> None:
    missed = later.judged.copy()
    missed[:, 1] = 0
    verdict = weigh(look(judged=missed), recipe, END)
    assert verdict.train
    assert "hits" in {r.name for r in verdict.reasons if r.holds}
    values = later.values.copy()
    values[:, early.names.index("claim.stay")] = np.nan
    blocked = weigh(look(judged=missed, values=values), recipe, END)
    assert not blocked.train
    assert "this must be met first" in verdict_text(blocked)
    assert "须先满足以下条件" in verdict_text(blocked, "zh")


def test_without_new_labels_nothing_is_trained(look: Callable[..., Monitoring], recipe: Recipe) -> None:
    verdict = weigh(look(judged=np.empty((0, 3))), recipe, END + timedelta(days=3650))
    assert [r.name for r in verdict.reasons if r.holds] == ["age_days"]
    assert not verdict.train


# --- commands -------------------------------------------------------------------------------------------


@pytest.fixture
def home(room: Catalogue, watched_town: ClaimsFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rooms with a champion that was fitted before the last months of the town."""
    (tmp_path / "fraud.toml").write_text(tomlkit.dumps({"rooms": {"features": str(room.path)}}), "utf-8")
    for folder in ("models", "training"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models/claim_risk.toml").write_text(tomlkit.dumps(_SPEC), "utf-8")
    shutil.copy(ROOT / FILE, tmp_path / FILE)
    for name, value in (("HOME", tmp_path), ("VAR", tmp_path / "var"), ("TRACKING_URI", _uri(tmp_path))):
        monkeypatch.setenv(f"FRAUD_{name}", str(value))
    train(spec(_SPEC), watched_town, room, tracking_uri=_uri(tmp_path), artifacts=tmp_path / "artifacts", as_of=CUT)
    return tmp_path


def _uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'tracking.db'}"


def _run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_monitor_and_retrain_from_the_command_line(home: Path, watched_town: ClaimsFolder) -> None:
    period = ("--since", f"{CUT:%Y-%m-%d}", "--until", f"{END:%Y-%m-%d}")
    paths = ("--html", str(home / "w.html"), "--prom", str(home / "w.prom"))
    done = _run("monitor", "claim_risk", "--claims", str(watched_town.path), *period, *paths)
    assert done.exit_code == 0, done.output
    assert "at fault" in done.stdout
    assert (home / "w.html").is_file()
    assert "fraud_model_attention" in (home / "w.prom").read_text("utf-8")
    (kept,) = home.rglob("monitor/claim_risk.json")
    assert json.loads(kept.read_text("utf-8"))["attention"] == []

    strict = (
        (home / FILE).read_text("utf-8").replace("[limits.delay_ratio]\nvalue = 1.5", "[limits.delay_ratio]\nvalue = 0")
    )
    (home / FILE).write_text(strict, "utf-8")
    rang = _run("monitor", "claim_risk", "--claims", str(watched_town.path), *period, "--json")
    assert rang.exit_code == 3, rang.output
    assert json.loads(rang.stdout)["attention"] == ["delay_ratio"]

    said = _run("retrain", "claim_risk", "--claims", str(watched_town.path), "--json")
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert told["train"], told
    assert told["trained"]["alias"] == "challenger"
    assert Registry(_uri(home)).aliases("claim_risk") == {"champion": 1, "challenger": 2}

    again = _run("retrain", "--claims", str(watched_town.path))
    assert again.exit_code == 0, again.output
    assert "version 2 was fitted on the same data and waits" in again.stdout
    assert Registry(_uri(home)).aliases("claim_risk") == {"champion": 1, "challenger": 2}
