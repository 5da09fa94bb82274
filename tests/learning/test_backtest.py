"""Backtest: fitted on what was decided before a cut, judged by what happened after it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomlkit
from typer.testing import CliRunner

from fraud.claims.folder import ClaimsFolder
from fraud.cli import app
from fraud.errors import InputError
from fraud.learning.datasets.dataset import Dataset, Feature
from fraud.learning.metrics import METRICS
from fraud.learning.reports.backtest import backtest_document, backtest_summary, backtest_table
from fraud.learning.reports.documents import to_html, to_markdown
from fraud.learning.validation.ablation import ABLATIONS, kept_columns
from fraud.learning.validation.backtest import APART, OLDER, Backtest
from fraud.learning.validation.evaluation import CONTENDERS, MODEL
from fraud.learning.validation.rolling import backtest_folder, choose_cuts, run_backtest
from fraud.signals.catalogue import Catalogue
from tests.learning.history import CUTS, UNTIL, MadeUp, Snapshots, features, rows
from tests.learning.town import CLAIM_SPEC, spec

_SPEC = spec(CLAIM_SPEC, leak_alarm={"roc_auc": 0.965, "average_precision": 0.9, "single_feature_auc": 0.95})


def _run(described: Dataset, thorough: bool = False, history: Any = None) -> Backtest:
    rules = frozenset({"claim.second"})
    return run_backtest(history or MadeUp(described), _SPEC, CUTS, UNTIL, rules=rules, thorough=thorough)


@pytest.fixture(scope="module")
def described() -> Dataset:
    return rows()


@pytest.fixture(scope="module")
def found(described: Dataset) -> Backtest:
    return _run(described, thorough=True)


def test_every_contender_is_judged_in_every_period(found: Backtest) -> None:
    assert found.contenders == (*CONTENDERS, APART, OLDER)
    for name in (*CONTENDERS, APART):
        assert all(name in c.scored for c in found.cuts)
    assert OLDER not in found.cuts[0].scored, "the first cut has no model before it"
    figures = found.model.figures()
    assert set(figures) == set(METRICS)
    assert figures["roc_auc"] == pytest.approx(0.83, abs=0.06)
    assert figures["average_precision"] > 2 * found.pooled("peers").figure("average_precision")


def test_nothing_that_was_decided_after_a_cut_changes_what_is_scored_there(described: Dataset, found: Backtest) -> None:
    later = described.decided_at >= np.datetime64(CUTS[0], "us")
    turned = np.where(later, 1 - described.labels, described.labels)
    other = _run(replace(described, labels=turned))
    np.testing.assert_array_equal(other.cuts[0].scored[MODEL].scores, found.cuts[0].scored[MODEL].scores)
    np.testing.assert_array_equal(other.cuts[0].scored[MODEL].probabilities, found.cuts[0].scored[MODEL].probabilities)
    assert other.model.figure("roc_auc") < 0.6, "the labels it is judged by did change"


def test_rows_that_happened_before_a_cut_and_were_decided_after_it_are_in_no_figure(
    described: Dataset, found: Backtest
) -> None:
    day = np.datetime64(CUTS[0], "us")
    pending = (described.happened_at < day) & (described.decided_at >= day)
    assert pending.any()
    cut = found.cuts[0]
    assert cut.labels == int((described.decided_at < day).sum())
    assert not set(np.array(described.ids)[pending]) & set(cut.period.ids)


def test_the_same_data_and_seed_give_the_same_backtest_with_any_number_of_threads(
    described: Dataset, found: Backtest
) -> None:
    again = run_backtest(MadeUp(described), _SPEC, CUTS, UNTIL, thorough=False, threads=1)
    assert again.pooled("logistic").figures() == found.pooled("logistic").figures()
    assert again.model.figures() == found.model.figures()


def test_models_kept_apart_never_meet_the_group_of_a_row(described: Dataset) -> None:
    random = np.random.default_rng(4)
    of_group = dict(zip(np.unique(described.groups), random.random(200) < 0.15, strict=True))
    guilty = np.array([of_group[g] for g in described.groups])
    number = np.unique(described.groups, return_inverse=True)[1].astype(float)
    # Fault follows the group alone, and a figure names the group: only who has met the group can know.
    values = np.column_stack([number, random.normal(size=(len(described), 1))])
    labels = np.where(np.isfinite(described.labels), guilty.astype(float), np.nan)
    only = replace(described, values=values, labels=labels, features=features("claim.number", "claim.noise"))
    met = _run(only)
    assert met.model.figure("roc_auc") > 0.75
    assert met.pooled(APART).figure("roc_auc") == pytest.approx(0.5, abs=0.15)
    assert met.gain(APART, "average_precision").low > 0
    assert met.cuts[0].known_groups == pytest.approx(1.0, abs=0.02)


def test_what_a_kind_of_feature_is_worth_is_a_paired_difference(found: Backtest) -> None:
    assert found.ablations == ("no_volume", "no_network", "no_rules")
    assert found.absent == {"no_peers": "the model reads no standing among peers"}
    assert found.gain("no_rules", "average_precision").low > 0, "the second figure carries risk"
    for noise in ("no_volume", "no_network"):
        assert not found.gain(noise, "average_precision").low > 0.01


def test_ablations_leave_out_what_they_say() -> None:
    columns = (*features("claim.a", "claim.size", "network.b"), Feature("claim.a.peer_z", "claim.a", 0, False))
    kept = {a: [columns[i].name for i in kept_columns(a, columns, frozenset({"claim.a"}))[0]] for a in ABLATIONS}
    assert kept == {
        "no_volume": ["claim.a", "network.b", "claim.a.peer_z"],
        "no_network": ["claim.a", "claim.size", "claim.a.peer_z"],
        "no_peers": ["claim.a", "claim.size", "network.b"],
        "no_rules": ["claim.size", "network.b"],
    }
    assert "nothing but" in kept_columns("no_volume", features("claim.size"), frozenset())[1]


def test_the_curve_is_measured_on_shares_of_the_labels(found: Backtest) -> None:
    curve = found.curve
    assert curve is not None
    labels = [p.labels for p in curve.points]
    assert labels == sorted(labels)
    assert labels[-1] == np.mean([c.labels for c in found.cuts])
    assert labels[0] == pytest.approx(labels[-1] / 10, rel=0.25)
    assert curve.points[-1].average_precision.value > curve.points[0].average_precision.value
    assert _run(rows(n=1_500, seed=2)).curve is None, "not asked for"


def test_uses_of_rows_that_nobody_looked_at_stand_beside_each_other(found: Backtest) -> None:
    told = {t.treatment: t for t in found.treatments}
    assert set(told) == {"ignore", "negative", "weighted"}
    assert told["ignore"].fitted_on < told["negative"].fitted_on == told["weighted"].fitted_on
    assert all(0.3 < t.average_precision < 1 for t in told.values())
    for locale, used in (("en", "are left out (this model)"), ("zh", "不参与拟合（本模型采用）")):
        page = to_markdown(backtest_document(found, locale))
        assert f"| {used} |" in page
        assert f"{told['weighted'].corrected:.3f}" in page
    assert [t["treatment"] for t in found.as_dict()["treatments"]] == list(told)


def test_a_quick_backtest_says_that_treatments_were_not_compared() -> None:
    quick = _run(rows(n=1_500, seed=2))
    assert not quick.treatments
    assert "Not compared" in to_markdown(backtest_document(quick, "en"))


# --- alarms ------------------------------------------------------------------------------------------------


def _rang(backtest: Backtest) -> set[str]:
    return {a.condition.split()[0] for a in backtest.alarms if not a.holds}


def _with(described: Dataset, name: str, values: np.ndarray) -> Dataset:
    return described.with_feature(Feature(name, name, 0, False), values)


def test_the_alarm_keeps_still_on_honest_features(found: Backtest) -> None:
    assert not _rang(found)


def test_the_alarm_rings_when_a_target_encoded_column_is_planted(described: Dataset) -> None:
    noise = np.random.default_rng(5).normal(0, 0.2, len(described))
    leaking = _run(_with(described, "claim.encoded", np.nan_to_num(described.labels, nan=0.1) + noise))
    assert {"roc_auc", "average_precision", "single_feature_auc"} == _rang(leaking)
    assert leaking.singles[0][0] == "claim.encoded"
    assert any("Too good until shown otherwise" in line for line in backtest_summary(leaking, "en"))


def test_the_alarm_rings_when_a_column_is_computed_after_the_cut(described: Dataset) -> None:
    # What was clawed back is booked when a claim has been decided: weeks after it would have been scored.
    booked = np.where(described.labels == 1, described.amounts, 0.0)
    leaking = _run(_with(described, "claim.clawed_back", booked))
    assert "single_feature_auc" in _rang(leaking)
    assert leaking.singles[0][0] == "claim.clawed_back"


class _Forgetful(MadeUp):
    """A history whose last column is known when a model is fitted, and not yet when it scores."""

    def test(self, cut: datetime, until: datetime) -> Dataset:
        known = super().test(cut, until)
        return replace(known, values=np.column_stack([known.values[:, :-1], np.zeros(len(known))]))


def test_a_column_that_is_filled_in_later_shows_as_a_fall_from_the_folds_to_the_future(described: Dataset) -> None:
    booked = np.where(described.labels == 1, described.amounts, 0.0)
    planted = _with(described, "claim.clawed_back", booked)
    fallen = _run(planted, history=_Forgetful(planted))
    assert fallen.inside > 0.99
    assert fallen.model.figure("roc_auc") < 0.9
    assert any("a feature knew the future" in line for line in backtest_summary(fallen, "en"))


# --- the audit and the lists --------------------------------------------------------------------------------


def test_segments_are_audited_over_all_periods(found: Backtest) -> None:
    assert found.audit.unknown == ("level",)
    assert {p.segment for p in found.audit.parts} == {"region", "sex"}
    assert sum(p.rows for p in found.audit.parts if p.segment == "sex") == sum(len(c.period.ids) for c in found.cuts)
    assert not found.audit.without_cause


def test_lists_of_claims_are_compared_by_group_and_month(described: Dataset) -> None:
    few = replace(described, groups=np.array([f"H{int(g[1:]) % 20:02d}" for g in described.groups], dtype=object))
    moves = _run(few).moves
    assert [(m.before, m.after) for m in moves] == [
        ("2024-08", "2024-09"),
        ("2024-09", "2024-10"),
        ("2024-10", "2024-11"),
    ]
    assert all(m.ranked == 20 and m.k == 4 for m in moves)


def test_providers_share_one_list_a_cut_and_are_compared_from_cut_to_cut() -> None:
    by_provider = spec(signals=["provider.*"], capacity={"reviews_per_week": 5, "k": 20})
    found = run_backtest(Snapshots(), by_provider, CUTS, UNTIL, thorough=False)
    assert [c.period.weeks for c in found.cuts] == [8, 8]
    assert found.listed[0] == 2 * 5 * 8, "as many as all weeks of the period hold"
    (move,) = found.moves
    assert (move.before, move.after, move.ranked) == ("2024-08-01", "2024-10-01", 600)
    assert move.spearman > 0.5
    assert move.k == 40
    assert move.decided > 0, "some left because their outcome was known"
    assert move.stayed + move.decided + move.gone + move.fell == move.k
    assert found.model.figure("roc_auc") > 0.65
    assert "a cut has one list" in to_markdown(backtest_document(found, "en"))


# --- cuts --------------------------------------------------------------------------------------------------


def test_cuts_are_first_days_of_months_and_leave_a_third_to_be_fitted_on() -> None:
    first, last = datetime(2024, 1, 10), datetime(2025, 12, 30)
    cuts, until = choose_cuts(first, last, 4, "quarter")
    assert until == datetime(2025, 12, 1), "December is not over"
    assert cuts == tuple(datetime(*d, 1) for d in ((2024, 12), (2025, 3), (2025, 6), (2025, 9)))
    many, _ = choose_cuts(first, last, 60, "month")
    assert many[0] == datetime(2024, 9, 1)
    assert choose_cuts(first, datetime(2025, 12, 31), 1, "month") == ((datetime(2025, 12, 1),), datetime(2026, 1, 1))


def test_data_that_are_too_short_or_a_step_that_does_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match="too short for periods of a half-year"):
        choose_cuts(datetime(2024, 1, 1), datetime(2024, 4, 1), 2, "half-year")
    with pytest.raises(InputError, match='did you mean "quarter"'):
        choose_cuts(datetime(2024, 1, 1), datetime(2025, 4, 1), 2, "quarterly")


def test_a_cut_without_enough_labels_is_left_out_with_the_reason(described: Dataset) -> None:
    early = datetime(2024, 1, 20)
    found = run_backtest(MadeUp(described), _SPEC, (early, *CUTS), UNTIL, thorough=False)
    assert len(found.cuts) == 2
    assert found.left_out[0].startswith("the cut 2024-01-20 lacks 20 positives decided before it")
    with pytest.raises(InputError, match="no cut can be judged"):
        run_backtest(MadeUp(described), _SPEC, (early,), CUTS[0], thorough=False)


# --- the report ----------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """Elements that fetch something, headings, and the language of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.headings = 0
        self.drawings = 0
        self.lang = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.lang = given.get("lang") or self.lang if tag == "html" else self.lang
        self.headings += tag == "h2"
        self.drawings += tag == "svg"
        if tag in ("script", "link", "img", "iframe") or (given.get("src") or given.get("href") or "#")[0] != "#":
            self.outside.append(tag)


