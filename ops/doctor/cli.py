"""`marketlens doctor`."""

import json
from dataclasses import asdict, dataclass
from typing import Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from command_line.options import JsonReport, command_of
from models.domain.errors import ExitCode
from ops.doctor.examination import examine
from ops.doctor.findings import Finding, Verdict
from settings import Settings

STYLES: Final = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """The options of the command."""

    json_report: JsonReport = False


@command_of(DoctorOptions)
def doctor(options: DoctorOptions) -> ExitCode:
    """Look whether this machine has all that is needed, and say what to do where it has not."""
    findings = list(examine(Settings()))
    if options.json_report:
        typer.echo(json.dumps({"findings": [asdict(one) for one in findings]}))
    else:
        Console().print(_table(findings))
    verdicts = {one.verdict for one in findings}
    if Verdict.PROBLEM in verdicts:
        return ExitCode.NOT_DONE
    return ExitCode.LOOK_AT_IT if Verdict.WARNING in verdicts else ExitCode.DONE


def _table(findings: list[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    # Paths and names are to be read and copied whole.
    table.add_column(overflow="fold")
    for one in findings:
        verdict = Text(one.verdict, style=STYLES[one.verdict])
        table.add_row(verdict, one.what, Text(one.sentence))
    return table
