"""Registry, promotion and rollback: who is champion, who decided that, and on which rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from fraud.claims.folder import ClaimsFolder
from fraud.cli import app
from fraud.errors import CatalogueError, GateError, InputError, NotKnownError
from fraud.learning import load_model
from fraud.learning.governance.comparison import JUDGED, Comparison, Difference, compare
from fraud.learning.governance.promotion import FOLDER, promote, rollback
from fraud.learning.metrics import METRICS
from fraud.learning.model import FittedModel
from fraud.learning.registry import Change, Registry, champions
from fraud.learning.tracking import Child, latest_backtest, record_backtest, record_children, text_of
from fraud.learning.validation.bootstrap import Interval
from fraud.scoring.beside import SHADOW_COLUMNS, agreement_of
from fraud.signals.catalogue import Catalogue, load_catalogue
from tests.learning.governed import BASE, FITTED, NAME, Governed, request
from tests.learning.town import END, spec, write_room


@pytest.fixture
def registry(governed: Governed, tmp_path: Path) -> Registry:
    return governed.copy(tmp_path)


@pytest.fixture(scope="module")
def versions(governed: Governed, room: Catalogue) -> dict[int, FittedModel]:
    uri = f"sqlite:///{governed.database}"
    return {n: load_model(NAME, n, uri, room) for n in (1, 2, 3)}


@pytest.fixture(scope="module")
def after(governed: Governed, versions: dict[int, FittedModel], room: Catalogue) -> Comparison:
    return compare(governed.folder, versions[1], versions[2], room)


def _client(registry: Registry) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(tracking_uri=registry.tracking_uri, registry_uri=registry.tracking_uri)


# --- the registry -----------------------------------------------------------------------------------------


def test_the_first_whose_gates_hold_is_champion_and_later_trainings_are_challengers(registry: Registry) -> None:
    assert registry.names() == (NAME,)
    assert registry.aliases(NAME) == {"champion": 1, "challenger": 3}
    assert [v.tags["gates"] for v in registry.versions(NAME)] == ["hold"] * 3
    (first,) = registry.changes(NAME)
    assert (first.kind, first.version, first.by) == ("first", 1, "")


def test_a_version_tells_what_it_was_made_of_and_how_good_it_is(registry: Registry) -> None:
    version = registry.version(NAME, "challenger")
    assert version.number == 3
    assert set(METRICS) <= set(version.figures)
    assert version.tags["model_digest"].startswith("sha256:")
    assert "with a label" in version.description
    assert json.loads(json.dumps(version.as_dict()))["aliases"] == ["challenger"]


def test_what_is_not_registered_is_named_with_what_is(registry: Registry) -> None:
    with pytest.raises(NotKnownError, match='did you mean "claim_risk"'):
        registry.versions("clam_risk")
    with pytest.raises(NotKnownError, match=r"Aliases: challenger \(version 3\), champion \(version 1\)"):
        registry.version(NAME, "shadow")
    with pytest.raises(InputError, match='did you mean "champion"'):
        registry.set_alias(NAME, "champio", 1)


def test_asking_an_empty_registry_makes_nothing(tmp_path: Path) -> None:
    registry = Registry(f"sqlite:///{tmp_path / 'none.db'}")
    assert (registry.names(), registry.champion(NAME)) == ((), None)
    with pytest.raises(NotKnownError, match="Registered: none"):
        registry.versions(NAME)
    assert not list(tmp_path.iterdir())


# --- runs -------------------------------------------------------------------------------------------------


def test_a_run_names_its_claims_as_an_input_that_mlflow_reads_back(registry: Registry, governed: Governed) -> None:
    run = _client(registry).get_run(registry.version(NAME, 3).run_id)
    (given_in,) = run.inputs.dataset_inputs
    assert governed.folder.digest.startswith(given_in.dataset.digest)
    assert {t.key: t.value for t in given_in.tags} == {"mlflow.data.context": "training"}
    source = mlflow.data.get_source(given_in)
    assert source.to_dict()["tags"]["data_digest"] == governed.folder.digest
    columns = json.loads(given_in.dataset.schema)["mlflow_colspec"]
    assert {c["type"] for c in columns} == {"double"}


def test_every_fold_is_a_run_inside_the_run(registry: Registry) -> None:
    client, version = _client(registry), registry.version(NAME, 3)
    experiment = client.get_experiment_by_name(NAME)
    inner = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{version.run_id}'")
    assert sorted(r.info.run_name for r in inner) == ["repeat 1, fold 1", "repeat 1, fold 2"]
    assert {r.info.status for r in inner} == {"FINISHED"}
    mean = sum(r.data.metrics["average_precision"] for r in inner) / 2
    assert mean == pytest.approx(client.get_run(version.run_id).data.metrics["average_precision"])
    assert "baseline.peers.average_precision" in inner[0].data.metrics


def test_trials_can_be_logged_under_a_run_of_their_own(registry: Registry, governed: Governed) -> None:
    children = [Child(f"trial {i}", {"average_precision": i / 10, "bad": float("nan")}, {"depth": i}) for i in (1, 2)]
    best = Child("best", {"average_precision": 0.2}, tags={"kind": "search"})
    places = {"tracking_uri": registry.tracking_uri, "artifacts": governed.artifacts}
    run_id = record_children(NAME, "a search", children, summary=best, texts={"space.json": "{}"}, **places)
    client = _client(registry)
    run = client.get_run(run_id)
    assert (run.data.metrics, run.data.tags["kind"]) == ({"average_precision": 0.2}, "search")
    inner = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert sorted(r.data.params["depth"] for r in inner) == ["1", "2"]
    assert all(set(r.data.metrics) == {"average_precision"} for r in inner)
    assert text_of(registry.tracking_uri, run_id, "space.json") == "{}"
    assert text_of(registry.tracking_uri, run_id, "nothing.json") is None


def test_the_latest_backtest_is_found_again(registry: Registry, governed: Governed) -> None:
    assert latest_backtest(registry.tracking_uri, NAME) is None
    assert latest_backtest(registry.tracking_uri, "other") is None
    cut = {"cut": "2025-01-01", "until": "2025-02-01", "average_precision": 0.5, "decided": 9}
    rows = [{"contender": c, "corrected": False, "average_precision": v} for c, v in (("model", 0.5), ("peers", 0.1))]
    found = {"table": rows, "cuts": [cut], "data": "sha256:a", "catalogue": "sha256:b"}
    places = {"tracking_uri": registry.tracking_uri, "artifacts": governed.artifacts}
    run_id = record_backtest(NAME, found, "<html></html>", **places)
    assert latest_backtest(registry.tracking_uri, NAME) == found | {"run": run_id}
    run = _client(registry).get_run(run_id)
    assert run.data.metrics == {"average_precision": 0.5, "baseline.peers.average_precision": 0.1}


def _change(kind: str, version: int) -> Change:
    return Change(kind, version, None, "")  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(["promote", "rollback"]), max_size=12))
def test_a_rollback_undoes_the_latest_promotion_that_still_stands(deeds: list[str]) -> None:
    standing, changes, latest = [1], [_change("first", 1)], 1
    for deed in deeds:
        if deed == "promote":
            latest += 1
            standing.append(latest)
            changes.append(_change("promotion", latest))
        elif len(standing) > 1:
            standing.pop()
            changes.append(_change("rollback", standing[-1]))
        assert champions(changes) == standing


def test_a_champion_named_by_hand_is_followed_by_the_last_one_on_record(registry: Registry) -> None:
    assert registry.previous(NAME) is None
    registry.change_champion(NAME, Change("promotion", 2, 1, "2026-01-01T00:00:00+00:00", "ann", "bob", "better"))
    assert registry.previous(NAME) == 1
    registry.set_alias(NAME, "champion", 3)
    assert registry.previous(NAME) == 2


def test_changes_at_the_same_moment_are_all_kept(registry: Registry) -> None:
    for version, before in ((2, 1), (3, 2)):
        registry.change_champion(NAME, Change("promotion", version, before, "2026-01-01T00:00:00+00:00"))
    assert [c.version for c in registry.changes(NAME)] == [1, 2, 3]
    assert registry.aliases(NAME) == {"champion": 3}, "a champion is nobody's challenger"


# --- the comparison ---------------------------------------------------------------------------------------


def test_both_are_judged_on_what_happened_after_both_had_been_fitted(after: Comparison, governed: Governed) -> None:
    cut = FITTED + timedelta(days=1)
    later = [o for o in governed.outcomes if governed.settled_at[o["entity_id"]] >= cut]
    assert (after.protocol, after.cut, after.refitted) == ("after", f"{cut:%Y-%m-%d}", ())
    assert after.rows == sum(s >= cut for s in governed.settled_at.values())
    assert (after.decided, after.positive) == (len(later), sum(o["verdict"] == "confirmed_fraud" for o in later))


def test_a_model_that_knows_more_is_better_beyond_chance_and_the_other_way_round_worse(
    after: Comparison, governed: Governed, versions: dict[int, FittedModel], room: Catalogue
) -> None:
    assert "average_precision" in {d.metric for d in after.of("better")}
    assert not after.harms
    turned = compare(governed.folder, versions[2], versions[1], room)
    assert "average_precision" in {d.metric for d in turned.harms}
    for one, other in zip(after.differences, turned.differences, strict=True):
        assert one.gain.value == pytest.approx(-other.gain.value)
        assert (one.gain.low, one.gain.high) == pytest.approx((-other.gain.high, -other.gain.low))


def test_a_version_that_has_seen_the_latest_months_is_fitted_again_without_them(
    governed: Governed, versions: dict[int, FittedModel], room: Catalogue
) -> None:
    found = compare(governed.folder, versions[1], versions[3], room)
    assert (found.protocol, found.refitted) == ("latest", ("challenger",))
    # The first month after the champion's last outcome, so that the champion is judged as it is.
    assert found.cut == "2024-10-01"
    assert "average_precision" in {d.metric for d in found.of("better")}


def test_without_two_points_in_time_both_recipes_are_fitted_on_the_same_folds(
    town: ClaimsFolder, versions: dict[int, FittedModel], room: Catalogue
) -> None:
    # Only their recipes count here, and that both know every outcome.
    able = replace(versions[1], spec=spec(), as_of=END.isoformat())
    blind = replace(able, spec=spec(signals=["provider.mean_weekday"]))
    found = compare(town, able, blind, room)
    assert (found.protocol, found.cut, found.rows) == ("folds", "", 280)
    assert "average_precision" in {d.metric for d in found.harms}


def test_versions_of_different_entities_are_not_compared(
    governed: Governed, versions: dict[int, FittedModel], room: Catalogue
) -> None:
    with pytest.raises(InputError, match="the champion scores providers and the challenger claims"):
        compare(governed.folder, replace(versions[1], spec=spec()), versions[1], room)


def _difference(metric: str, low: float, high: float) -> Difference:
    return Difference(metric, 0.5, 0.5 + (low + high) / 2, Interval((low + high) / 2, low, high))


def test_a_verdict_needs_an_interval_on_one_side_of_zero() -> None:
    assert _difference("average_precision", 0.01, 0.1).verdict == "better"
    assert _difference("average_precision", -0.1, -0.01).verdict == "worse"
    assert _difference("average_precision", -0.01, 0.1).verdict == "no different"
    assert _difference("brier", 0.01, 0.1).verdict == "worse"
    assert _difference("calibration_error", -0.1, -0.01).verdict == "better"
    assert _difference("average_precision", float("nan"), 0.1).verdict == "not known"
    assert _difference("average_precision", float("nan"), 0.1).as_dict()["low"] is None


def test_a_larger_calibration_error_is_forgiven_only_with_a_better_brier_score(after: Comparison) -> None:
    worse = _difference("calibration_error", 0.01, 0.1)
    for brier, harms in ((_difference("brier", -0.1, -0.01), 0), (_difference("brier", -0.1, 0.01), 1)):
        assert len(replace(after, differences=(worse, brier)).harms) == harms


# --- promotion --------------------------------------------------------------------------------------------


class _Tags(HTMLParser):
    """Which tags are open, to see that each is closed in its turn."""

    _VOID = ("meta", "br", "img", "hr", "input", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _well_formed(page: str) -> bool:
    parser = _Tags()
    parser.feed(page)
    return not parser.open


@pytest.mark.requirement("001-69")
def test_a_better_challenger_becomes_champion_with_a_paper_that_names_two_people(
    registry: Registry, governed: Governed, room: Catalogue, tmp_path: Path
) -> None:
    papers = tmp_path / "papers"
    decision = promote(registry, NAME, request(reason=""), governed.folder, room, version="2", papers=papers)
    decision.check()
    assert registry.aliases(NAME) == {"challenger": 3, "champion": 2}
    change = registry.changes(NAME)[-1]
    assert (change.kind, change.before, change.version) == ("promotion", 1, 2)
    assert (change.by, change.approved_by) == ("ann", "bob")
    assert registry.version(NAME, 2).tags["champion_approved_by"] == "bob"
    files = {p.name.removeprefix(f"{decision.stem}.") for p in papers.iterdir()}
    assert files == {"json", "en.html", "en.md", "zh.html", "zh.md"}
    told = json.loads((papers / f"{decision.stem}.json").read_text("utf-8"))
    assert (told["decision"], told["by"], told["approved_by"]) == ("promoted", "ann", "bob")
    assert (told["champion"]["version"], told["challenger"]["version"]) == (1, 2)
    assert told["comparison"]["data_digest"] == governed.folder.digest
    assert [d["metric"] for d in told["comparison"]["differences"]][: len(JUDGED)] == list(JUDGED)
    for locale, said in (("en", "Promoted: version 2 is champion"), ("zh", "已批准：自即日起启用第2版")):
        page = (papers / f"{decision.stem}.{locale}.html").read_text("utf-8")
        assert said in page
        assert governed.folder.digest in page
        assert _well_formed(page)
    run = _client(registry).download_artifacts(decision.challenger.run_id, FOLDER, str(tmp_path))
    kept = {p.name: p.read_text("utf-8") for p in Path(run).glob(f"{decision.stem}.*")}
    assert kept == {p.name: p.read_text("utf-8") for p in papers.iterdir()}
    assert not [i for i in governed.settled_at if i in "".join(kept.values())], "no claim is named"


def test_a_refusal_names_every_reason_at_once_and_is_kept_too(
    registry: Registry, governed: Governed, room: Catalogue, tmp_path: Path
) -> None:
    registry.change_champion(NAME, Change("promotion", 2, 1, "2026-01-01T00:00:00+00:00"))
    strict = spec(BASE, gates=[{"metric": "roc_auc", "op": ">=", "value": 0.97}])
    asked = request(approved_by=" ANN ", reason="so")
    decision = promote(registry, NAME, asked, governed.folder, room, version="1", spec=strict, papers=tmp_path / "p")
    codes = [f.code for f in decision.refusals]
    assert codes[0] == "gate"
    assert set(codes) - {"missing"} == {"gate", "worse", "same_person"}
    with pytest.raises(GateError, match="version 2 stays champion") as error:
        decision.check()
    assert (error.value.exit_code, error.value.faults) == (3, decision.refusals)
    assert registry.champion(NAME) == 2
    page = (tmp_path / "p" / f"{decision.stem}.zh.md").read_text("utf-8")
    assert "未批准：继续使用第2版" in page
    assert "批准人与申请人为同一人。" in page
    assert "平均精确率（AP）：候选版本明显更差" in page


def test_no_difference_needs_words(registry: Registry, governed: Governed, room: Catalogue) -> None:
    client = _client(registry)
    files, run_id = client.get_model_version_download_uri(NAME, "1"), registry.version(NAME, 1).run_id
    made = client.create_model_version(NAME, source=files, run_id=run_id)
    asked = request(reason=" ")
    decision = promote(registry, NAME, asked, governed.folder, room, version=made.version, trial=True)
    assert [(f.where, f.code) for f in decision.refusals] == [("reason", "missing")]
    assert decision.refusals[0].detail.startswith("no figure is better beyond chance")
    assert decision.comparison is not None
    assert {(d.gain.value, d.gain.low, d.gain.high) for d in decision.comparison.differences} == {(0.0, 0.0, 0.0)}
    said = promote(
        registry, NAME, request(reason="换用新锁定环境重训"), governed.folder, room, version=made.version, trial=True
    )
    assert said.promoted


def test_a_champion_is_not_promoted_again(registry: Registry, governed: Governed, room: Catalogue) -> None:
    decision = promote(registry, NAME, request(), governed.folder, room, version="champion", trial=True)
    assert [f.code for f in decision.refusals] == ["champion"]
    assert decision.comparison is None


def _room_with_another(name: str, home: Path) -> Catalogue:
    """The room of the town, in which one figure of a claim is not what it was."""
    write_room(home)
    amounts = home / "claim" / "amounts.py"
    amounts.write_text(amounts.read_text("utf-8").replace(f"return claim.{name}", f"return claim.{name} + 1"), "utf-8")
    return load_catalogue(home)


def test_a_champion_that_cannot_score_any_more_gives_way_for_a_reason(
    registry: Registry, governed: Governed, tmp_path: Path
) -> None:
    changed = _room_with_another("stay_days", tmp_path)
    decision = promote(registry, NAME, request(reason=""), governed.folder, changed, version="2", trial=True)
    assert decision.comparison is None
    assert [f.code for f in decision.refusals] == ["missing"]
    assert "the champion cannot score with this catalogue" in decision.refusals[0].detail
    papers = tmp_path / "papers"
    tried = promote(registry, NAME, request(), governed.folder, changed, version="2", papers=papers, trial=True)
    assert tried.promoted
    assert registry.aliases(NAME) == {"challenger": 3, "champion": 1}, "a trial changes nothing"
    assert not papers.exists()


def test_a_challenger_that_cannot_score_is_no_candidate(registry: Registry, governed: Governed, tmp_path: Path) -> None:
    changed = _room_with_another("total_amount", tmp_path)
    with pytest.raises(CatalogueError, match=r"claim\.amount has changed"):
        promote(registry, NAME, request(), governed.folder, changed, version="2", trial=True)


# --- rollback ---------------------------------------------------------------------------------------------


def test_a_rollback_goes_back_one_twice_goes_back_two_and_then_there_is_nothing(
    registry: Registry, room: Catalogue, tmp_path: Path
) -> None:
    for version, before in ((2, 1), (3, 2)):
        registry.change_champion(NAME, Change("promotion", version, before, f"2026-01-0{version}T00:00:00+00:00"))
    for expected in (2, 1):
        change = rollback(registry, NAME, request(reason="The hit rate fell."), room, tmp_path / "papers")
        assert (change.version, registry.champion(NAME)) == (expected, expected)
    assert [c.kind for c in registry.changes(NAME)] == ["first", "promotion", "promotion", "rollback", "rollback"]
    kept = sorted(json.loads(p.read_text("utf-8"))["version"] for p in (tmp_path / "papers").iterdir())
    assert kept == [1, 2]
    with pytest.raises(GateError) as error:
        rollback(registry, NAME, request(approved_by="", reason="no"), room)
    assert [f.code for f in error.value.faults] == ["missing", "missing", "first"]
    assert registry.champion(NAME) == 1


def test_a_rollback_to_a_version_that_cannot_score_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.change_champion(NAME, Change("promotion", 2, 1, "2026-01-01T00:00:00+00:00"))
    with pytest.raises(GateError) as error:
        rollback(registry, NAME, request(), _room_with_another("stay_days", tmp_path))
    assert [f.code for f in error.value.faults] == ["catalogue"]
    assert registry.champion(NAME) == 2


# --- the command line -------------------------------------------------------------------------------------


@pytest.fixture
def home(registry: Registry, room: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "fraud.toml").write_text(f'[rooms]\nfeatures = "{room.path}"\n', "utf-8")
    monkeypatch.setenv("FRAUD_HOME", str(tmp_path))
    monkeypatch.setenv("FRAUD_TRACKING_URI", registry.tracking_uri)
    monkeypatch.delenv("FRAUD_VAR", raising=False)
    return tmp_path


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_commands_promote_list_describe_and_roll_back(home: Path, governed: Governed) -> None:
    people = ("--by", "ann", "--approved-by", "bob", "--reason", "A quarter more outcomes.")
    promoted = _run("promote", NAME, "--claims", governed.folder.path, "--version", 2, *people)
    assert promoted.exit_code == 0, promoted.output
    assert "claim_risk version 2 is champion." in promoted.output
    assert len(list((home / "var" / "promotions").iterdir())) == 5
    listed = _run("models", NAME).output
    assert "was promoted to version 2 from 1" in listed
    assert "asked by ann, approved by bob: A quarter more outcomes." in listed
    assert json.loads(_run("models", "--json").output)[0]["changes"][-1]["approved_by"] == "bob"
    written = _run("card", NAME, "--locale", "zh", "--out", home / "card.html")
    assert written.exit_code == 0
    assert "第1版 → 第2版" in (home / "card.html").read_text("utf-8")
    assert "asked by ann, approved by bob" in _run("rollback", NAME, *people).output
    assert json.loads(_run("models", "--json").output)[0]["versions"][-1]["aliases"] == ["champion"]


def test_a_refused_promotion_ends_with_code_3_and_a_dry_run_writes_nothing(home: Path, governed: Governed) -> None:
    asked = ("promote", NAME, "--claims", governed.folder.path, "--by", "ann", "--approved-by", "Ann")
    refused = _run(*asked, "--version", 2, "--dry-run", "--json")
    assert isinstance(refused.exception, GateError)
    assert refused.exception.exit_code == 3
    assert not (home / "var" / "promotions").exists()
    told = json.loads(refused.output)
    assert (told["decision"], told["trial"]) == ("refused", True)
    assert [f["code"] for f in told["refusals"]] == ["same_person"]


def test_scores_can_be_written_with_those_of_the_shadow_beside_them(home: Path, governed: Governed) -> None:
    out = home / "scores.parquet"
    asked = ("score", NAME, "--claims", governed.folder.path, "--out", out, "--shadow", "--json")
    assert "no version or alias 'shadow'" in str(_run(*asked).exception)
    assert "would always say the same" in str(_run("shadow", NAME, "--version", "champion").exception)
    assert _run("shadow", NAME, "--version", 2).exit_code == 0
    told = json.loads(_run(*asked).output)
    assert (told["version"], told["shadow"]["version"], told["shadow"]["k"]) == (1, 2, 20)
    scores = pq.read_table(out)
    assert set(SHADOW_COLUMNS) <= set(scores.column_names)
    change = scores["shadow_percentile"].to_numpy() - scores["percentile"].to_numpy()
    assert np.allclose(scores["percentile_change"].to_numpy(), change)
    assert 0 < told["shadow"]["rank_correlation"] < 1
    assert _run("shadow", NAME, "--off").exit_code == 0


def test_agreement_counts_the_places_that_two_lists_share() -> None:
    scores = pa.table({"probability": [0.9, 0.8, 0.1, 0.2], "shadow_probability": [0.9, 0.1, 0.8, 0.2]})
    found = agreement_of(scores, 2)
    assert (found.k, found.both) == (2, 1)
    assert found.rank_correlation == pytest.approx(0.2)
    same = scores.set_column(1, "shadow_probability", scores["probability"])
    assert (agreement_of(same, 9).both, agreement_of(same, 9).rank_correlation) == (4, pytest.approx(1.0))
