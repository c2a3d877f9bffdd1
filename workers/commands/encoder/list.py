"""`marketlens encoder list`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import typer
from rich.console import Console
from rich.table import Table

from command_line.opened import database_of, library_of
from command_line.options import JsonReport, command_of
from db.vectors.encoders import EncoderSummary, summarise_encoders
from models.domain.types import EncoderSpec, EncoderStatus
from settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The options of the command."""

    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderRow:
    """An encoder as the command shows it. What only a registered encoder has is None for others.

    `embedded` and `missing` count the photos that listings show, `generation` is the live one's id,
    `active_since` is ISO 8601, and `comparison` is that of the last migration.
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


@command_of(ListOptions)
def list_encoders(options: ListOptions) -> None:
    """Every encoder that is known or can be opened here, and how much it has embedded."""
    settings = Settings()
    with database_of(settings) as database, database.read() as session:
        summaries = summarise_encoders(session)
    here = library_of(settings).specs()
    rows = [_row(summary, is_here=summary.encoder.spec in here) for summary in summaries]
    known = {summary.encoder.spec for summary in summaries}
    rows += [_unregistered(spec) for spec in here if spec not in known]
    if options.json_report:
        typer.echo(json.dumps({"encoders": [asdict(row) for row in rows]}))
    else:
        Console().print(_table(rows))


def _row(summary: EncoderSummary, *, is_here: bool) -> EncoderRow:
    encoder = summary.encoder
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
    )


def _unregistered(spec: EncoderSpec) -> EncoderRow:
    return EncoderRow(
        encoder=spec.label,
        fingerprint=spec.fingerprint,
        status="unregistered",
        precision=spec.precision.value,
        files_here=True,
    )


def _table(rows: Sequence[EncoderRow]) -> Table:
    # Without borders the table fits a narrow terminal with its labels uncut, ready to be copied.
    table = Table(title="Encoders", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("Encoder", "Status"):
        table.add_column(name, no_wrap=True)
    for name in ("Photos", "Missing", "Index"):
        table.add_column(name, justify="right")
    for name in ("Precision", "Since", "Here"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row.encoder,
            row.status,
            _shown(row.embedded),
            _shown(row.missing),
            _shown(row.generation),
            row.precision,
            _day(row.active_since),
            "yes" if row.files_here else "no",
        )
    return table


def _day(moment: str | None) -> str:
    return "-" if moment is None else f"{moment:.10}"


def _shown(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
