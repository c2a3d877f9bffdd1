"""Writes what `benchmarks.serving` has measured: results.json, RESULTS.md and plots (SVG)."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import psutil

mpl.use("svg")

from matplotlib import pyplot as plt

LIBRARIES: Final = ("celery", "fastapi", "faiss-cpu", "onnxruntime", "sqlalchemy", "torch")
STAGES: Final = ("queue", "decode", "embed", "sync", "search", "rank", "total")

Figures = Mapping[str, Any]


def write_report(figures: Figures, into: Path) -> None:
    """Write all files into a folder."""
    results = {"measured": datetime.now(UTC).date().isoformat(), "machine": machine(), **figures}
    plots = into / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    (into / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    plot(figures, plots / "throughput.svg", "per_second", "searches a second")
    plot(figures, plots / "latency.svg", "p50_ms", "median, ms")
    (into / "RESULTS.md").write_text(markdown(results))


def machine() -> dict[str, str]:
    """What it was measured on."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def markdown(results: Figures) -> str:
    """The document."""
    rows = results["rows"]
    return DOCUMENT.format(
        **results,
        machine_table=table(("", ""), results["machine"].items()),
        clients_table=servers_table(filter(is_by_photo, rows)),
        stages_table=stages_table(rows),
        other_table=servers_table(row for row in rows if not is_by_photo(row)),
        waiting_percent=100 * results["waiting_share"],
        photos_table=photos_table(results),
    )


DOCUMENT: Final = """\
# Results of `make bench`

Written by `python -m benchmarks.serving`; the figures are in [results.json](results.json). They are
those of one machine in one hour: compare what stands in one table. The clients run on the same
cores. Measured {measured} with {encoder} and {photos:,} photos.

{machine_table}

## Searches by photos that were never seen

*naive* is a server with one synchronous route, which loads model and index once; *loaded for each*
loads both for each request (`benchmarks/serving/naive_server.py`). Both run the same network in
torch.

{clients_table}

![searches a second](plots/throughput.svg) ![median latency](plots/latency.svg)

### From submission to result: median milliseconds of each stage

{stages_table}

## Searches that encode nothing, and searches while listings come

{other_table}

{enqueued:,} listings with a photo each were enqueued in bulk; all were searchable after
{enqueued_s} s. 64 waiting clients took {waiting_percent:.1f}% of a core of the API.

## Photos a second

{photos_table}
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def servers_table(rows: Iterable[Figures]) -> str:
    """What callers saw."""
    shown = [
        (
            row["server"],
            str(row["clients"]),
            *(f"{row[what]:.1f}" for what in ("per_second", "p50_ms", "p95_ms", "p99_ms")),
        )
        for row in rows
    ]
    return table(("", "clients", "a second", "p50, ms", "p95, ms", "p99, ms"), shown)


def is_by_photo(row: Figures) -> bool:
    """Whether it is one of the servers that are compared."""
    return str(row["server"]).startswith(("Marketlens", "naive"))


def stages_table(rows: Sequence[Figures]) -> str:
    """Where the time goes."""
    staged = [row for row in rows if row["server"] == "Marketlens"]
    shown = [
        (str(row["clients"]), *(f"{row['stages'].get(stage, 0):.1f}" for stage in STAGES))
        for row in staged
    ]
    return table(("clients", *STAGES), shown)


def photos_table(results: Figures) -> str:
    """The encoders alone, and what the whole makes of them."""
    shown = [(f"{label}, alone", f"{rate:.0f}") for label, rate in results["bare"].items()]
    shown += [(f"{label}, seeding", f"{rate:.0f}") for label, rate in results["seeding"].items()]
    return table(("", "a second"), shown)


def plot(figures: Figures, path: Path, what: str, label: str) -> None:
    """The servers, with more and more clients."""
    plt.rcParams["svg.hashsalt"] = "marketlens"
    figure, axes = plt.subplots(figsize=(6, 3.2))
    for server in ("naive", "Marketlens"):
        rows = [row for row in figures["rows"] if row["server"] == server]
        clients = [row["clients"] for row in rows]
        axes.plot(clients, [row[what] for row in rows], marker="o", label=server)
    axes.set_xscale("log", base=2)
    axes.set_xticks(clients, map(str, clients))
    axes.set_xlabel("clients")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
