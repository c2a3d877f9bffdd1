"""Shared by the intake's commands: a local copy of a feed, folder locks, and the report."""

import json
import os
import unicodedata
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from rich.console import Console

from db.store.photo_urls import PhotoUrls
from etl.fetch.source_url import (
    MAX_NAME,
    SPREADSHEET_SUFFIXES,
    TABLE_SUFFIXES,
    feed_name,
    is_archive,
    is_safe_feed_name,
    is_table,
    local_path,
    table_name,
)
from etl.fetch.transfer import fetch
from etl.report import Cost, IntakeReport, left_out, not_offered, reasons, summary, understood
from models.domain.durable_files import write_if_changed
from models.domain.errors import Conflict, ExitCode, InvalidFeed
from models.domain.urls import is_url, redact
from progress import Bars
from settings import Settings

Source = Annotated[
    str,
    typer.Argument(
        help="A feed: a folder, a zip or tar, a table (CSV, TSV, XML, JSON, NDJSON, Parquet), or a"
        " URL of one (s3://, sftp://, http://, https://)."
    ),
]
AttributeNames = Annotated[
    str | None,
    typer.Option(
        help="Columns that become attributes of listings, separated by commas, or `*` for all that"
        " state nothing else. By default the usual ones: brand, colour, size, condition and more.",
    ),
]
Refetch = Annotated[
    bool, typer.Option("--refetch", help="Fetch photos by URL again that are there already.")
]


def attribute_names(stated: str | None) -> list[str] | None:
    """The names of columns in this option; None where it is not given."""
    if stated is None:
        return None
    return [name.strip() for name in stated.split(",") if name.strip()]


@contextmanager
def photo_urls(settings: Settings) -> Generator[PhotoUrls | None]:
    """What fetches photos that feeds name by URL; None if none is to be fetched."""
    if settings.photo_urls == "off":
        yield None
        return
    with closing(PhotoUrls(settings.allowed_photo_hosts)) as urls:
        yield urls


SOURCE_FILE = "source"


def named(name: str | None, source: str) -> str:
    """The feed's name: the one given, else its source's. Raises InvalidFeed.

    It becomes part of file names.
    """
    if name is None:
        return feed_name(source)
    name = unicodedata.normalize("NFC", name)
    if not is_safe_feed_name(name):
        raise InvalidFeed(
            f"{name!r} can't be a feed's name: it has up to {MAX_NAME} letters, digits, spaces, "
            "dots, hyphens and underscores, and begins with a letter or digit."
        )
    return name


@contextmanager
def local_feed(source: str, feeds: Path, bars: Bars, *, dry_run: bool) -> Generator[Path]:
    """The folder of a feed, or the file of its only table: its own, or a copy under `feeds` (in a
    dry run, a temporary one).

    A copy is locked until the end. Raises InvalidFeed for a file that is no feed, what `fetch`
    raises, and Conflict.
    """
    path = local_path(source)
    if path is not None and not is_archive(source) and not (is_url(source) and path.is_dir()):
        yield _in_place(path)
    elif dry_run:
        with TemporaryDirectory(prefix="marketlens-") as folder:
            yield _copy(source, Path(folder), bars)
    else:
        # With a digest: two sources of the same name must not share a folder.
        place = source if is_url(source) else str(Path(source).absolute())
        digest = sha256(os.fsencode(place)).hexdigest()[:12]
        with exclusive_folder(feeds / f"{feed_name(source)}-{digest}") as folder:
            yield _copy(source, folder / "feed", bars)


def _in_place(path: Path) -> Path:
    if path.is_file() and not path.name.lower().endswith(TABLE_SUFFIXES):
        is_spreadsheet = path.name.lower().endswith(SPREADSHEET_SUFFIXES)
        advice = "save it as CSV" if is_spreadsheet else "give a folder, an archive"
        raise InvalidFeed(
            f"{path} is no table of a feed: {advice}, or a file of {', '.join(TABLE_SUFFIXES)}."
        )
    return path


def _copy(source: str, folder: Path, bars: Bars) -> Path:
    fetch(
        source,
        folder,
        dry_run=False,
        on_progress=lambda done, total: bars.show("fetching", done, total, in_bytes=True),
    )
    return folder / table_name(source) if is_table(source) else folder


def last_source(folder: Path) -> str:
    """Where the feed with this folder was last seeded from, as `note_source` wrote it; or empty."""
    with suppress(OSError, UnicodeError):
        return (folder / SOURCE_FILE).read_text(encoding="utf-8").strip()
    return ""


def note_source(folder: Path, source: str) -> None:
    """Note where the feed with this folder is seeded from, without secrets."""
    shown = redact(source) if is_url(source) else os.fsdecode(Path(source).absolute())
    shown = shown.encode(errors="replace").decode()
    write_if_changed(folder / SOURCE_FILE, f"{shown}\n")


@contextmanager
def exclusive_folder(folder: Path) -> Generator[Path]:
    """A folder locked against other runs; a killed run releases its lock.

    Raises Conflict.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield folder
    except Timeout as error:
        raise Conflict(f"Another run is using {folder}.") from error


def print_report(
    report: IntakeReport,
    cost: Cost,
    *,
    title: str,
    lines: Mapping[str, str],
    rejects: Path | None,
    problems: list[str],
    json_report: Mapping[str, object] | None,
) -> ExitCode:
    """Print a report, as JSON if `json_report` is given; returns the command's exit code."""
    for note in report.notes:
        typer.echo(note, err=True)
    if json_report is not None:
        typer.echo(json.dumps({**json_report, "problems": problems, "notes": report.notes}))
    else:
        console = Console()
        if rejects is None:
            # A dry run: to see before anything is stored.
            for reading in report.readings:
                console.print(understood(reading))
        console.print(summary(report, title, lines, cost))
        if report.rejected:
            console.print(reasons(report))
        if report.left_out:
            console.print(left_out(report))
        if report.not_offered:
            console.print(not_offered(report))
        if rejects is not None and not report.is_flawless:
            typer.echo(f"Each rejected row and each value left out is in {rejects}.")
    for problem in problems:
        typer.echo(problem, err=True)
    is_good = report.is_flawless and not problems
    return ExitCode.DONE if is_good else ExitCode.LOOK_AT_IT
