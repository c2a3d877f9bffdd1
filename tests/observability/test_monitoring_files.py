"""Alerts, dashboard, runbook and reference name metrics that exist."""

import json
import re
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any, Final

import pytest
import yaml

import observability.metrics
from models.domain.types import JobType
from observability.instruments import Histogram, Instrument
from tests.support.paths import REPOSITORY
from workers.queue.messages import Queue

MONITORING: Final = REPOSITORY / "monitoring"
RULES: Final[list[dict[str, Any]]] = yaml.safe_load((MONITORING / "alerts.yml").read_text())[
    "groups"
][0]["rules"]
OPERATIONS: Final = (REPOSITORY / "docs/operations.md").read_text()
DASHBOARD: Final[dict[str, Any]] = json.loads(
    (MONITORING / "grafana/dashboards/marketlens.json").read_text()
)
QUERIES: Final = {
    **{f"alert {rule['alert']}": str(rule["expr"]) for rule in RULES},
    **{
        f"panel {panel['title']}: {target['refId']}": str(target["expr"])
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    },
}
"""The queries of alerts and of the dashboard, by what they are for."""

OF_PROMETHEUS: Final = {"instance", "job", "le"}
KNOWN: Final = {
    "type": {str(kind) for kind in JobType},
    "queue": {*(str(queue) for queue in Queue), "relay"},
}

assert observability.metrics  # states all of them


def exposed() -> dict[str, set[str]]:
    """The names that Prometheus stores, and their labels."""
    names: dict[str, set[str]] = {}
    for one in Instrument.stated.values():
        labels = {*one.labels, *OF_PROMETHEUS}
        if isinstance(one, Histogram):
            names |= {f"{one.name}{part}": labels for part in ("_bucket", "_sum", "_count")}
        else:
            names[one.exposed_name] = labels
    return names


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_queries_name_metrics_and_labels_that_exist(query: str) -> None:
    names = exposed()
    used = re.findall(r"\b(marketlens_\w+)(?:\{([^}]*)\})?", query)
    assert used or query.startswith("up{")
    labels: set[str] = set()
    for name, selector in used:
        assert name in names
        labels |= names[name]
        for label, value in re.findall(r'(\w+)\s*(?:=~|!=|=)\s*"([^"]*)"', selector):
            assert label in names[name]
            if label in KNOWN:
                assert set(value.split("|")) <= KNOWN[label]
    for grouped in re.findall(r"\bby \(([^)]*)\)", query):
        assert {label.strip() for label in grouped.split(",")} <= labels


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_counts_are_read_as_rates(query: str) -> None:
    """A count itself says nothing: it begins again with the machine."""
    for name in re.findall(r"marketlens_\w+_(?:total|bucket|sum|count)\b", query):
        before = query[: query.index(name)]
        assert re.search(r"(rate|increase)\($", before), name


def test_every_alert_has_its_paragraph_and_every_paragraph_its_alert() -> None:
    section = OPERATIONS.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    paragraphs = dict(re.findall(r"\n### (\w+)\n\n(.*?)(?=\n### |\Z)", section, re.DOTALL))
    assert list(paragraphs) == [rule["alert"] for rule in RULES]
    for name, text in paragraphs.items():
        assert "**Means**" in text, name
        assert "**Do**" in text, name


def test_every_alert_says_how_urgent_it_is_and_what_was_seen() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("script", ["dashboard.py", "metrics_reference.py"])
def test_what_scripts_write_is_up_to_date(script: str) -> None:
    check = [sys.executable, str(REPOSITORY / "scripts" / script), "--check"]
    assert not subprocess.run(check, check=False).returncode, f"run scripts/{script}"


def test_every_metric_but_those_of_a_detail_is_on_the_dashboard() -> None:
    shown = " ".join(QUERIES.values())
    unseen = {
        one.name for one in Instrument.stated.values() if not re.search(rf"\b{one.name}", shown)
    }
    assert unseen == {
        "marketlens_slow_jobs",  # what they are is in the log
        "marketlens_index_generation",  # a number that only changes
        "marketlens_generation_rows",
    }


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_its_containers_are_confined_and_reached_from_this_machine_only(name: str) -> None:
    compose = yaml.safe_load((MONITORING / "docker-compose.yml").read_text())
    main = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    service = compose["services"][name]
    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] not in {"root", "0"}
    assert "healthcheck" in service
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert set(service["networks"]) <= set(main["networks"]) - {"data"}
    mounted = {volume.partition(":")[0] for volume in service["volumes"]}
    files = {place for place in mounted if place.startswith("./")}
    assert mounted - files <= set(compose["volumes"])
    assert all(
        f"{place}:" in volume and volume.endswith(":ro")
        for place in files
        for volume in service["volumes"]
        if volume.startswith(place)
    )
    # Whoever starts it makes the key.
    assert all((REPOSITORY / place).exists() for place in files - {"./monitoring/metrics.key"})


@pytest.mark.parametrize(
    "arguments", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]]
)
def test_prometheus_takes_the_rules(arguments: list[str], tmp_path: Path) -> None:
    promtool = which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: `apt install prometheus`")
    done = subprocess.run(
        [promtool, *arguments], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stdout + done.stderr
    del tmp_path
