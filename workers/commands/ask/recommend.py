"""`marketlens recommend`: what a user would open next, and why."""

import json
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from command_line.options import Inline, JsonReport, command_of
from db.catalogue.listings import require_listing
from db.events.users import user_key
from db.ranking.of_recommendations import recommendation_ranking
from db.session import Database
from models.domain.job_payloads import RecommendationPayload
from models.domain.job_results.recommendations import (
    Because,
    RecommendationResult,
    RecommendedListing,
)
from models.domain.recommendations.events import EventKind
from settings import Settings
from workers.commands.ask.answering import WIDTH_OF_ID, amount, answered, answering, named

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
    with answering(settings, inline=options.inline) as (database, executor):
        payload = _payload(database, options, exclude_seen=settings.exclude_seen)
        result = answered(database, executor, payload, RecommendationResult.model_validate)
    if options.json_report:
        typer.echo(json.dumps(result.to_json()))
    else:
        Console().print(_table(result) if result.results else "There is nothing to recommend yet.")


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


def _table(result: RecommendationResult) -> Table:
    table = Table()
    table.add_column("", justify="right")
    table.add_column("Listing", min_width=WIDTH_OF_ID)
    table.add_column("Price", justify="right", no_wrap=True)
    table.add_column("Score", justify="right", no_wrap=True)
    for place, one in enumerate(result.results, start=1):
        listing = named(one.title, one.category, one.listing_id)
        price = amount(one.price, one.currency)
        listing.append(f"\n{reason_of(one)}", style="italic")
        table.add_row(str(place), listing, price, f"{one.score:.3f}")
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