@pytest.fixture(scope="module")
def texts(found: Backtest) -> dict[str, str]:
    """The report in both languages and forms: a document costs hundreds of draws."""
    documents = {locale: backtest_document(found, locale, "fraud backtest claim_risk") for locale in ("en", "zh")}
    pages = {f"{locale}.html": to_html(d) for locale, d in documents.items()}
    return pages | {f"{locale}.md": to_markdown(d) for locale, d in documents.items()}


@pytest.mark.parametrize(("locale", "lang"), [("en", "en"), ("zh", "zh-CN")])
def test_the_report_is_one_page_without_scripts_or_assets(texts: dict[str, str], locale: str, lang: str) -> None:
    page = _Page(texts[f"{locale}.html"])
    assert not page.outside
    assert page.lang == lang
    assert page.headings == 12
    assert page.drawings == 12, "six figures, each wide and narrow"


def test_the_report_leads_with_the_lists_and_ends_with_roc_auc(found: Backtest, texts: dict[str, str]) -> None:
    head, table = backtest_table(found, "en")
    assert head[1] == "model"
    assert table[0][0] == "precision in the weekly lists"
    assert table[1][0] == "money recovered from the lists"
    assert table[-1][0] == "ROC-AUC"
    text = texts["en.md"]
    assert text.index("Weekly lists of 10") < text.index("Average precision 0.") < text.index("ROC-AUC")


