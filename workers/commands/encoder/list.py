"""`marketlens encoder list`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import typer
from rich.console import Console
from rich.table import Table

from command_line.options import JsonReport, command_of
from command_line.resources import database_of, library_of
from db.jobs import reading
from db.tables import Job
from db.vectors.encoders import EncoderSummary, summarise_encoders
from models.domain.job_results.encoders import AdaptResult
from models.domain.types import EncoderSpec, EncoderStatus, JobType
from models.encoders.library import EncoderLibrary
from models.matching.labels import stored_calibration
from settings import Settings
from workers.encoders.notes import encoder_notes, label_notes


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The options of the command."""

    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderRow:
    """An encoder as the command shows it. What only a registered encoder has is None for others.

    `embedded` and `missing` count the photos that listings show, `generation` is the live one's id,
    `active_since` is ISO 8601, `comparison` is that of the last migration, and `matching` has the
    thresholds of the match labels with their precision. `notes` say how it was made.
    """

    encoder: str
    fingerprint: str
    status: str
    precision: str
    embedded: int | None = None
    missing: int | None = None
    generation: int | None = None
    active_since: str | None = None
    files_here: bool
    comparison: Mapping[str, object] | None = None
    matching: Mapping[str, object] | None = None
    notes: tuple[str, ...] = ()


@command_of(ListOptions)
def list_encoders(options: ListOptions) -> None:
    """Every encoder that is known or can be opened here, and how much it has embedded."""
    settings = Settings()
    library = library_of(settings)
    with database_of(settings) as database, database.read() as session:
        summaries = summarise_encoders(session)
        last = reading.newest(session, JobType.ADAPT)
    here = library.specs()
    rows = [_row(summary, library, is_here=summary.encoder.spec in here) for summary in summaries]
    known = {summary.encoder.spec for summary in summaries}
    rows += [_unregistered(spec, library) for spec in here if spec not in known]
    if options.json_report:
        typer.echo(json.dumps({"encoders": [asdict(row) for row in rows]}))
        return
    console = Console()
    console.print(_table(rows))
    for row in rows:
        since = [f"active since {row.active_since:.16} UTC."] if row.active_since else []
        for note in (*since, *row.notes):
            console.print(f"{row.encoder}: {note}", highlight=False)
    if last is not None:
        for sentence in _last_adaptation(last):
            console.print(sentence, highlight=False)


def _row(summary: EncoderSummary, library: EncoderLibrary, *, is_here: bool) -> EncoderRow:
    encoder = summary.encoder
    calibration = stored_calibration(encoder.matching)
    since = encoder.activated_at if encoder.status is EncoderStatus.ACTIVE else None
    return EncoderRow(
        encoder=encoder.spec.label,
        fingerprint=encoder.fingerprint,
        status=encoder.status.value,
        precision=encoder.precision.value,
        embedded=summary.embedded,
        missing=summary.missing,
        generation=summary.generation_id,
        active_since=since.isoformat(timespec="seconds") if since else None,
        files_here=is_here,
        comparison=encoder.comparison,
        matching=encoder.matching,
        notes=(
            *([] if is_here else ["its files are not on this machine."]),
            *encoder_notes(library.facts(encoder.spec)),
            *([] if calibration is None else [label_notes(calibration)]),
        ),
    )


def _unregistered(spec: EncoderSpec, library: EncoderLibrary) -> EncoderRow:
    return EncoderRow(
        encoder=spec.label,
        fingerprint=spec.fingerprint,
        status="unregistered",
        precision=spec.precision.value,
        files_here=True,
        notes=tuple(encoder_notes(library.facts(spec))),
    )


def _last_adaptation(job: Job) -> Iterator[str]:
    """What came of the last adaptation, where the encoders do not tell."""
    if not job.status.terminal:
        yield "An adaptation is under way."
        return
    day = f"{job.finished_at:%Y-%m-%d %H:%M} UTC" if job.finished_at else ""
    if job.result is None:
        yield f"The adaptation of {day} has failed: {job.error_detail}"
        return
    result = AdaptResult.model_validate(job.result)
    if result.int8_refusal is not None:
        yield f"int8 was not taken on {day}: {result.int8_refusal}"
    if result.refusal is not None:
        yield f"The adaptation of {day} was not taken: {result.refusal}"


def _table(rows: Sequence[EncoderRow]) -> Table:
    # Without borders the table fits a narrow terminal with its labels uncut, ready to be copied.
    table = Table(title="Encoders", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("Encoder", "Status"):
        table.add_column(name, no_wrap=True)
    for name in ("Photos", "Missing", "Index"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.encoder,
            row.status,
            _shown(row.embedded),
            _shown(row.missing),
            _shown(row.generation),
        )
    return table


def _shown(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
