"""Generations as `marketlens index` shows them, in tables and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.table import Table

from db.jobs import reading
from db.tables import Encoder, Generation, Job
from models.domain.errors import GenerationCorrupt
from models.domain.job_results.indexes import BuiltIndex
from models.index.manifest import MANIFEST_FILE, Manifest, from_json
from workers.generations.folders import is_open


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """A generation by its row in the database, and where its files are; times are ISO 8601.

    What is measured is None until the generation has been built.
    """

    generation: int
    encoder: str
    status: str
    rows: int | None
    factory: str | None
    recall_at_10: float | None
    p50_ms: float | None
    bytes: int | None
    last_change: int | None
    created_at: str
    activated_at: str | None
    error: str | None
    files_here: bool
    open_here: bool
    published: bool


@dataclass(frozen=True, slots=True)
class GenerationDetails:
    """What a generation's manifest, or the job that built it, records beyond its row.

    The measurements are None where neither has them, `manifest` is None where it is not on this
    machine.
    """

    job: str | None
    why: str | None = None
    effort: int | None = None
    candidates: int | None = None
    queries: int | None = None
    p95_ms: float | None = None
    manifest: Manifest | None = None


def generation_row(
    row: Generation, encoder: Encoder, generations_dir: Path, published: set[int]
) -> GenerationRow:
    """A generation by its row, its folder on this machine and the ids of those published."""
    folder = generations_dir / str(row.id)
    return GenerationRow(
        generation=row.id,
        encoder=encoder.spec.label,
        status=row.status.value,
        rows=row.rows,
        factory=row.factory,
        recall_at_10=row.recall_at_10,
        p50_ms=row.p50_ms,
        bytes=row.bytes,
        last_change=row.last_change,
        created_at=row.created_at.isoformat(timespec="seconds"),
        activated_at=row.activated_at.isoformat(timespec="seconds") if row.activated_at else None,
        error=row.error,
        files_here=folder.is_dir(),
        open_here=is_open(folder),
        published=row.id in published,
    )


def generation_details(job: Job | None, folder: Path) -> GenerationDetails:
    """The details of a generation, from the manifest in its folder or else from its job's result.

    Raises InvalidInput for a result that no release has stored.
    """
    manifest = _manifest_in(folder)
    source = manifest or _result_of(job)
    job_id = str(job.id) if job else None
    if source is None:
        return GenerationDetails(job_id)
    return GenerationDetails(
        job_id,
        why=source.why,
        effort=source.effort,
        candidates=source.candidates,
        queries=source.queries,
        p95_ms=source.p95_ms,
        manifest=manifest,
    )


def _result_of(job: Job | None) -> BuiltIndex | None:
    """The result of a build; None if an earlier release built it and measured less."""
    result = reading.result_of(job) if job else None
    return result if isinstance(result, BuiltIndex) and result.p95_ms is not None else None


def generations_table(rows: Sequence[GenerationRow]) -> Table:
    """Generations, one line each."""
    table = Table(title="Generations", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("", "Status"):
        table.add_column(name, no_wrap=True)
    for name in ("Rows", "Recall", "p50", "Size"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Built", "Files"):
        table.add_column(name, no_wrap=True)
    # The longest columns come last, where a narrow terminal cuts them.
    for name in ("Factory", "Encoder"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            str(row.generation),
            row.status,
            _shown(row.rows, "{:,}"),
            _shown(row.recall_at_10, "{:.3f}"),
            _shown(row.p50_ms, "{:.2f} ms"),
            "-" if row.bytes is None else decimal(row.bytes),
            f"{row.created_at:.16}".replace("T", " "),
            _where(row),
            row.factory or "-",
            row.encoder,
        )
    return table


def facts(title: str, lines: dict[str, str]) -> Table:
    """A table of names and values."""
    table = Table(title=title, title_justify="left", show_header=False)
    for name, text in lines.items():
        table.add_row(name, text)
    return table


def generation_table(row: GenerationRow, details: GenerationDetails) -> Table:
    """One generation with its details."""
    lines = {
        "Status": row.status,
        "Encoder": row.encoder,
        "Files": _where(row),
        "Built": f"{row.created_at}, by job {details.job}",
        "Live since": row.activated_at or "-",
    }
    if row.rows is not None:
        lines |= {
            "Rows": f"{row.rows:,}, live after change {row.last_change:,}",
            "Size": decimal(row.bytes or 0),
        }
    if details.why is not None:
        lines |= {
            "Factory": row.factory or "-",
            "Why": details.why,
            "A search": _how_searched(details),
            "Recall@10": f"{row.recall_at_10:.4f} of {details.queries:,} searches",
            "Time": f"p50 {row.p50_ms:.2f} ms, p95 {details.p95_ms:.2f} ms",
        }
    if row.error:
        lines["Error"] = row.error
    return facts(f"Generation {row.generation}", lines)


def _how_searched(details: GenerationDetails) -> str:
    if not details.candidates:
        return "looks at every row"
    return f"has an effort of {details.effort}, scores {details.candidates} candidates again"


def _manifest_in(folder: Path) -> Manifest | None:
    try:
        return from_json((folder / MANIFEST_FILE).read_bytes())
    except (OSError, GenerationCorrupt):
        return None


def _where(row: GenerationRow) -> str:
    """Where the files are: on this machine, in the store, or nowhere."""
    places = [
        name
        for name, there in (
            ("here, open" if row.open_here else "here", row.files_here),
            ("published", row.published),
        )
        if there
    ]
    return ", ".join(places) or "-"


def _shown(value: float | None, how: str) -> str:
    return "-" if value is None else how.format(value)
