"""The registered model as MLflow's users load it: by frame, in a server, and as a function of Spark."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud.errors import InputError
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.model import FittedModel
from fraud.learning.pyfunc import ScoringFunction
from fraud.learning.training import TrainingResult
from tests.learning.conftest import Server


@pytest.fixture(scope="module")
def frame(providers: Dataset) -> pd.DataFrame:
    return pd.DataFrame(providers.values, columns=list(providers.names), index=list(providers.ids))


@pytest.fixture(scope="module")
def scoring(model: FittedModel) -> ScoringFunction:
    return ScoringFunction(model)


def test_rows_keep_their_order_and_their_index_and_columns_are_taken_by_name(
    scoring: ScoringFunction, model: FittedModel, frame: pd.DataFrame, providers: Dataset
) -> None:
    turned = frame.iloc[::-1, ::-1]
    scored = scoring.predict(turned.assign(provider_name="not read"))
    assert list(scored.columns) == ["probability", "margin"]
    assert list(scored.index) == list(providers.ids)[::-1]
    np.testing.assert_array_equal(scored["margin"].to_numpy()[::-1], model.margins(providers.values))


def test_missing_features_are_all_named_at_once(scoring: ScoringFunction, frame: pd.DataFrame) -> None:
    less = frame.drop(columns=["provider.mean_stay", "provider.self_paid"]).rename(columns={"provider.claims": "x"})
    with pytest.raises(InputError, match=r"3 are missing: .*provider\.claims.*provider\.mean_stay.*fraud build"):
        scoring.predict(less)


def test_a_text_among_the_numbers_is_named_by_its_column(scoring: ScoringFunction, frame: pd.DataFrame) -> None:
    wrong = frame.astype({"provider.mean_stay": object})
    wrong.iloc[0, wrong.columns.get_loc("provider.mean_stay")] = "five"
    with pytest.raises(InputError, match=r"something else in 1 columns: provider\.mean_stay"):
        scoring.predict(wrong)


def test_what_is_not_known_may_be_none_or_nan_or_a_whole_number_with_gaps(
    scoring: ScoringFunction, frame: pd.DataFrame
) -> None:
    holes = frame.head(4).copy()
    holes["provider.mean_stay"] = [np.nan, 5.0, np.nan, 4.0]
    plain = scoring.predict(holes)
    for kind in (object, "Float64"):
        same = holes.astype({"provider.mean_stay": kind})
        pd.testing.assert_frame_equal(scoring.predict(same), plain)
    nothing = holes.astype(object).where(holes.notna(), None)
    pd.testing.assert_frame_equal(scoring.predict(nothing), plain)


def test_the_reasons_are_the_features_that_raise_the_margin_most(
    scoring: ScoringFunction, model: FittedModel, frame: pd.DataFrame, providers: Dataset
) -> None:
    scored = scoring.predict(frame, {"explain": "reasons", "reasons": 2})
    _, parts = model.contributions(providers.values)
    raising = np.where(parts > 0, parts, -1).argmax(axis=1)
    any_raises = (parts > 0).any(axis=1)
    expected = np.where(any_raises, np.array(model.names, dtype=object)[raising], None)
    assert scored["reason_1"].tolist() == expected.tolist()
    assert (scored["contribution_1"] >= scored["contribution_2"]).all()
    np.testing.assert_allclose(scored["contribution_1"], parts.max(axis=1).clip(0))
    assert "reason_3" not in scored
    assert "base" not in scored
    assert ((scored["low"] <= scored["probability"]) & (scored["probability"] <= scored["high"])).all()
    assert scored["percentile"].between(0, 100).all()


def test_a_feature_that_lowers_the_margin_is_no_reason(scoring: ScoringFunction, frame: pd.DataFrame) -> None:
    scored = scoring.predict(frame, {"explain": "reasons", "reasons": 50})
    told = scored.filter(like="contribution_")
    assert len(told.columns) == len(frame.columns), "no more reasons than features"
    for rank in range(1, len(frame.columns) + 1):
        empty = np.array([reason is None for reason in scored[f"reason_{rank}"]])
        np.testing.assert_array_equal(empty, told[f"contribution_{rank}"] == 0)
    assert scored["reason_6"].isna().any()


def test_base_and_all_contributions_are_the_margin(scoring: ScoringFunction, frame: pd.DataFrame) -> None:
    scored = scoring.predict(frame, {"explain": "full"})
    parts = scored[[f"contribution.{n}" for n in frame.columns]]
    np.testing.assert_allclose(scored["base"] + parts.sum(axis=1), scored["margin"], atol=1e-9)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"explain": "all"}, "explain = 'all'; expected one of none, reasons, full"),
        ({"explian": "full"}, "no parameter 'explian'; did you mean \"explain\""),
        ({"explain": "reasons", "reasons": 0}, "reasons = 0; expected a whole number from 1"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(
    scoring: ScoringFunction, frame: pd.DataFrame, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        scoring.predict(frame, params)


@pytest.fixture
def _registry(server: Server, trained: TrainingResult) -> Iterator[None]:
    """MLflow's own settings, as its users set them."""
    mlflow.set_tracking_uri(server.uri)
    mlflow.set_registry_uri(server.uri)
    yield
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.mark.usefixtures("_registry")
def test_mlflow_loads_it_by_alias_and_passes_parameters_on(trained: TrainingResult, frame: pd.DataFrame) -> None:
    registered = mlflow.pyfunc.load_model(f"models:/{trained.name}@champion")
    assert {p.name: p.default for p in registered.metadata.signature.params} == {"explain": "none", "reasons": 4}
    plain = registered.predict(frame)
    assert list(plain.columns) == ["probability", "margin"]
    explained = registered.predict(frame, params={"explain": "reasons", "reasons": 1})
    pd.testing.assert_series_equal(explained["margin"], plain["margin"])
    assert explained["reason_1"].dropna().isin(frame.columns).all()
    whole = frame.assign(**{"provider.claims": frame["provider.claims"].astype("int32")})
    pd.testing.assert_frame_equal(registered.predict(whole), plain)
    with pytest.raises(mlflow.exceptions.MlflowException, match="provider.mean_stay"):
        registered.predict(frame.drop(columns="provider.mean_stay"))


