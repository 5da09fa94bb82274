"""Model specs: every fault at once, each with what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.errors import SpecError
from fraud.learning import load_spec
from fraud.learning.spec import ModelSpec, parse_spec
from tests.learning.town import PROVIDER_SPEC, spec

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["provider_risk", "claim_risk", "patient_risk", "physician_risk"])
def test_the_shipped_specs_load_and_are_named_like_their_files(name: str) -> None:
    found = load_spec(ROOT / "models" / f"{name}.toml")
    assert found.name == name
    assert found.parameters.max_depth <= 6
    assert found.parameters.bags * found.parameters.rounds <= 400, "a request pays for every tree"
    assert found.split.folds >= 5
    assert found.split.repeats >= 3


def test_there_is_a_model_of_every_kind_with_a_title_in_both_languages() -> None:
    found = [load_spec(p) for p in sorted((ROOT / "models").glob("*_risk.toml"))]
    assert {s.entity for s in found} == {"claim", "patient", "provider", "physician"}
    assert all({"en", "zh"} <= set(s.title) for s in found)
    assert all(s.gates and s.leak_alarm for s in found)


def test_a_treatment_that_does_not_exist_is_refused_with_the_nearest() -> None:
    label = {**PROVIDER_SPEC["label"], "unlabelled": "weigted", "maturity_days": -1}
    with pytest.raises(SpecError) as error:
        spec(label=label)
    faults = {f.where: f.detail for f in error.value.faults}
    assert 'did you mean "weighted"' in faults["/label/unlabelled"]
    assert "from 0 to 3660" in faults["/label/maturity_days"]


def test_the_provider_spec_keeps_the_leak_alarm_of_the_public_medicare_labels() -> None:
    alarm = load_spec(ROOT / "models/provider_risk.toml").leak_alarm
    assert (alarm["roc_auc"], alarm["average_precision"]) == (0.965, 0.82)


def test_a_spec_survives_being_written_and_read() -> None:
    first = spec(exclude=["*.peer_z"], cleared=[{"metric": "roc_auc", "up_to": 0.995, "because": "a b c d e f g h"}])
    assert parse_spec(first.as_dict()) == first


def test_all_faults_of_a_spec_are_named_at_once() -> None:
    wrong = {
        **PROVIDER_SPEC,
        "entity": "provder",
        "windowdays": 3,
        "seed": "x",
        "parameters": {"max_depth": 12, "rounds": True, "learning_rte": 0.1},
        "label": {"positive": ["confirmed_frod"], "negative": ["false_positive"]},
    }
    del wrong["window_days"]
    with pytest.raises(SpecError) as error:
        parse_spec(wrong, where="wrong.toml")
    faults = {f.where: f.detail for f in error.value.faults}
    assert set(faults) == {
        "/entity",
        "/windowdays",
        "/window_days",
        "/seed",
        "/parameters/max_depth",
        "/parameters/rounds",
        "/parameters/learning_rte",
        "/label/positive",
    }
    assert 'did you mean "provider"' in faults["/entity"]
    assert 'did you mean "window_days"' in faults["/windowdays"]
    assert 'did you mean "confirmed_fraud"' in faults["/label/positive"]
    assert "from 1 to 6" in faults["/parameters/max_depth"]
    assert error.value.message.startswith("wrong.toml has 8 faults")
    assert len(error.value.message) <= 500


def test_settings_that_contradict_each_other_are_named_at_once() -> None:
    with pytest.raises(SpecError) as error:
        spec(
            label={"positive": ["pending", "appeal_upheld", "waste"], "negative": ["waste"]},
            split={"group": "patient_id"},
            gates=[{"metric": "averge_precision", "op": "=", "value": "baseline.logistik.roc_auc"}],
            leak_alarm={"roc": 0.9},
            cleared=[{"metric": "brier", "up_to": 1.0, "because": "it is fine"}],
        )
    codes = sorted(f.code for f in error.value.faults)
    assert codes == [
        "appeal", "both", "metric", "metric", "metric", "metric", "reason", "undecided", "value", "value",
    ]  # fmt: skip
    assert any("average_precision" in f.detail for f in error.value.faults)


def test_a_spec_that_is_not_there_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "provider_risk.toml").write_text("", "utf-8")
    with pytest.raises(SpecError, match='did you mean "provider_risk"'):
        load_spec(tmp_path / "provider_rsk.toml")


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = [", "utf-8")
    with pytest.raises(SpecError, match=r"broken\.toml: not a TOML file"):
        load_spec(tmp_path / "broken.toml")


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*PROVIDER_SPEC, "exclude", "title", "cleared"]), _PLAIN)
def test_any_value_in_any_setting_gives_a_spec_or_a_spec_error(setting: str, value: object) -> None:
    found: ModelSpec | SpecError
    try:
        found = parse_spec({**PROVIDER_SPEC, setting: value})
    except SpecError as error:
        found = error
    assert found.faults if isinstance(found, SpecError) else found.name
