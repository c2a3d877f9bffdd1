"""`marketlens search` and `marketlens similar`: what looks like a photo, or has some words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from command_line.options import Inline, JsonReport, command_of
from command_line.resources import store_of
from db.catalogue.listings import require_listing
from models.domain.errors import InvalidInput
from models.domain.filters import ListingFilter
from models.domain.job_payloads import Example, SearchPayload
from models.domain.job_results.searches import FoundListing, SearchResult
from models.domain.types import MatchLabel
from models.photo_decoding import standardise
from settings import Settings
from workers.commands.ask.answering import WIDTH_OF_ID, amount, answered, answering, named

Limit = Annotated[int, typer.Option(min=1, max=100, help="At most so many listings.")]
Category = Annotated[str | None, typer.Option(help="Of this category, or one below it.")]
PriceMax = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="At most so much, in --currency.")
]
Currency = Annotated[str | None, typer.Option(help="ISO 4217 code; the catalogue's by default.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """The options of `search`."""

    query: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO|WORDS...",
            help="A file of a photo, words, or both: what looks like it and has the words.",
        ),
    ]
    category: Category = None
    price_max: PriceMax = None
    currency: Currency = None
    limit: Limit = 10
    inline: Inline = False
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarOptions:
    """The options of `similar`."""

    listing: Annotated[UUID, typer.Argument(metavar="LISTING", help="The id of a listing.")]
    category: Category = None
    price_max: PriceMax = None
    currency: Currency = None
    limit: Limit = 10
    inline: Inline = False
    json_report: JsonReport = False


@command_of(SearchOptions)
def search(options: SearchOptions) -> None:
    """Find the listings that look like a photo, have some words, or both."""
    settings = Settings()
    photos, words = _told_apart(options.query)
    positive = [_stored(settings, photo) for photo in photos]
    _find(settings, options, positive, " ".join(words) or None)


@command_of(SimilarOptions)
def similar(options: SimilarOptions) -> None:
    """Find the listings that look like a listing."""
    _find(Settings(), options, [options.listing], None)


def _find(
    settings: Settings,
    options: SearchOptions | SimilarOptions,
    positive: Sequence[Example],
    words: str | None,
) -> None:
    payload = SearchPayload(
        positive=tuple(positive),
        text=words,
        filter=_filter_of(options, settings.currency),
        limit=options.limit,
    )
    with answering(settings, inline=options.inline) as (database, executor):
        with database.read() as session:
            for one in positive:
                if isinstance(one, UUID):
                    require_listing(session, one)
        result = answered(database, executor, payload, SearchResult.model_validate)
    if options.json_report:
        typer.echo(json.dumps(result.to_json()))
        return
    console = Console()
    console.print(_table(result.results) if result.results else "Nothing was found.")
    if result.match is MatchLabel.NONE:
        console.print("None of these is really alike.")


def _told_apart(query: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The photo and the words. Raises InvalidInput for more than one photo, or a missing one."""
    photos = [Path(one) for one in query if Path(one).is_file()]
    words = [one for one in query if not Path(one).is_file()]
    for one in words:
        if "/" in one:
            raise InvalidInput(f"There is no file {one}.")
    if len(photos) > 1:
        raise InvalidInput("One photo at a time: the API takes several.")
    return photos, words


def _stored(settings: Settings, photo: Path) -> str:
    """The SHA-256 of a photo that is stored for the worker. Raises InvalidPhoto."""
    return store_of(settings).put(standardise(photo.read_bytes()).data)


def _filter_of(options: SearchOptions | SimilarOptions, currency: str) -> ListingFilter | None:
    if options.category is None and options.price_max is None:
        return None
    limit = None
    if options.price_max is not None:
        try:
            limit = Decimal(options.price_max)
        except ArithmeticError as error:
            raise InvalidInput(f"--price-max={options.price_max} is no amount.") from error
    return ListingFilter(
        category=options.category,
        price_max=limit,
        currency=(options.currency or currency) if limit is not None else options.currency,
    )


def _table(results: Sequence[FoundListing]) -> Table:
    table = Table()
    table.add_column("", justify="right")
    table.add_column("Listing", min_width=WIDTH_OF_ID)
    table.add_column("Price", justify="right", no_wrap=True)
    by_look = any(one.similarity is not None for one in results)
    if by_look:
        table.add_column("Alike", no_wrap=True)
    for place, one in enumerate(results, start=1):
        listing = named(one.title, one.category, one.listing_id)
        cells: list[str | Text] = [str(place), listing, amount(one.price, one.currency)]
        table.add_row(*cells, *([_likeness(one)] if by_look else []))
    return table


def _likeness(one: FoundListing) -> str:
    parts = [] if one.similarity is None else [f"{one.similarity:.3f}"]
    return "\n".join([*parts, *([one.match.value] if one.match else [])])
