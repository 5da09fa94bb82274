"""Dashboard, alerts and runbook: every expression names a figure that the service exposes."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from fraud.web.telemetry import metrics
from fraud.web.telemetry.exposition import exposition

ROOT = Path(__file__).resolve().parents[2]
SERVING = ROOT / "serving"
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((SERVING / "alerts.yml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((SERVING / "grafana/fraud.json").read_text("utf-8"))
# What PromQL itself knows, in the expressions of this folder.
WORDS = frozenset(
    ("sum", "min", "max", "by", "rate", "increase", "histogram_quantile", "ignoring", "group_left")
    + ("on", "and", "or", "offset", "topk")
)
# Given by Prometheus.
GIVEN = {"up": {"job", "instance"}}


def expressions() -> Iterator[tuple[str, str]]:
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


EXPRESSIONS = list(expressions())


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every sample that the service can expose, with the labels that it can have."""
    found: dict[str, set[str]] = {}
    for name in metrics.__all__:
        made = getattr(metrics, name)()
        labels = set(made._labelnames)
        for suffix in {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(made._type, [""]):
            found[made._name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    text = exposition(tmp_path_factory.mktemp("var")).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_all_figures_are_made_in_one_place_and_named_by_the_conventions_of_prometheus() -> None:
    made = {name for name, value in inspect.getmembers(metrics) if hasattr(value, "cache_info")}
    assert made == set(metrics.__all__)
    for name in metrics.__all__:
        metric = getattr(metrics, name)()
        assert metric in REGISTRY._collector_to_names
        assert re.fullmatch(r"fraud_[a-z_]+", metric._name)
        assert metric._documentation


@pytest.mark.parametrize(("place", "expression"), EXPRESSIONS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(EXPRESSIONS)])
def test_every_expression_names_figures_and_labels_that_there_are(
    place: str, expression: str, exposed: dict[str, set[str]]
) -> None:
    assert all(expression.count(a) == expression.count(b) for a, b in ("()", "[]", "{}"))
    known = exposed | GIVEN
    for name, selector in re.findall(r"([a-z_:][a-z0-9_:]*)\{([^}]*)\}", expression):
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        assert asked <= known[name] | {"job", "instance"}, (place, name, asked)
    grouped = {
        label for inner in re.findall(r"(?:by|ignoring) \(?\(([^)]*)\)", expression) for label in inner.split(", ")
    }
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|(?:by|ignoring) ?\([^)]*\)|offset \w+|\d\w*", " ", expression)
    names = set(re.findall(r"[a-z_][a-z0-9_]*", bare)) - WORDS
    assert names
    assert names <= set(known), (place, names - set(known))
    assert grouped <= set().union({"instance"}, *(known[n] for n in names)), (place, grouped)


def test_label_values_in_expressions_are_ones_that_the_service_uses() -> None:
    from fraud.web.app import CALLS
    from fraud.web.bodies.problems import PROBLEMS

    values = {
        "call": {name for _, _, name, _ in CALLS},
        "problem": set(PROBLEMS),
        "action": {"pass", "review", "hold"},
        "became": {"scored", "left out", "failed"},
        "outcome": {"clear", "warned", "refused", "open"},
        "entity": {"claim", "provider", "patient", "physician"},
    }
    for place, expression in EXPRESSIONS:
        for label, said in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', expression):
            if label in values:
                assert set(said.split("|")) <= values[label], (place, label, said)


def test_every_figure_of_ours_is_on_the_dashboard(exposed: dict[str, set[str]]) -> None:
    shown = " ".join(expression for _, expression in EXPRESSIONS)
    families = {re.sub(r"_(bucket|sum|count|created)$", "", n) for n in exposed if n.startswith("fraud_")}
    assert {f for f in families if f not in shown} <= {"fraud_build_info", "fraud_models_failed"}


def test_every_alert_says_how_bad_it_is_and_has_a_place_in_the_runbook() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text("utf-8")
    headings = {h.lower() for h in re.findall(r"^### (\w+)$", runbook, re.MULTILINE)}
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"].endswith(".")
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / path).is_file()
        assert anchor == rule["alert"].lower()
        text = runbook.partition(f"### {rule['alert']}\n")[2].partition("\n###")[0]
        assert f"({rule['labels']['severity']})" in text
    assert headings == {rule["alert"].lower() for rule in ALERTS}


def test_panels_of_the_dashboard_do_not_overlap_and_have_units_and_ids() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["fieldConfig"]["defaults"]["unit"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