def test_the_report_says_which_rows_its_figures_are_of(texts: dict[str, str], found: Backtest) -> None:
    assert "By the rows that were decided" in texts["en.md"]
    assert "Corrected for where investigators looked" in texts["en.md"]
    assert "A random sample of reviews would settle it" in texts["en.md"]
    chance = found.cuts[0].period.chance
    assert chance is not None
    assert chance.mean() == pytest.approx(0.5, abs=0.05), "here half of the rows are looked at, by chance"


def test_calibration_is_measured_at_the_level_of_the_decided_rows(found: Backtest) -> None:
    assert found.model.probabilities.mean() == pytest.approx(found.model.labels.mean(), abs=1e-6)
    too_low = [
        replace(
            c, scored={**c.scored, MODEL: replace(c.scored[MODEL], probabilities=c.scored[MODEL].probabilities / 9)}
        )
        for c in found.cuts
    ]
    other = replace(found, cuts=tuple(too_low))
    assert other.level["predicted"] == pytest.approx(found.level["predicted"] / 9)
    assert other.level["moved"] > found.level["moved"] + 1.5
    assert other.model.figure("calibration_error") < 0.06


def test_no_identifier_is_in_a_report(found: Backtest, described: Dataset, texts: dict[str, str]) -> None:
    text = "".join(texts.values()) + json.dumps(found.as_dict())
    assert not [i for i in (*described.ids, *described.groups) if i in text]


