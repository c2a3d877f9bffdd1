"""`marketlens erase`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from time import monotonic
from typing import Annotated, Final
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from command_line.options import JsonReport, command_of
from command_line.resources import check_database_exists, database_of, store_of
from db.retention.erasures import Erased, erase_listing, erase_user
from models.domain.errors import ExitCode, InvalidInput
from models.domain.limits import MAX_USER
from settings import Settings
from workers.commands.retention.setup import retention_of
from workers.retention.erasing import Unfinished
from workers.retention.run import BY_REQUEST, Retention

WAITED_S: Final = 30.0
"""For jobs that run and may have read what is erased."""
WAITED_FOR_INDEX_S: Final = 3_600.0
LOOK_EVERY_S: Final = 1.0

Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild",
        help="Have the index built anew at once, and wait for it; else the next one is without it.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseListingOptions:
    """The options of the command."""

    listing_id: Annotated[str, typer.Argument(help="The listing's id.", metavar="ID")]
    rebuild: Rebuild = False
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseUserOptions:
    """The options of the command."""

    user: Annotated[str, typer.Argument(help="Your pseudonym of the user.", metavar="USER")]
    json_report: JsonReport = False


@command_of(EraseListingOptions)
def listing(options: EraseListingOptions) -> ExitCode:
    """Erase a listing: text, words, photos, vectors, events, and what names it."""
    try:
        listing_id = UUID(options.listing_id)
    except ValueError:
        raise InvalidInput(f"{options.listing_id!r} is no listing's id: it is a UUID.") from None
    return _erase(
        lambda session, now: erase_listing(session, listing_id, now),
        rebuild=options.rebuild,
        as_json=options.json_report,
    )


@command_of(EraseUserOptions)
def user(options: EraseUserOptions) -> ExitCode:
    """Erase a user: events, what they counted for, and what was asked for them."""
    if not 0 < len(options.user) <= MAX_USER:
        raise InvalidInput(f"A user's pseudonym has 1 to {MAX_USER} characters.")
    return _erase(
        lambda session, now: erase_user(session, options.user, now),
        rebuild=False,
        as_json=options.json_report,
    )


def _erase(
    erase: Callable[[Session, datetime], Erased], *, rebuild: bool, as_json: bool
) -> ExitCode:
    settings = Settings()
    check_database_exists(settings)
    store_of(settings)
    with database_of(settings) as database:
        with database.write() as session:
            erased = erase(session, database.now())
        retention = retention_of(settings, database, database.now, Event(), rest_s=0.0)
        reasons = _finished(retention, erased, rebuild=rebuild)
    if as_json:
        report = {
            "listings": erased.listings,
            "photos": erased.photos,
            "finished": not reasons,
            "left": list(reasons),
        }
        typer.echo(json.dumps(report))
    else:
        _say(erased, reasons)
    return ExitCode.LOOK_AT_IT if reasons and rebuild else ExitCode.DONE


def _finished(retention: Retention, erased: Erased, *, rebuild: bool) -> Sequence[str]:
    """Go on until nothing is left, or what is takes longer; why something is."""
    began = monotonic()
    limit = WAITED_FOR_INDEX_S if rebuild else WAITED_S
    while True:
        unfinished = retention.finish(BY_REQUEST, clean=True, rebuild=rebuild)
        own = _reasons(unfinished, erased.erasure_id)
        only_later = not rebuild and not any("running" in reason for reason in own)
        if not own or only_later or monotonic() - began > limit:
            return own
        retention.pace.stop.wait(LOOK_EVERY_S)


def _reasons(unfinished: Sequence[Unfinished], erasure_id: int) -> Sequence[str]:
    return next((one.reasons for one in unfinished if one.erasure_id == erasure_id), ())


def _say(erased: Erased, reasons: Sequence[str]) -> None:
    what = "The listing" if erased.listings else "The user"
    photos = f", with {erased.photos:,} photos," if erased.photos else ""
    typer.echo(f"{what} is erased{photos} and is in no answer any more.")
    for reason in reasons:
        typer.echo(f"Traces are left for now: {reason}. The relay removes them.")
