"""Containers and manifests: what can be checked of them without running any."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from typer.main import get_command

from fraud.cli import app
from tests.store.servers import Server

ROOT = Path(__file__).resolve().parents[2]
SERVING = ROOT / "serving"
RECIPE = (SERVING / "Containerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((SERVING / "compose.yaml").read_text("utf-8"))
RESOURCES: list[str] = yaml.safe_load((SERVING / "k8s/kustomization.yaml").read_text("utf-8"))["resources"]
MANIFESTS: list[dict[str, Any]] = [
    made for name in RESOURCES for made in yaml.safe_load_all((SERVING / "k8s" / name).read_text("utf-8"))
]
FRAUD = get_command(app)
SERVED = {"/livez", "/readyz", "/metrics"}


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [m for m in MANIFESTS if m["kind"] == kind]


DEPLOYMENT = of_kind("Deployment")[0]
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]
PODS = [POD, *(m["spec"]["jobTemplate"]["spec"]["template"] for m in of_kind("CronJob"))]


@pytest.fixture(scope="module")
def variables() -> set[str]:
    """Variables of the environment that the program reads."""
    return {
        v for path in (ROOT / "src").rglob("*.py") for v in re.findall(r'"(FRAUD_[A-Z_]+)"', path.read_text("utf-8"))
    }


def check_command(arguments: list[str]) -> None:
    """Fail unless `fraud` takes these arguments: each command and each option is one that there is."""
    command: Any = FRAUD
    rest = list(arguments)
    while rest and hasattr(command, "commands"):
        word = rest.pop(0)
        assert word in command.commands, f"fraud has no command {word}: {arguments}"
        command = command.commands[word]
    options = {name: p for p in command.params for name in p.opts}
    given = [w.partition("=")[0] for w in rest if w.startswith("--")]
    assert set(given) <= {*options, "--help"}, f"{arguments}: {set(given) - set(options)}"
    if "--help" in given:
        return
    needed = {p.name for p in command.params if p.required and p.param_type_name == "option"}
    assert needed <= {options[g].name for g in given if g in options}, f"{arguments} lacks {needed}"


# --- the image --------------------------------------------------------------------------------------------


def test_the_image_runs_commands_that_there_are_as_nobody_and_asks_livez() -> None:
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", RECIPE, re.MULTILINE)[1]) == ["fraud"]  # type: ignore[index]
    check_command(json.loads(re.search(r"^CMD (\[\"serve.*)$", RECIPE, re.MULTILINE)[1]))  # type: ignore[index]
    last = RECIPE.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert last.index("USER 10001") > last.index("RUN ")
    assert "HEALTHCHECK" in last
    assert "/livez" in last


def test_the_image_is_pinned_by_the_lock_and_names_no_index() -> None:
    assert not re.search(r"index-url|trusted-host|https?://(?!127\.0\.0\.1)", RECIPE)
    assert re.search(r"^ARG PYTHON=\S+:3\.1[123]\.\d+-slim-\w+$", RECIPE, re.MULTILINE)
    assert all(line.split()[1] == "${PYTHON}" for line in RECIPE.splitlines() if line.startswith("FROM "))
    for install in re.findall(r"pip install .*", RECIPE):
        assert "--require-hashes" in install or "--no-index" in install


def test_what_the_image_copies_is_there_and_in_its_context() -> None:
    ignored = (SERVING / "Containerfile.dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.*)$", RECIPE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source == "." or source.split("/")[0] in let_in, source
    assert ignored[1] == "*"
    assert "serving/*.env" in ignored


def test_the_part_of_the_lock_that_is_asked_for_comes_with_its_hashes() -> None:
    def run(*names: str, given: str = "") -> subprocess.CompletedProcess[str]:
        line = [sys.executable, str(SERVING / "pins.py"), *names]
        return subprocess.run(line, input=given, capture_output=True, text=True)

    lock = (ROOT / "requirements.lock").read_text("utf-8")
    found = run("uv", "SQLAlchemy").stdout
    assert [line.split("==")[0] for line in found.splitlines() if re.match(r"\w", line)] == ["sqlalchemy", "uv"]
    assert found.count("--hash=sha256:") > 10
    assert all(line in lock.splitlines() for line in found.splitlines())
    piped = run(given="uv==0.1.0\n# a comment\nsqlalchemy==2.0.0 ; python_version > '3'\n").stdout
    assert piped == found
    assert run().returncode == 1
    missing = run("no-such-package")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "does not hold: no-such-package" in missing.stderr


def test_the_bento_includes_what_is_there() -> None:
    bento = yaml.safe_load((SERVING / "bentofile.yaml").read_text("utf-8"))
    # Anchored: without the stroke a folder of the same name anywhere would come along, data and all.
    assert all(path.startswith("/") for path in bento["include"])
    assert all((ROOT / path.strip("/*")).exists() for path in bento["include"])
    assert "**/*.env" in bento["exclude"]


# --- compose ----------------------------------------------------------------------------------------------


def test_no_password_has_a_default_and_the_example_lists_every_secret_empty() -> None:
    text = (SERVING / "compose.yaml").read_text("utf-8")
    asked = re.findall(r"\$\{(\w+)(:\?)?", text)
    assert asked
    assert all(sign == ":?" for _, sign in asked)
    example = (SERVING / "secrets.env.example").read_text("utf-8")
    listed = dict(line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#"))
    assert set(listed) == {name for name, _ in asked}
    assert set(listed.values()) == {""}


def test_services_of_compose_are_pinned_hardened_and_open_to_this_machine_only() -> None:
    assert set(COMPOSE["services"]) == {"service", "database", "mlflow", "prometheus", "grafana"}
    for name, service in COMPOSE["services"].items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", [])) <= set(COMPOSE["services"])
    assert "ports" not in COMPOSE["services"]["database"]


def test_compose_mounts_files_that_are_there_and_volumes_that_it_declares() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] if source[0] != "." else (SERVING / source).exists(), source


def test_compose_starts_commands_and_sets_variables_that_there_are(variables: set[str]) -> None:
    service = COMPOSE["services"]["service"]
    check_command(service["command"])
    assert set(service["environment"]) <= variables
    host = service["environment"]["FRAUD_DATABASE_URL"].partition("@")[2]
    assert host == "database:5432/fraud"
    assert service["environment"]["FRAUD_TRACKING_URI"] == "http://mlflow:5000"
    arguments = COMPOSE["services"]["mlflow"]["command"]
    # Read, not asked: its command line takes six seconds to say what it takes.
    found = find_spec("mlflow")
    assert found is not None
    sources = [Path(str(found.origin)).parent / name for name in ("cli/__init__.py", "utils/cli_args.py")]
    text = "".join(path.read_text("utf-8") for path in sources)
    assert all(f'"{a.partition("=")[0]}"' in text for a in arguments[1:])


def test_mlflow_has_a_role_and_a_database_of_its_own_on_the_same_server(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = sa.make_url(COMPOSE["services"]["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"])
    assert (where.drivername, where.username, where.host, where.database) == (
        "postgresql+pg8000", "mlflow", "database", "mlflow"
    )  # fmt: skip
    mounted = [v for v in COMPOSE["services"]["database"]["volumes"] if v.startswith("./mlflow.sql:")]
    assert mounted == ["./mlflow.sql:/docker-entrypoint-initdb.d/mlflow.sql:ro"]
    first = postgres.new_database()
    monkeypatch.setenv("MLFLOW_PASSWORD", "it's a 'password'")
    try:
        postgres.psql(first, SERVING / "mlflow.sql")
        own = sa.make_url(first).set(username="mlflow", password="it's a 'password'", database="mlflow")
        assert postgres.run("SELECT current_user", own.render_as_string(hide_password=False)) == [("mlflow",)]
        assert postgres.run("SELECT has_database_privilege('mlflow', current_database(), 'CONNECT')", first) == [
            (False,)
        ]
    finally:
        postgres.run("DROP DATABASE IF EXISTS mlflow WITH (FORCE)")
        postgres.run("DROP ROLE IF EXISTS mlflow")
        postgres.drop(first)


def test_prometheus_scrapes_the_service_and_reads_the_alerts_and_grafana_reads_prometheus() -> None:
    prometheus = yaml.safe_load((SERVING / "prometheus.yml").read_text("utf-8"))
    (job,) = prometheus["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("fraud", "/metrics")
    assert job["static_configs"][0]["targets"] == ["service:3000"]
    mounts = dict(v.split(":")[:2] for v in COMPOSE["services"]["prometheus"]["volumes"])
    assert prometheus["rule_files"] == [mounts["./alerts.yml"]]
    source = yaml.safe_load((SERVING / "grafana/provisioning/datasources/prometheus.yaml").read_text("utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    provider = yaml.safe_load((SERVING / "grafana/provisioning/dashboards/fraud.yaml").read_text("utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    mounts = dict(v.split(":")[:2] for v in COMPOSE["services"]["grafana"]["volumes"])
    assert mounts["./grafana/fraud.json"].startswith(folder)


# --- kubernetes -------------------------------------------------------------------------------------------


def test_every_manifest_is_listed_and_each_object_has_one_name() -> None:
    files = {p.name for p in (SERVING / "k8s").glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(RESOURCES)
    names = [(m["kind"], m["metadata"]["name"]) for m in MANIFESTS]
    assert len(names) == len(set(names))
    kinds = {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", "ConfigMap"}
    assert kinds <= {kind for kind, _ in names}


def test_selectors_find_the_pods_of_the_service_and_only_those() -> None:
    labels = POD["metadata"]["labels"]
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        of_kind("Service")[0]["spec"]["selector"],
        of_kind("PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"],
        POD["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    others = [pod["metadata"]["labels"] for pod in PODS[1:]]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any(selector.items() <= other.items() for other in others)
    # What may go out is bounded for all of them.
    (policy,) = of_kind("NetworkPolicy")
    assert all(policy["spec"]["podSelector"]["matchLabels"].items() <= p["metadata"]["labels"].items() for p in PODS)
    target = of_kind("HorizontalPodAutoscaler")[0]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", DEPLOYMENT["metadata"]["name"])


def test_ports_and_probes_lead_to_what_is_served() -> None:
    (container,) = POD["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert str(ports["http"]) == container["args"][container["args"].index("--port") + 1]
    assert of_kind("Service")[0]["spec"]["ports"][0]["targetPort"] in ports
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in SERVED
        assert asked["port"] in ports
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    # A database that is away must not end processes that would be there again with it.
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    notes = POD["metadata"]["annotations"]
    assert (notes["prometheus.io/port"], notes["prometheus.io/path"]) == (str(ports["http"]), "/metrics")
    assert of_kind("NetworkPolicy")[0]["spec"]["ingress"][0]["ports"][0]["port"] in ports


def test_pods_run_commands_that_there_are_with_variables_that_are_read(variables: set[str]) -> None:
    (config,) = of_kind("ConfigMap")
    assert set(config["data"]) <= variables
    for pod in PODS:
        (container,) = pod["spec"]["containers"]
        check_command(container["args"])
        sources = {name: ref["name"] for entry in container["envFrom"] for name, ref in entry.items()}
        assert sources == {"configMapRef": config["metadata"]["name"], "secretRef": "fraud"}
        mounted = {m["mountPath"] for m in container["volumeMounts"]}
        assert config["data"]["FRAUD_VAR"] in mounted
        assert str(Path(config["data"]["FRAUD_DATA_KEY_FILE"]).parent) in mounted
        assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["spec"]["volumes"]}
    assert f"FRAUD_HOME={config['data']['FRAUD_HOME']}" in RECIPE
    assert f"FRAUD_VAR={config['data']['FRAUD_VAR']}" in RECIPE


def test_pods_are_nobody_write_nowhere_and_are_bounded() -> None:
    for pod in PODS:
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert f"USER {pod['spec']['securityContext']['runAsUser']}" in RECIPE
        assert not pod["spec"]["automountServiceAccountToken"]
        (container,) = pod["spec"]["containers"]
        own = container["securityContext"]
        assert (own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]) == (True, False)
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        assert re.search(r":\d+\.\d+\.\d+$", container["image"])


def test_a_pod_is_given_time_for_its_longest_request_and_a_budget_keeps_one() -> None:
    from fraud.web.app import SECONDS

    stop = POD["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert POD["spec"]["terminationGracePeriodSeconds"] > max(SECONDS.values()) + float(stop[1])
    least = of_kind("HorizontalPodAutoscaler")[0]["spec"]["minReplicas"]
    assert of_kind("PodDisruptionBudget")[0]["spec"]["minAvailable"] < least <= DEPLOYMENT["spec"]["replicas"]


def test_no_manifest_makes_a_secret() -> None:
    assert not of_kind("Secret")


# --- the runbook ------------------------------------------------------------------------------------------


def command_lines(text: str) -> Iterator[list[str]]:
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.strip():
                yield shlex.split(line, comments=True)


def our_commands(text: str) -> Iterator[list[str]]:
    """What is given to `fraud`: by itself, within a pod, or in a container whose entry point it is."""
    for words in command_lines(text):
        if words[:1] == ["fraud"]:
            yield words[1:]
        elif "--" in words:
            yield words[words.index("--") + 2 :]
        elif "run" in words and "service" in words:
            yield words[words.index("service") + 1 :]


def test_every_command_of_the_runbook_is_one_that_there_is() -> None:
    text = (ROOT / "docs/runbook.md").read_text("utf-8")
    found = list(our_commands(text))
    assert len(found) > 20
    for arguments in found:
        check_command(arguments)
    # Within a sentence a command may be named without all that it needs.
    for named in re.findall(r"`fraud ([a-z][^`]*)`", text):
        check_command([*shlex.split(named), "--help"])


def test_files_and_addresses_that_the_runbook_names_are_there() -> None:
    from fraud.web.app import CALLS

    text = (ROOT / "docs/runbook.md").read_text("utf-8")
    for words in command_lines(text):
        for word in words:
            if word.startswith("serving/"):
                assert (ROOT / word).exists(), word
    for address in re.findall(r"localhost:3000(/\w+)", text):
        assert address in SERVED
    for method, path in re.findall(r"`(GET|POST) (/v1/[^`]*)`", text):
        assert (path, method) in [(p, m) for p, m, _, _ in CALLS]
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link
    panels = {p["title"] for p in json.loads((SERVING / "grafana/fraud.json").read_text("utf-8"))["panels"]}
    assert set(re.findall(r'panel "([^"]+)"', text)) <= panels