def test_the_json_holds_every_figure_as_plain_types(found: Backtest) -> None:
    plain = json.loads(json.dumps(found.as_dict()))
    assert [row["contender"] for row in plain["table"]] == [*found.contenders] * 2, "as decided and corrected"
    assert [c["cut"] for c in plain["cuts"]] == ["2024-08-01", "2024-10-01"]
    assert set(plain["ablations"]) == {"no_volume", "no_network", "no_rules"}
    assert plain["fairness"]["verdicts"]["sex"] == found.audit.verdict_of("sex")
    assert plain["learning_curve"]["verdict"] in ("helps", "flat", "unsure")


# --- a folder and the command -----------------------------------------------------------------------------


def test_a_folder_of_claims_is_taken_back_in_time(town: ClaimsFolder, room: Catalogue) -> None:
    said: set[str] = set()
    found = backtest_folder(
        town, spec(CLAIM_SPEC), room, cuts=2, every="quarter", thorough=False, progress=lambda name, _: said.add(name)
    )
    assert len(found.cuts) == 2
    assert "backtest" in said
    assert found.data_digest == town.digest
    assert all(c.period.start == c.at for c in found.cuts)


@pytest.fixture
def home(room: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fraud.toml").write_text(f'[rooms]\nfeatures = "{room.path}"\nmodels = "models"\n', "utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "claim_risk.toml").write_text(tomlkit.dumps(CLAIM_SPEC), "utf-8")
    monkeypatch.setenv("FRAUD_HOME", str(tmp_path))
    monkeypatch.delenv("FRAUD_VAR", raising=False)
    return tmp_path


def test_the_command_prints_the_table_and_writes_the_page(home: Path, town: ClaimsFolder) -> None:
    out = home / "report.html"
    arguments = ["backtest", "claim_risk", "--claims", str(town.path), "--cuts", "1", "--quick", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--locale", "zh"])
    assert result.exit_code == 0, result.output
    assert "每周清单命中率" in result.stdout
    assert result.stdout.strip().endswith(str(out))
    assert "回溯检验" in out.read_text("utf-8")


def test_the_command_prints_json_for_programs(home: Path, town: ClaimsFolder) -> None:
    result = CliRunner().invoke(
        app, ["backtest", "claim_risk", "--claims", str(town.path), "--cuts", "1", "--quick", "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model"] == "claim_risk"
