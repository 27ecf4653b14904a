"""What is deployed fits together: image, compose file, metrics, dashboard, alerts. No engine is needed here."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from journey_stream.kafka.metrics import Metrics
from journey_stream.settings_read import load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/journeys.json").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))


def instructions(text: str = DOCKERFILE) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def dockerfile_findings(text: str) -> str:
    """What hadolint says of a Dockerfile, nothing if it is content."""
    command = [str(Path(sys.executable).with_name("hadolint")), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout


def test_the_dockerfile_has_no_findings():
    assert dockerfile_findings(DOCKERFILE) == ""
    assert ("USER", "10001") in instructions()


@pytest.mark.parametrize(
    ("mistake", "rule"),
    [
        (("USER 10001", "USER root"), "DL3002"),
        (("FROM python:3.13-slim-bookworm", "FROM python:latest"), "DL3007"),
        (('ENTRYPOINT ["journey-stream"]', "ENTRYPOINT journey-stream"), "DL3025"),
        (("--from=build", "--from=bild"), "DL3022"),
    ],
)
def test_a_mistake_in_the_dockerfile_is_found(mistake: tuple[str, str], rule: str):
    assert mistake[0] in DOCKERFILE
    assert rule in dockerfile_findings(DOCKERFILE.replace(*mistake))


def test_everything_the_image_copies_is_there_and_not_ignored():
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    }
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source in allowed, f"{source} is ignored by .dockerignore"


def test_the_image_is_installed_by_the_same_step_as_the_tests():
    runs = [rest for word, rest in instructions() if word == "RUN"]
    assert "deploy/install /app/bin/python deploy/requirements.lock" in runs
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "deploy/install $(CURDIR)/$(BIN)/python requirements.lock editable" in makefile


def test_the_image_gets_the_compiled_core_and_nothing_that_built_it():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    (built,) = [stage for stage in stages if "maturin build" in stage]
    assert re.match(r"\S+ AS core\n", built)
    assert "--require-hashes --requirement deploy/native.lock" in built
    (installed,) = [stage for stage in stages if "COPY --from=core" in stage]
    assert "--no-index --find-links /wheels journey-stream-native" in installed
    assert "native/target" in (ROOT / ".dockerignore").read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("cargo", "step"), [("cargo", "--force-reinstall ./native"), ("", "the worker runs in pure Python")]
)
def test_setup_builds_the_compiled_core_where_cargo_is_and_does_without_elsewhere(cargo: str, step: str):
    command = ["make", "--dry-run", "--always-make", "test", f"CARGO={cargo}"]
    steps = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert steps.index("deploy/install") < steps.index(step) < steps.index("-m pytest")
    assert ("./native" in steps) == bool(cargo)


def pins(path: str) -> dict[str, str]:
    return dict(
        re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    )


def test_the_image_gets_the_very_versions_that_are_tested():
    image, tested = pins("deploy/requirements.lock"), pins("requirements.lock")
    assert image.items() <= tested.items()
    assert {"maturin"} == pins("deploy/native.lock").keys() - image.keys()
    assert pins("deploy/native.lock").items() <= tested.items()
    assert "faust-streaming" in image
    assert "pytest" not in image


@pytest.mark.parametrize("lock", ["requirements.lock", "deploy/requirements.lock", "deploy/native.lock"])
def test_lock_files_name_versions_and_hashes_and_no_address(lock: str):
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[A-Za-z0-9_.-]+==", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_compose_file_is_one():
    """With a docker that has compose, docker judges; else the rules of the compose specification that we use."""
    docker = shutil.which("docker")
    if (
        docker
        and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0
    ):
        command = [docker, "compose", "-f", str(ROOT / "docker-compose.yml"), "config", "--quiet"]
        judged = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (0, "") == (judged.returncode, judged.stderr)
    assert [] == compose_findings(COMPOSE)


_SERVICE = set(
    "image build environment depends_on restart stop_grace_period read_only tmpfs cap_drop security_opt ports "
    "volumes healthcheck command hostname".split()
)


def compose_findings(made: dict) -> list[str]:
    found = [
        f"unknown key {key}" for key in made if key not in {"name", "services", "volumes"} and key[:2] != "x-"
    ]
    services = made["services"]
    for name, service in services.items():
        found += [f"{name}: unknown key {key}" for key in service if key not in _SERVICE]
        if not {"image", "build"} & set(service):
            found.append(f"{name}: neither image nor build")
        image = service.get("image", "")
        if not service.get("build") and (":" not in image or image.endswith(":latest")):
            found.append(f"{name}: image without a version")
        if (
            "build" in service
            and not (ROOT / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        ):
            found.append(f"{name}: no such Dockerfile")
        wanted = service.get("depends_on", {})
        for other in wanted:
            if other not in services:
                found.append(f"{name}: depends on unknown {other}")
                continue
            healthy = isinstance(wanted, dict) and wanted[other]["condition"] == "service_healthy"
            if healthy and "test" not in services[other].get("healthcheck", {}):
                found.append(f"{name}: waits for the health of {other}, which has no check")
        for value in service.get("environment", {}).values():
            if not isinstance(value, str):
                found.append(f"{name}: environment value {value!r} is not text")
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                if not (ROOT / source).exists():
                    found.append(f"{name}: {source} is not there")
            elif source not in made["volumes"]:
                found.append(f"{name}: volume {source} is not declared")
        for port in service.get("ports", ()):
            if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port):
                found.append(f"{name}: port {port} is open to the world or wrong")
    return found


@pytest.mark.parametrize(
    ("path", "value", "finding"),
    [
        (("services", "kafka", "imagee"), "x", "unknown key imagee"),
        (("services", "grafana", "depends_on"), ["nobody"], "unknown nobody"),
        (("services", "kafka", "image"), "apache/kafka", "without a version"),
        (("services", "kafka", "healthcheck"), {}, "has no check"),
        (("services", "prometheus", "volumes"), ["./no/such:/x"], "is not there"),
        (("services", "prometheus", "ports"), ["9090:9090"], "open to the world"),
    ],
)
def test_the_compose_rules_find_what_they_are_for(path: tuple[str, ...], value: object, finding: str):
    broken = json.loads(json.dumps(COMPOSE))
    place = broken
    for word in path[:-1]:
        place = place[word]
    place[path[-1]] = value
    assert any(finding in line for line in compose_findings(broken))


def test_two_workers_share_one_deployment_and_its_settings_are_known():
    workers = [COMPOSE["services"][name] for name in ("worker-1", "worker-2")]
    assert workers[0]["environment"] == workers[1]["environment"]
    made = load_settings(None, workers[0]["environment"])
    assert made.bootstrap_servers == "kafka:29092"


def test_prometheus_scrapes_every_worker_on_the_port_they_listen_on():
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    assert [f"{name}:6066" for name in COMPOSE["services"] if name.startswith("worker-")] == targets
    assert load_settings().web.port == 6066
    assert "EXPOSE 6066" in DOCKERFILE


def exported() -> dict[str, set[str]]:
    """Names that the worker exports, as Prometheus sees them, with their labels."""
    found: dict[str, set[str]] = {}
    metrics = Metrics()
    for collector in list(metrics.registry._collector_to_names):
        labels = set(collector._labelnames)  # type: ignore[attr-defined]
        for name in metrics.registry._collector_to_names[collector]:
            found[name] = labels
    return found


_WORDS = set(
    "sum max min by le rate increase deriv histogram_quantile sort_desc label_values and or on ignoring up job "
    "instance journey stage".split()
)


def queries() -> list[str]:
    found = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    found += [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    found += [each["query"]["query"] for each in DASHBOARD["templating"]["list"]]
    return found


@pytest.mark.parametrize("query", queries())
def test_every_query_asks_for_metrics_and_labels_that_the_worker_exports(query: str):
    assert query.count("(") == query.count(")")
    known = exported()
    names = re.findall(r"\bjourney_stream_\w+", query)
    assert names or 'up{job="journey-stream"}' in query
    labels: set[str] = {"le", "instance", "job"}
    for name in names:
        assert name in known or name.removesuffix("_bucket") + "_bucket" in known, name
        labels |= known.get(name, set())
        labels |= known.get(name.removesuffix("_bucket"), set())
    for group in re.findall(r"\bby \(([^)]*)\)", query):
        assert {word.strip() for word in group.split(",")} <= labels, query
    for matcher in re.findall(r"\{([^}]*)\}", query):
        assert {part.split("=")[0].rstrip("!~") for part in matcher.split(",")} <= labels, query


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert rule["annotations"].keys() == {"summary", "action"}
            assert f"## {rule['alert']}" in (ROOT / "docs/operations.md").read_text("utf-8")


def test_the_dashboard_finds_its_source_and_no_panel_covers_another():
    source = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8")
    )
    uid = source["datasources"][0]["uid"]
    assert {uid} == {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if panel["type"] != "row"}
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    provider = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/dashboards/journeys.yml").read_text("utf-8")
    )
    folder = provider["providers"][0]["options"]["path"]
    assert any(volume.split(":")[1] == folder for volume in COMPOSE["services"]["grafana"]["volumes"])
