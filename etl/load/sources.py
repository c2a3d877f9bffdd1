"""The sources of listings and photos: a raw feed, or a cleaned one."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from db.catalogue.listings import ListingData
from db.store.photo_store import PhotoStore
from etl.clean.currencies import HOME_CURRENCY
from etl.clean.feed import OnProgress, TableRows, clean_tables, open_feed
from etl.clean.feed_tables import IMAGES, PRODUCTS
from etl.clean.reading import TableReading, read_tables
from etl.clean.rejects import Rejects
from etl.clean.staging import Staging
from etl.load.cleaned_feed import CleanedFolder
from etl.load.feed_photos import feed_photos
from etl.photos.ledger import Ledger
from etl.photos.prepare import PreparedPhoto, prepare_photos
from etl.photos.remote_photos import FetchesPhotos, RemotePhotos
from models.cleaned_feed import PRODUCTS_FILE as CLEANED_PRODUCTS
from models.cleaned_feed import products_schema
from models.domain.errors import InvalidFeed


@dataclass(frozen=True, slots=True)
class IntakeContext:
    """The files and resources of an intake.

    `scratch` is a folder for its exclusive use, `ledger` the cache of photo outcomes, `rejects` the
    file that lists rejected rows. Without a store, photos are checked but not stored, and those at
    URLs not even fetched. `feed` is the feed's name, by which ids that are no UUIDs are mapped;
    `currency` that of prices without a symbol, `attributes` the columns that become attributes, or
    None for the usual ones. `urls` fetches photos, if that is allowed; if
    `refetch`, also those that are known.
    """

    scratch: Path
    ledger: Path
    rejects: Path | None
    store: PhotoStore | None
    max_photo_bytes: int
    processes: int
    feed: str = "feed"
    currency: str = HOME_CURRENCY
    attributes: Sequence[str] | None = None
    urls: FetchesPhotos | None = None
    refetch: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Clean listings, and their photos in the order of the listings.

    `rows` counts the rows read, `products` and `images` the usable ones; reports call their tables
    `product_file` and `photo_file`. Without `has_photos`, nothing is known about photos.
    `is_listed` returns those of some ids that the feed lists, usable or not.
    """

    rows: TableRows
    products: int
    images: int
    listings: Iterator[ListingData]
    photos: Iterator[PreparedPhoto]
    has_photos: bool
    is_listed: Callable[[Iterable[str]], set[str]]
    notes: list[str]
    product_file: str = PRODUCTS.name
    photo_file: str = IMAGES.name
    readings: list[TableReading] = field(default_factory=list)


@contextmanager
def open_source(
    folder: Path, context: IntakeContext, rejects: Rejects, on_progress: OnProgress
) -> Generator[Source]:
    """The source in this folder or file, its tables cleaned. Raises InvalidFeed."""
    cleaned = CleanedFolder(folder)
    if cleaned.exists() and (folder / PRODUCTS.name).exists():
        raise InvalidFeed(
            f"{folder} holds a feed as it was written and one as it was cleaned: which is meant? "
            f"Move {PRODUCTS.name} or {CLEANED_PRODUCTS} out of it."
        )
    opened = (
        _cleaned(cleaned, context)
        if cleaned.exists()
        else _raw(folder, context, rejects, on_progress)
    )
    with opened as source:
        yield source


@contextmanager
def _raw(
    folder: Path, context: IntakeContext, rejects: Rejects, on_progress: OnProgress
) -> Generator[Source]:
    feed = open_feed(folder, context.feed, context.currency, context.attributes)
    schema = products_schema(extended=feed.rules.extended, mapped_by=feed.rules.ids.feed)
    with ExitStack() as stack:
        staging = stack.enter_context(Staging(context.scratch, schema))
        rows = clean_tables(feed, staging, rejects, on_progress)
        ledger = stack.enter_context(Ledger(context.ledger))
        remote = RemotePhotos(context.urls, context.scratch / "fetched", again=context.refetch)
        photos = prepare_photos(
            feed_photos(staging.photos(), feed),
            context.store,
            ledger,
            max_bytes=context.max_photo_bytes,
            processes=context.processes,
            # A dry run would fetch all photos of a shop to keep none.
            remote=stack.enter_context(remote) if context.store is not None else None,
        )
        # Closed, so that its processes end with this block.
        stack.enter_context(closing(photos))
        yield Source(
            rows=rows,
            products=staging.products,
            images=staging.images,
            listings=staging.listings(),
            photos=photos,
            has_photos=feed.has_photos,
            is_listed=staging.listed_products,
            notes=feed.notes(),
            product_file=feed.product_file,
            photo_file=feed.photo_file,
            readings=read_tables(feed),
        )


@contextmanager
def _cleaned(cleaned: CleanedFolder, context: IntakeContext) -> Generator[Source]:
    rows = cleaned.rows()
    has_photos = cleaned.has_photos()
    notes = [] if has_photos else ["The cleaned feed has no photos: they are left as they are."]
    with Staging(context.scratch) as staging:
        for ids in cleaned.listed_ids():
            staging.add_unusable_products(ids)
        yield Source(
            rows=rows,
            products=rows.products,
            images=rows.images,
            listings=cleaned.listings(),
            photos=cleaned.photos(context.store),
            has_photos=has_photos,
            is_listed=staging.listed_products,
            notes=notes,
        )
