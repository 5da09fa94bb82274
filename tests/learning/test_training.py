"""Training end to end, on a real tracking server."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.errors import CatalogueError, InputError, NotKnownError
from fraud.learning import load_model, train
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.metrics import BASELINES, METRICS
from fraud.learning.model import FittedModel
from fraud.learning.registry import Registry
from fraud.learning.tracking import record_children, signature_of
from fraud.learning.training import TrainingResult
from fraud.signals.catalogue import Catalogue, load_catalogue
from tests.learning.conftest import Server
from tests.learning.town import spec, write_room


@pytest.fixture(scope="session")
def client(server: Server, trained: TrainingResult) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)


@pytest.fixture(scope="session")
def files(client: mlflow.MlflowClient, trained: TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("files")
    return Path(client.download_artifacts(trained.run_id, "", str(to)))


def test_a_training_whose_gates_hold_is_champion_and_can_be_loaded_as_such(
    trained: TrainingResult, server: Server, room: Catalogue, providers: Dataset
) -> None:
    assert trained.alias == "champion"
    model = load_model("provider_risk", "champion", server.uri, room)
    assert (model.version, model.alias) == (trained.version, "champion")
    assert model.digest == trained.model_digest
    by_version = load_model("provider_risk", trained.version, server.uri)
    np.testing.assert_array_equal(by_version.margins(providers.values), model.margins(providers.values))


def test_loading_costs_well_under_a_fifth_of_a_second(trained: TrainingResult, server: Server) -> None:
    load_model("provider_risk", "champion", server.uri)
    times = []
    for _ in range(3):
        start = time.process_time()
        load_model("provider_risk", "champion", server.uri)
        times.append(time.process_time() - start)
    assert min(times) < 0.2


@pytest.mark.requirement("001-69")
def test_gates_stop_a_promotion_and_the_champion_stays(
    trained: TrainingResult, server: Server, client: mlflow.MlflowClient, town: ClaimsFolder, room: Catalogue
) -> None:
    strict = spec(gates=[{"metric": "roc_auc", "op": ">=", "value": 0.9999}])
    second = train(strict, town, room, tracking_uri=server.uri, artifacts=server.artifacts)
    assert second.alias == "challenger"
    assert second.version == trained.version + 1
    aliases = client.get_registered_model("provider_risk").aliases
    assert {a: int(v) for a, v in aliases.items()} == {"champion": trained.version, "challenger": second.version}
    tags = client.get_model_version("provider_risk", str(second.version)).tags
    assert "roc_auc >= 0.9999" in tags["reasons"]
    assert not [g for g in second.gates if g.holds and "0.9999" in g.condition]


def test_the_same_data_seed_and_lock_give_the_same_model(
    trained: TrainingResult, server: Server, town: ClaimsFolder, room: Catalogue, tmp_path: Path
) -> None:
    tracking = f"sqlite:///{tmp_path}/other.db"
    again = train(spec(), town, room, tracking_uri=tracking, artifacts=tmp_path / "artifacts", threads=1)
    assert again.model_digest == trained.model_digest
    assert again.report.as_dict() == trained.report.as_dict()
    first, second = (
        Registry(uri).version("provider_risk", r.version).tags["model_digest"]
        for uri, r in ((tracking, again), (server.uri, trained))
    )
    assert first == second == load_model("provider_risk", "champion", tracking, room).digest


def test_the_run_tells_what_it_was_made_of(
    trained: TrainingResult, client: mlflow.MlflowClient, town: ClaimsFolder, room: Catalogue
) -> None:
    run = client.get_run(trained.run_id)
    assert run.data.tags["data_digest"] == town.digest
    assert run.data.tags["model_digest"] == trained.model_digest
    assert run.data.tags["lock_digest"].startswith("sha256:")
    assert run.data.tags["skipped"] == "provider.mean_weight"
    assert run.data.tags["catalogue_digest"] == room.digest_of(s for s in room.signals if _read(s))
    assert run.data.params["seed"] == "11"
    assert run.data.params["parameters.max_depth"] == "5"
    assert run.data.params["count.labelled"] == "280"


def _read(signal_id: str) -> bool:
    return signal_id.startswith("provider.") and signal_id != "provider.mean_weight"


def test_every_fold_of_every_contender_is_a_step(trained: TrainingResult, client: mlflow.MlflowClient) -> None:
    for contender in ("model", *BASELINES):
        for metric in METRICS:
            history = client.get_metric_history(trained.run_id, f"fold.{contender}.{metric}")
            assert [m.step for m in sorted(history, key=lambda m: m.step)] == list(range(8))
    assert client.get_run(trained.run_id).data.metrics["roc_auc"] == pytest.approx(
        trained.report.evaluation.mean("model", "roc_auc")
    )


def test_reports_figures_and_environment_are_with_the_run(files: Path, trained: TrainingResult) -> None:
    report = json.loads((files / "report.json").read_text("utf-8"))
    assert [row["contender"] for row in report["table"]] == ["model", *BASELINES]
    assert list(report["table"][0])[1:] == list(METRICS), "capacity first, ROC-AUC last"
    assert report["skipped"] == {"provider.mean_weight": "the data lack claims.drg_weight"}
    assert (files / "requirements.lock").read_text("utf-8") == "lightgbm==4.7.0\n"
    drawn = {p.stem: p.read_text("utf-8") for p in (files / "figures").glob("*.svg")}
    names = {"precision_recall", "reliability", "gain", "importance", "folds"}
    assert set(drawn) == names | {f"{name}.zh" for name in names}
    assert "recall" in drawn["precision_recall"]
    assert "召回率" in drawn["precision_recall.zh"]
    assert all(svg.startswith("<svg") for svg in drawn.values())
    page = (files / "report.html").read_text("utf-8")
    assert page.count("<figure ") == 5
    assert "reason to look, never proof" in page
    text = (files / "report.md").read_text("utf-8")
    assert "5 labels concern providers without a claim" in text
    assert json.loads((files / "environment.json").read_text("utf-8"))["lightgbm"]


def test_no_identifier_of_a_provider_is_in_a_run(files: Path, providers: Dataset) -> None:
    text = b"".join(p.read_bytes() for p in files.rglob("*") if p.is_file())
    assert not [i for i in providers.ids if i.encode() in text]


def test_the_registered_model_takes_frames_by_name_and_has_a_float_signature(
    trained: TrainingResult, server: Server, providers: Dataset, room: Catalogue
) -> None:
    mlflow.set_registry_uri(server.uri)
    mlflow.set_tracking_uri(server.uri)
    try:
        registered = mlflow.pyfunc.load_model(f"models:/provider_risk/{trained.version}")
    finally:
        mlflow.set_registry_uri(None)
        mlflow.set_tracking_uri(None)
    signature = registered.metadata.signature
    assert signature is not None
    assert {str(t) for t in (*signature.inputs.input_types(), *signature.outputs.input_types())} == {"DataType.double"}
    frame = pd.DataFrame(providers.values[:7], columns=list(providers.names))
    scored = registered.predict(frame[frame.columns[::-1]])
    model = load_model("provider_risk", trained.version, server.uri, room)
    np.testing.assert_array_equal(scored["margin"], model.margins(providers.values[:7]))
    np.testing.assert_array_equal(scored["probability"], model.probability(scored["margin"].to_numpy()))
    assert registered.metadata.saved_input_example_info is not None


@pytest.fixture
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow as it is before anybody has said where its server and its registry are."""
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    yield
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.mark.usefixtures("_nothing_set")
def test_whoever_uses_mlflow_afterwards_finds_its_settings_as_they_were(server: Server, tmp_path: Path) -> None:
    def note_a_run() -> None:
        record_children("elsewhere", "a search", [], tracking_uri=server.uri, artifacts=tmp_path / "artifacts")

    note_a_run()
    assert not {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"} & set(os.environ)
    own, other = f"sqlite:///{tmp_path / 'own.db'}", f"sqlite:///{tmp_path / 'other.db'}"
    mlflow.set_tracking_uri(own)
    note_a_run()
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == (own, own)
    mlflow.set_registry_uri(other)
    note_a_run()
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == (own, other)


def test_the_signature_names_every_feature_in_order(model: FittedModel) -> None:
    signature = signature_of(model)
    assert tuple(signature.inputs.input_names()) == model.names
    assert signature.outputs.input_names() == ["probability", "margin"]


def test_nothing_is_pickled(trained: TrainingResult, server: Server) -> None:
    files = [p for p in server.artifacts.rglob("*") if p.is_file()]
    assert {"booster-0.txt", "MLmodel"} <= {p.name for p in files}
    assert not [p.name for p in files if p.suffix in (".pkl", ".pickle") or p.read_bytes().startswith(b"\x80")]


def test_a_training_leaves_nothing_in_the_working_folder(
    town: ClaimsFolder, room: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    quick = spec(split={"folds": 2, "repeats": 1})
    train(quick, town, room, tracking_uri=f"sqlite:///{tmp_path}/t.db", artifacts=tmp_path / "artifacts")
    assert not os.listdir(work)
    assert "MLFLOW_DISABLE_TELEMETRY" in os.environ


def test_what_is_not_registered_is_named_with_its_neighbours(trained: TrainingResult, server: Server) -> None:
    with pytest.raises(NotKnownError, match='did you mean "provider_risk"'):
        load_model("provider_rsk", "champion", server.uri)
    with pytest.raises(NotKnownError, match=r"no version or alias 'winner'\. Aliases: .*champion \(version 1\)"):
        load_model("provider_risk", "winner", server.uri)
    with pytest.raises(NotKnownError, match="no version or alias '99'"):
        load_model("provider_risk", 99, server.uri)


def test_a_registered_model_of_another_catalogue_is_refused(
    trained: TrainingResult, server: Server, tmp_path: Path
) -> None:
    write_room(tmp_path)
    size = tmp_path / "provider" / "size.py"
    size.write_text(size.read_text("utf-8").replace("window.count()", "window.count() + 1"), "utf-8")
    with pytest.raises(CatalogueError, match=r"provider\.claims has changed"):
        load_model("provider_risk", "champion", server.uri, load_catalogue(tmp_path))


def test_progress_names_every_step(town: ClaimsFolder, room: Catalogue, server: Server) -> None:
    said: dict[str, float] = {}
    quick = spec(name="quick_risk", split={"folds": 2, "repeats": 1})
    result = train(quick, town, room, tracking_uri=server.uri, artifacts=server.artifacts, progress=said.__setitem__)
    steps = {"labels", "features of 300 providers", "cross-validation", "final fit", "calibration", "tracking"}
    assert set(said) == steps
    assert said["cross-validation"] in (0.5, 1.0)
    assert result.as_text().startswith(f"quick_risk version {result.version} is champion")
    assert "average precision" in result.as_text()
    assert json.loads(json.dumps(result.as_dict()))["counts"]["labelled"] == 280
    assert set(result.seconds) == {"features", "evaluation", "fit", "tracking"}


def test_the_report_says_the_same_in_both_languages(trained: TrainingResult, files: Path) -> None:
    pages = {
        locale: (files / name).read_text("utf-8") for locale, name in (("en", "report.md"), ("zh", "report.zh.md"))
    }
    sections = {locale: re.findall(r"^## (.+)$", page, re.M) for locale, page in pages.items()}
    assert len(sections["en"]) == len(sections["zh"]) > 8
    assert all(re.search(r"[\u4e00-\u9fff]", heading) for heading in sections["zh"])
    figures = {locale: re.findall(r"\d\.\d{3} ± \d\.\d{3}", page) for locale, page in pages.items()}
    assert figures["en"] == figures["zh"]
    assert "5个标签所涉的医疗机构在数据中没有结算单" in pages["zh"]
    page = (files / "report.zh.html").read_text("utf-8")
    assert 'lang="zh-CN"' in page
    assert "评分只说明值得核查" in page
    with pytest.raises(InputError, match="no text in 'fr'"):
        trained.report.to_html(locale="fr")
