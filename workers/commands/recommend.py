"""`marketlens recommend`: what a user would open next, and why."""

import json
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from command_line.options import Inline, JsonReport, command_of
from command_line.resources import check_database_exists, database_of
from db.catalogue.listings import require_listing
from db.events.users import user_key
from db.jobs import accepting, reading
from db.recommendation_ranking import recommendation_ranking
from db.session import Database
from models.domain.errors import SetupError
from models.domain.job_payloads import RecommendationPayload
from models.domain.job_results.recommendations import (
    Because,
    RecommendationResult,
    RecommendedListing,
)
from models.domain.recommendations.events import EventKind
from settings import Settings
from workers.commands.job_executor import job_executor
from workers.queue.executors import JobExecutor, run_to_end
from workers.queue.messages import Queue

DID: Final = {
    EventKind.VIEWED: "looked at",
    EventKind.SAVED: "saved",
    EventKind.CONTACTED: "asked about",
    EventKind.PURCHASED: "bought",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendOptions:
    """The options of the command."""

    user: Annotated[
        str | None,
        typer.Argument(
            metavar="USER", help="The user as events name them; without one, it is for anybody."
        ),
    ] = None
    listing: Annotated[
        UUID | None, typer.Option(help="What goes with this listing, as on its item page.")
    ] = None
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many listings.")] = 10
    inline: Inline = False
    json_report: JsonReport = False


@command_of(RecommendOptions)
def recommend(options: RecommendOptions) -> None:
    """Show what would be recommended to a user, and why."""
    settings = Settings()
    check_database_exists(settings)

    def say(message: str) -> None:
        typer.echo(message, err=True)

    with (
        database_of(settings) as database,
        job_executor(database, settings, say, inline=options.inline) as executor,
    ):
        payload = _payload(database, options, exclude_seen=settings.exclude_seen)
        result = _recommended(database, executor, payload)
    if options.json_report:
        typer.echo(json.dumps(result.to_json()))
    else:
        Console().print(_table(result))


def _payload(
    database: Database, options: RecommendOptions, *, exclude_seen: bool
) -> RecommendationPayload:
    with database.read() as session:
        if options.listing is not None:
            require_listing(session, options.listing)
        user = options.user
        return RecommendationPayload(
            user=None if user is None else user_key(session, user).hex(),
            listing_id=options.listing,
            rank=recommendation_ranking(session),
            exclude_seen=exclude_seen,
            limit=options.limit,
        )


def _recommended(
    database: Database, executor: JobExecutor, payload: RecommendationPayload
) -> RecommendationResult:
    """The result of the job. Raises SetupError with why it has none."""
    with database.write() as session:
        job = accepting.accept(session, payload, job_id=uuid4(), now=database.now(), total=1)
    executor.submit([job])
    run_to_end(executor, database, Queue.SEARCH, [job.id], lambda _: None)
    with database.read() as session:
        done = reading.get(session, job.id)
    if done.result is None:
        raise SetupError(done.error_detail or "The recommendation was cancelled.")
    return RecommendationResult.model_validate(done.result)


def _table(result: RecommendationResult) -> Table:
    table = Table(title=f"{len(result.results)} recommended", title_justify="left")
    for name in ("", "Listing", "Price", "Score", "Because"):
        table.add_column(name, justify="right" if name in {"", "Price", "Score"} else "left")
    for place, one in enumerate(result.results, start=1):
        price = "" if one.price is None else f"{one.price} {one.currency or ''}".strip()
        table.add_row(
            str(place),
            f"{escape(one.title)} ({one.listing_id})",
            price,
            f"{one.score:.3f}",
            escape(reason_of(one)),
        )
    return table


def reason_of(one: RecommendedListing) -> str:
    """Why it is recommended, in words: what led to it, and the parts of its score."""
    parts = ", ".join(f"{part} {value:.2f}" for part, value in one.reasons.items() if value)
    return "; ".join(filter(None, [_led_by(one.because, one.listing_id), parts]))


def _led_by(because: Because | None, listing_id: UUID) -> str:
    if because is None:
        return ""
    title = because.title or "a listing that is gone"
    if because.kind is None:
        return f"it is like {title}"
    if because.listing_id == listing_id:
        return f"you {DID[because.kind]} it"
    return f"because you {DID[because.kind]} {title}"
