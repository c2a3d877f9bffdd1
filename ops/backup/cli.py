"""`marketlens backup` and `marketlens restore`."""

import json
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table

from command_line.options import JsonReport, command_of
from command_line.resources import check_database_exists, store_of
from models.domain.clock import utc_now
from models.domain.errors import ExitCode, InvalidInput, SetupError
from ops.backup.create import Deployment, Reporting, back_up
from ops.backup.destination import Destination
from ops.backup.keep import Removed, keep_newest
from ops.backup.manifest import Manifest
from ops.backup.restore import restore as restore_snapshot
from ops.backup.verify import problems_of
from ops.machine import lock_data_dir
from progress import Bars
from settings import Settings

SECRETS: Final = (
    "It holds hashes of API keys and secrets of webhooks: keep it as safe as the database."
)

Place = Annotated[str, typer.Argument(help="A folder, or a URL such as s3://BUCKET/FOLDER.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOptions:
    """The options of `backup create`."""

    destination: Place
    keep: Annotated[
        int | None, typer.Option(min=1, help="Then remove all but so many of the newest snapshots.")
    ] = None
    recheck: Annotated[
        bool,
        typer.Option(
            "--recheck", help="Read photos of earlier snapshots too, and mend damaged ones."
        ),
    ] = False
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The options of `backup list`."""

    destination: Place
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """The options of `backup verify`."""

    destination: Place
    snapshot: Annotated[str | None, typer.Option(help="Only this one; all of them by default.")] = (
        None
    )
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """The options of `restore`."""

    source: Annotated[str, typer.Argument(help="Where the snapshots are: a folder, or a URL.")]
    snapshot: Annotated[str | None, typer.Option(help="Which one; the newest by default.")] = None
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the database and the index that are here.")
    ] = False
    json_report: JsonReport = False


@command_of(CreateOptions)
def create(options: CreateOptions) -> ExitCode:
    """Write a snapshot of database, photos, encoders and index, while everything runs."""
    settings = Settings()
    check_database_exists(settings)
    destination = Destination(options.destination)
    removed = Removed()
    with Bars() as bars:
        reporting = _reporting(bars)
        manifest = back_up(
            _deployment_of(settings), destination, reporting, recheck=options.recheck
        )
        if options.keep is not None:
            removed = keep_newest(destination, options.keep, utc_now(), reporting.bar("removed"))
            if removed.why_not:
                reporting.say(f"No files were removed: {removed.why_not}.")
    if options.json_report:
        typer.echo(json.dumps(_facts(manifest) | {"removed": removed.snapshots}))
    else:
        typer.echo(
            f"Snapshot {manifest.id} in {destination.name}, verified: {manifest.photos:,} photos "
            f"({decimal(manifest.photo_bytes_added)} new), and {decimal(manifest.file_bytes)} of "
            "database, encoders and index."
        )
        typer.echo(SECRETS)
    return ExitCode.LOOK_AT_IT if manifest.absent else ExitCode.DONE


@command_of(ListOptions)
def list_snapshots(options: ListOptions) -> None:
    """List the snapshots at a destination, the newest first."""
    destination = Destination(options.destination)
    ids = list(reversed(destination.snapshots()))
    manifests = [_readable(destination, snapshot_id) for snapshot_id in ids]
    if options.json_report:
        typer.echo(json.dumps([_facts(one) for one in manifests if isinstance(one, Manifest)]))
        return
    table = Table(Column("Snapshot", no_wrap=True), "Database", "Photos", "New", "Files", "Encoder")
    for snapshot_id, one in zip(ids, manifests, strict=True):
        if isinstance(one, str):
            table.add_row(snapshot_id, one)
            continue
        table.add_row(
            snapshot_id,
            one.database.kind,
            f"{one.photos:,}",
            decimal(one.photo_bytes_added),
            decimal(one.file_bytes),
            one.encoder or "-",
        )
    Console().print(table if ids else f"There is no snapshot in {destination.name}.")


@command_of(VerifyOptions)
def verify(options: VerifyOptions) -> ExitCode:
    """Read every byte of the snapshots, and compare it with what was written."""
    destination = Destination(options.destination)
    wanted = [options.snapshot] if options.snapshot else destination.snapshots()
    found: dict[str, list[str]] = {}
    with Bars() as bars:
        for snapshot_id in wanted or [destination.newest()]:
            try:
                manifest = destination.read(snapshot_id)
                found[snapshot_id] = problems_of(destination, manifest, _reporting(bars).show)
            except InvalidInput as error:
                found[snapshot_id] = [str(error)]
    if options.json_report:
        typer.echo(json.dumps(found))
    else:
        for snapshot_id, problems in found.items():
            typer.echo(f"{snapshot_id}: {' '.join(problems) or 'as it was written'}")
    return ExitCode.LOOK_AT_IT if any(found.values()) else ExitCode.DONE


@command_of(RestoreOptions)
def restore(options: RestoreOptions) -> None:
    """Put a snapshot in place on an empty machine, after verifying all of it."""
    settings = Settings()
    source = Destination(options.source)
    if source.folder is not None and not source.folder.is_dir():
        raise SetupError(f"There is no folder {source.name}.")
    manifest = source.read(options.snapshot or source.newest())
    with lock_data_dir(settings.data_dir), Bars() as bars:
        restore_snapshot(
            _deployment_of(settings),
            settings.data_dir,
            source,
            manifest,
            _reporting(bars),
            replace=options.replace,
        )
    if options.json_report:
        typer.echo(json.dumps(_facts(manifest)))
    else:
        typer.echo(
            f"Restored snapshot {manifest.id}: {manifest.photos:,} photos, and "
            f"{decimal(manifest.file_bytes)} of database, encoders and index."
        )


def _deployment_of(settings: Settings) -> Deployment:
    return Deployment(
        database_url=settings.sqlalchemy_url,
        store=store_of(settings),
        models_dir=settings.models_dir,
        generations_dir=settings.generations_dir,
        columns_file=settings.columns_file,
    )


def _reporting(bars: Bars) -> Reporting:
    def show(name: str, done: int, total: int, in_bytes: bool) -> None:
        bars.show(name, done, total, in_bytes=in_bytes)

    return Reporting(show, bars.say, utc_now)


def _readable(destination: Destination, snapshot_id: str) -> Manifest | str:
    """The manifest, or what is wrong with it."""
    try:
        return destination.read(snapshot_id)
    except InvalidInput as error:
        return str(error)


def _facts(manifest: Manifest) -> dict[str, object]:
    return {
        "snapshot": manifest.id,
        "created_at": manifest.created_at,
        "database": manifest.database.kind,
        "photos": manifest.photos,
        "photo_bytes_added": manifest.photo_bytes_added,
        "absent": manifest.absent,
        "file_bytes": manifest.file_bytes,
        "generations": list(manifest.generations),
        "encoder": manifest.encoder,
    }
