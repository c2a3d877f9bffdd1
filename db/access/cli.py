"""`marketlens keys` and `marketlens audit`."""

import json
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from command_line.options import JsonReport, command_of
from command_line.periods import period_option
from db.access.audit_log import list_entries
from db.access.keys import all_keys, create_key, revoke_keys, rotate_key
from db.session import Database, database_exists
from db.tables import ApiKey
from models.domain.clock import utc_now
from models.domain.errors import InvalidInput, SetupError
from models.domain.types import Scope
from settings import Settings

MAX_NAME = 200

Lifetime = Annotated[
    timedelta | None,
    period_option("For how long it is valid, such as 90d; until it is revoked by default."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOptions:
    """The options of `keys create`."""

    name: Annotated[str, typer.Argument(help="Who the key is for.")]
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeat for more.")]
    expires: Lifetime = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The options of `keys list`."""

    revoked: Annotated[bool, typer.Option("--revoked", help="Also those that were revoked.")] = (
        False
    )
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateOptions:
    """The options of `keys rotate`."""

    name: Annotated[str, typer.Argument(help="Whose key.")]
    overlap: Annotated[
        timedelta,
        period_option("For how long the earlier key stays valid, 24h by default; 0 ends it."),
    ] = timedelta(hours=24)
    expires: Annotated[
        timedelta | None,
        period_option("For how long the new key is valid; as long as the earlier one by default."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeOptions:
    """The options of `keys revoke`."""

    name: Annotated[str, typer.Argument(help="Whose keys.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """The options of `audit`."""

    since: Annotated[
        timedelta | None, period_option("Only the entries of this last time, such as 7d.")
    ] = None
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Entries at most.")] = 100
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as listed. Times are ISO 8601, in UTC."""

    name: str
    scopes: list[str]
    status: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry of the audit log as listed. Times are ISO 8601, in UTC."""

    id: int
    at: str
    source: str
    actor: str
    action: str
    details: Mapping[str, object]
    result: str | None
    ended_at: str | None


@command_of(CreateOptions)
def create(options: CreateOptions) -> None:
    """Make a key and print it. It is shown this once."""
    if not 0 < len(options.name) <= MAX_NAME or not options.name.isprintable():
        raise InvalidInput(f"A key's name has 1 to {MAX_NAME} printable characters.")
    if options.expires == timedelta(0):
        raise InvalidInput("A key that is to expire needs a period, such as --expires 90d.")
    with _database() as database, database.write() as session:
        key = create_key(session, options.name, options.scope, utc_now(), lifetime=options.expires)
    typer.echo(key)


@command_of(ListOptions)
def list_keys(options: ListOptions) -> None:
    """List the keys: what each may do, until when it is valid, when it was last used."""
    with _database() as database, database.read() as session:
        keys = all_keys(session, with_revoked=options.revoked)
        rows = [_key_row(key, utc_now()) for key in keys]
    if options.json_report:
        typer.echo(json.dumps({"keys": [asdict(row) for row in rows]}))
    else:
        Console().print(_keys_table(rows))


@command_of(RotateOptions)
def rotate(options: RotateOptions) -> None:
    """Make another key for a holder and print it. The earlier one stays valid for a while."""
    with _database() as database, database.write() as session:
        rotated = rotate_key(
            session, options.name, utc_now(), options.overlap, lifetime=options.expires
        )
    typer.echo(rotated.key)
    if rotated.others:
        which = "key is" if rotated.others == 1 else f"{rotated.others} keys are"
        typer.echo(
            f"The earlier {which} valid until {rotated.others_until:%Y-%m-%d %H:%M} UTC at most.",
            err=True,
        )


@command_of(RevokeOptions)
def revoke(options: RevokeOptions) -> None:
    """Revoke every key of this name, at once."""
    with _database() as database, database.write() as session:
        count = revoke_keys(session, options.name, utc_now())
    typer.echo(f"Revoked {count} key{'s' if count > 1 else ''} of {options.name!r}.")


@command_of(AuditOptions)
def audit(options: AuditOptions) -> None:
    """Show who has changed what: admin calls and commands, newest first."""
    since = None if options.since is None else utc_now() - options.since
    with _database() as database, database.read() as session:
        rows = [
            EntryRow(
                id=entry.id,
                at=entry.at.isoformat(),
                source=entry.source,
                actor=entry.actor,
                action=entry.action,
                details=entry.details,
                result=entry.result,
                ended_at=_iso(entry.ended_at),
            )
            for entry in list_entries(session, options.limit, since=since)
        ]
    if options.json_report:
        typer.echo(json.dumps({"entries": [asdict(row) for row in rows]}))
    else:
        Console().print(_entries_table(rows))


@contextmanager
def _database() -> Generator[Database]:
    """The database, closed at the end. Raises SetupError where SQLite would make an empty one."""
    url = Settings().sqlalchemy_url
    if not database_exists(url):
        raise SetupError("There is no database yet: run `marketlens migrate`.")
    with closing(Database(url)) as database:
        yield database


def _key_row(key: ApiKey, now: datetime) -> KeyRow:
    if key.revoked_at is not None:
        status = "revoked"
    elif key.expires_at is not None and key.expires_at <= now:
        status = "expired"
    else:
        status = "valid"
    return KeyRow(
        name=key.name,
        scopes=list(key.scopes),
        status=status,
        created_at=key.created_at.isoformat(),
        expires_at=_iso(key.expires_at),
        last_used_at=_iso(key.last_used_at),
        revoked_at=_iso(key.revoked_at),
    )


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _keys_table(rows: list[KeyRow]) -> Table:
    table = Table("Name", "Scopes", "Status", "Created", "Expires", "Last used")
    for row in rows:
        times = (_minute(row.created_at), _minute(row.expires_at), _minute(row.last_used_at))
        table.add_row(escape(row.name), ", ".join(row.scopes), row.status, *times)
    return table


def _entries_table(rows: list[EntryRow]) -> Table:
    table = Table("At (UTC)", "Who", "What", "Details", "Result")
    for row in rows:
        details = ", ".join(f"{name}={_plain(value)}" for name, value in row.details.items())
        who = f"{row.actor} ({row.source})"
        cells = (_minute(row.at), who, row.action, details, row.result or "not ended")
        table.add_row(*map(escape, cells))
    return table


def _plain(value: object) -> str:
    return " ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _minute(time: str | None) -> str:
    """A time to the minute, short enough for a column."""
    return "-" if time is None else time[:16].replace("T", " ")
