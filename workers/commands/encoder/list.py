"""`marketlens encoder list`."""

import json
from dataclasses import dataclass
from typing import Any

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
        typer.echo(json.dumps({"encoders": rows}))
    else:
        Console().print(_table(rows))


def _row(summary: EncoderSummary, *, is_here: bool) -> dict[str, Any]:
    encoder = summary.encoder
    since = encoder.activated_at if encoder.status is EncoderStatus.ACTIVE else None
    return {
        "encoder": encoder.spec.label,
        "fingerprint": encoder.fingerprint,
        "status": encoder.status.value,
        "precision": encoder.precision.value,
        "embedded": summary.embedded,
        "missing": summary.missing,
        "generation": summary.generation_id,
        "active_since": since and since.isoformat(timespec="seconds"),
        "files_here": is_here,
        "comparison": encoder.comparison,
    }


def _unregistered(spec: EncoderSpec) -> dict[str, Any]:
    nothing = dict.fromkeys(("embedded", "missing", "generation", "active_since", "comparison"))
    return {
        "encoder": spec.label,
        "fingerprint": spec.fingerprint,
        "status": "unregistered",
        "precision": spec.precision.value,
        "files_here": True,
        **nothing,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    # Without lines it fits a narrow window, where a label must still be there to be copied.
    table = Table(title="Encoders", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("Encoder", "Status"):
        table.add_column(name, no_wrap=True)
    for name in ("Photos", "Missing", "Index"):
        table.add_column(name, justify="right")
    for name in ("Precision", "Since", "Here"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row["encoder"],
            row["status"],
            _shown(row["embedded"]),
            _shown(row["missing"]),
            _shown(row["generation"]),
            row["precision"],
            _day(row["active_since"]),
            "yes" if row["files_here"] else "no",
        )
    return table


def _day(moment: str | None) -> str:
    return "-" if moment is None else f"{moment:.10}"


def _shown(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
