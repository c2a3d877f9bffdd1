"""Generations, as `marketlens index` shows them to people and to programs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.filesize import decimal
from rich.table import Table

from db.tables import Encoder, Generation, Job
from models.domain.errors import GenerationCorrupt
from models.index.manifest import MANIFEST_FILE, Manifest, from_json
from workers.generations.folders import is_open


def generation_row(
    row: Generation, encoder: Encoder, generations_dir: Path, published: set[int]
) -> dict[str, Any]:
    """What the database, this machine and the store know of a generation."""
    folder = generations_dir / str(row.id)
    return {
        "generation": row.id,
        "encoder": encoder.spec.label,
        "status": row.status.value,
        "rows": row.rows,
        "factory": row.factory,
        "recall_at_10": row.recall_at_10,
        "p50_ms": row.p50_ms,
        "bytes": row.bytes,
        "last_change": row.last_change,
        "created_at": row.created_at.isoformat(timespec="seconds"),
        "activated_at": row.activated_at and row.activated_at.isoformat(timespec="seconds"),
        "error": row.error,
        "files_here": folder.is_dir(),
        "open_here": is_open(folder),
        "published": row.id in published,
    }


def generation_details(job: Job | None, folder: Path) -> dict[str, Any]:
    """What its manifest, or else the job that built it, says beyond its row."""
    manifest = _manifest_in(folder)
    told = asdict(manifest) if manifest else (job.result if job else None) or {}
    return {
        "job": job and str(job.id),
        **{name: told.get(name) for name in ("why", "effort", "candidates", "queries", "p95_ms")},
        "manifest": manifest and asdict(manifest),
    }


def generations_table(rows: list[dict[str, Any]]) -> Table:
    """One line each."""
    table = Table(title="Generations", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("", "Status"):
        table.add_column(name, no_wrap=True)
    for name in ("Rows", "Recall", "p50", "Size"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Built", "Files"):
        table.add_column(name, no_wrap=True)
    # The longest comes last, where it may be cut.
    for name in ("Factory", "Encoder"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            str(row["generation"]),
            row["status"],
            _shown(row["rows"], "{:,}"),
            _shown(row["recall_at_10"], "{:.3f}"),
            _shown(row["p50_ms"], "{:.2f} ms"),
            "-" if row["bytes"] is None else decimal(row["bytes"]),
            f"{row['created_at']:.16}".replace("T", " "),
            _where(row),
            row["factory"] or "-",
            row["encoder"],
        )
    return table


def facts(title: str, lines: dict[str, str]) -> Table:
    """Names and values."""
    table = Table(title=title, title_justify="left", show_header=False)
    for name, text in lines.items():
        table.add_row(name, text)
    return table


def generation_table(row: dict[str, Any]) -> Table:
    """All of one."""
    lines = {
        "Status": row["status"],
        "Encoder": row["encoder"],
        "Files": _where(row),
        "Built": f"{row['created_at']}, by job {row['job']}",
        "Live since": row["activated_at"] or "-",
    }
    if row["rows"] is not None:
        lines |= {
            "Rows": f"{row['rows']:,}, live after change {row['last_change']:,}",
            "Size": decimal(row["bytes"]),
        }
    if row["why"] is not None:
        lines |= {
            "Factory": row["factory"],
            "Why": row["why"],
            "A search": _how_searched(row),
            "Recall@10": f"{row['recall_at_10']:.4f} of {row['queries']:,} searches",
            "Time": f"p50 {row['p50_ms']:.2f} ms, p95 {row['p95_ms']:.2f} ms",
        }
    if row["error"]:
        lines["Error"] = row["error"]
    return facts(f"Generation {row['generation']}", lines)


def _how_searched(row: dict[str, Any]) -> str:
    if not row["candidates"]:
        return "looks at every row"
    return f"has an effort of {row['effort']}, scores {row['candidates']} candidates again"


def _manifest_in(folder: Path) -> Manifest | None:
    try:
        return from_json((folder / MANIFEST_FILE).read_bytes())
    except (OSError, GenerationCorrupt):
        return None


def _where(row: dict[str, Any]) -> str:
    """Where the files are."""
    places = [
        name
        for name, there in (
            ("here, open" if row["open_here"] else "here", row["files_here"]),
            ("published", row["published"]),
        )
        if there
    ]
    return ", ".join(places) or "-"


def _shown(value: float | None, how: str) -> str:
    return "-" if value is None else how.format(value)
