"""Writes Grafana's dashboard of Marketlens: `python scripts/dashboard.py [--check]`."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = (
    Path(__file__).resolve().parent.parent / "monitoring/grafana/dashboards/marketlens.json"
)
COLUMNS: Final = 3
WIDTH: Final = 8
HEIGHT: Final = 7
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """A graph: its title, Grafana's name of its unit, and its queries by their lines' names."""

    title: str
    unit: str
    queries: dict[str, str]
    stack: bool = False


def _quantiles(histogram: str, by: str = "") -> dict[str, str]:
    labels = f"le, {by}" if by else "le"
    name = f"{{{{{by}}}}} " if by else ""
    return {
        f"{name}p{share}": f"histogram_quantile(0.{share}, "
        f"sum by ({labels}) (rate({histogram}_bucket[$__rate_interval])))"
        for share in (50, 95)
    }


ROWS: Final = {
    "Is it well?": (
        Panel(
            "Servers: 1 answers, 0 does not",
            "short",
            {
                "API {{instance}}": 'up{job="marketlens"}',
                "database": "min(marketlens_database_up)",
                "Redis": "min(marketlens_broker_up)",
            },
        ),
        Panel(
            "Since each queue was consumed",
            "s",
            {"{{queue}}": "max by (queue) (marketlens_queue_unseen_seconds)"},
        ),
        Panel(
            "Refused and failed requests by code",
            "reqps",
            {"{{code}}": "sum by (code) (rate(marketlens_problems_total[$__rate_interval]))"},
            stack=True,
        ),
    ),
    "Requests": (
        Panel(
            "Requests by route",
            "reqps",
            {
                "{{method}} {{route}}": "sum by (route, method) "
                "(rate(marketlens_http_requests_total[$__rate_interval]))"
            },
            stack=True,
        ),
        Panel(
            "Time of a request, waiting included",
            "s",
            _quantiles("marketlens_http_request_seconds", "route"),
        ),
        Panel("Requests in flight", "short", {"": "sum(marketlens_http_requests_in_flight)"}),
    ),
    "Queues": (
        Panel(
            "Open jobs",
            "short",
            {"{{queue}} {{status}}": "max by (queue, status) (marketlens_queue_jobs)"},
        ),
        Panel(
            "Age of the oldest, and expected wait",
            "s",
            {
                "{{queue}} oldest": "max by (queue) (marketlens_queue_oldest_seconds)",
                "{{queue}} wait": "max by (queue) (marketlens_queue_wait_seconds)",
            },
        ),
        Panel(
            "Messages, messages sent again, leases expired",
            "ops",
            {
                "{{queue}}": "sum by (queue) "
                "(rate(marketlens_jobs_published_total[$__rate_interval]))",
                "again": "sum(rate(marketlens_jobs_republished_total[$__rate_interval]))",
                "lost their worker": "sum(rate(marketlens_leases_expired_total[$__rate_interval]))",
            },
        ),
    ),
    "Jobs": (
        Panel(
            "Attempts that ended",
            "ops",
            {
                "{{type}} {{outcome}}": "sum by (type, outcome) "
                "(rate(marketlens_jobs_ended_total[$__rate_interval]))"
            },
            stack=True,
        ),
        Panel("Time of a job, queue included", "s", _quantiles("marketlens_job_seconds", "type")),
        Panel(
            "Where searches spend their time (mean)",
            "s",
            {
                "{{stage}}": "sum by (stage) "
                '(rate(marketlens_job_stage_seconds_sum{type="search"}[$__rate_interval])) / '
                "sum by (stage) "
                '(rate(marketlens_job_stage_seconds_count{type="search"}[$__rate_interval]))'
            },
            stack=True,
        ),
    ),
    "Embedding and index": (
        Panel(
            "Photos embedded",
            "ops",
            {
                "{{purpose}}": "sum by (purpose) "
                "(rate(marketlens_photos_embedded_total[$__rate_interval]))"
            },
        ),
        Panel(
            "Done together (mean)",
            "short",
            {
                "queries": "sum(rate(marketlens_queries_together_sum[$__rate_interval])) / "
                "sum(rate(marketlens_queries_together_count[$__rate_interval]))",
                "photos of {{purpose}}": "sum by (purpose) "
                "(rate(marketlens_photos_embedded_together_sum[$__rate_interval])) / "
                "sum by (purpose) "
                "(rate(marketlens_photos_embedded_together_count[$__rate_interval]))",
            },
        ),
        Panel(
            "Photos in the index",
            "short",
            {
                "found": "max(marketlens_index_rows)",
                "newer than the generation": "max(marketlens_index_fresh_rows)",
                "no longer shown": "max(marketlens_index_removed_rows)",
            },
        ),
        Panel("Age of the generation", "s", {"": "max(marketlens_generation_age_seconds)"}),
        Panel(
            "Recall@10 of the generation", "percentunit", {"": "max(marketlens_generation_recall)"}
        ),
        Panel(
            "Events, and attempts at webhooks",
            "ops",
            {
                "events {{outcome}}": "sum by (outcome) "
                "(rate(marketlens_events_total[$__rate_interval]))",
                "webhooks {{outcome}}": "sum by (outcome) "
                "(rate(marketlens_webhook_deliveries_total[$__rate_interval]))",
            },
        ),
    ),
    "Machines": (
        Panel(
            "Memory",
            "bytes",
            {"{{instance}} {{process}}": "marketlens_process_memory_bytes"},
        ),
        Panel(
            "Cores in use",
            "short",
            {
                "{{instance}} {{process}}": "rate("
                "marketlens_process_cpu_seconds_total[$__rate_interval])"
            },
            stack=True,
        ),
        Panel(
            "Errors of servers",
            "ops",
            {
                "database {{kind}}": "sum by (kind) "
                "(rate(marketlens_database_errors_total[$__rate_interval]))",
                "store {{kind}}": "sum by (kind) "
                "(rate(marketlens_store_errors_total[$__rate_interval]))",
                "Redis": "sum(rate(marketlens_broker_errors_total[$__rate_interval]))",
            },
        ),
        Panel("Free disk", "bytes", {"{{instance}}": "marketlens_disk_free_bytes"}),
        Panel(
            "Open files and connections",
            "short",
            {"{{instance}} {{process}}": "marketlens_process_open_files"},
        ),
        Panel("Release", "short", {"{{instance}} {{version}}": "marketlens_build_info"}),
    ),
}


def dashboard() -> str:
    """The dashboard as Grafana reads it."""
    panels: list[dict[str, object]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": WIDTH * COLUMNS, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place})
        top += 1
        for index, panel in enumerate(row):
            x, y = index % COLUMNS * WIDTH, top + index // COLUMNS * HEIGHT
            place = {"x": x, "y": y, "w": WIDTH, "h": HEIGHT}
            panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
        top += -(-len(row) // COLUMNS) * HEIGHT
    described = {
        "uid": "marketlens",
        "title": "Marketlens",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}
            ]
        },
        "panels": panels,
    }
    return json.dumps(described, indent=1) + "\n"


def _panel(panel: Panel) -> dict[str, object]:
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query, "legendFormat": name}
        for index, (name, query) in enumerate(panel.queries.items())
    ]
    stacking = {"mode": "normal" if panel.stack else "none"}
    custom = {"fillOpacity": 30 if panel.stack else 0, "stacking": stacking}
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": custom},
            "overrides": [],
        },
        "options": {
            "legend": {"showLegend": len(targets) > 1 or "{{" in next(iter(panel.queries))}
        },
    }


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(FILE.read_text() != dashboard())
    FILE.write_text(dashboard())