@pytest.mark.full
@pytest.mark.usefixtures("_registry")
def test_mlflow_serves_it(trained: TrainingResult, server: Server, frame: pd.DataFrame, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{trained.name}@champion"]
    serve += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": server.uri, "PYTHONWARNINGS": "ignore"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    log = tmp_path / "serve.log"
    with (
        log.open("w") as out,
        subprocess.Popen(serve, env=environment, stdout=out, stderr=out, start_new_session=True) as p,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, p, log)
            scored = _ask(address, frame.head(5), {"explain": "reasons", "reasons": 1})
        finally:
            os.killpg(p.pid, 15)
    expected = mlflow.pyfunc.load_model(f"models:/{trained.name}@champion").predict(frame.head(5))
    np.testing.assert_allclose([r["margin"] for r in scored], expected["margin"])
    assert {r["reason_1"] for r in scored} <= {*frame.columns, None}


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, log.read_text("utf-8")[-2000:]
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    pytest.fail(log.read_text("utf-8")[-2000:])


def _ask(address: str, rows: pd.DataFrame, params: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"dataframe_split": rows.reset_index(drop=True).to_dict(orient="split"), "params": params}
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        predictions: list[dict[str, Any]] = json.load(answer)["predictions"]
    return predictions


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_registry")
def test_it_scores_as_a_function_of_spark(
    trained: TrainingResult, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("java"):
        pytest.skip("Spark needs Java, which is not here")
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import col, struct

    # Spark starts its workers with the python of the path, which need not be this one.
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        monkeypatch.setenv(name, sys.executable)
    rows = frame.reset_index(names="provider_id")
    source = tmp_path / "providers.parquet"
    rows.to_parquet(source)
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.warehouse.dir", str(tmp_path)).getOrCreate()
    try:
        score = mlflow.pyfunc.spark_udf(spark, f"models:/{trained.name}@champion", env_manager="local")
        features = struct(*[col(f"`{n}`").alias(n) for n in frame.columns])
        table = spark.read.parquet(str(source)).select("provider_id", score(features).alias("scored"))
        found = {r.provider_id: (r.scored.probability, r.scored.margin) for r in table.collect()}
    finally:
        spark.stop()
    expected = mlflow.pyfunc.load_model(f"models:/{trained.name}@champion").predict(frame)
    np.testing.assert_allclose([found[i][0] for i in frame.index], expected["probability"])
    np.testing.assert_allclose([found[i][1] for i in frame.index], expected["margin"])
