"""Draws a whole catalogue: the feed's two tables, the photos, and the views held out of it."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.domain.errors import InvalidInput
from sample.feed_writer import IMAGE_COLUMNS, PRODUCT_COLUMNS, write_table
from sample.listing import Listing, draw_listing

IMAGES = "images"
HELD_OUT = "held_out"

_ALONE = 6
_MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class CatalogueSummary:
    """How much was drawn: listings, photos in the feed, views held out of it."""

    listings: int
    photos: int
    held_out: int


def draw_catalogue(
    target: Path,
    listings: int,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> CatalogueSummary:
    """Draws `listings` listings into the folder `target`, which appears only when it is complete.

    It holds `Products.csv`, `Images.csv`, `images/<image id>.jpg` and `held_out/<listing id>.jpg`,
    one photo of each listing's item that is not in the feed. The same `listings` and `seed` give
    the same bytes with the same library versions, and a listing does not depend on how many there
    are. `on_progress` is called with the number drawn after each listing.

    Raises:
        InvalidInput: there is nothing to draw, or the target holds something already.
    """
    if listings < 1:
        raise InvalidInput(f"A catalogue has at least 1 listing, not {listings}.")
    target = target.resolve()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InvalidInput(f"{target} exists already and is not an empty folder.")
    draft = target.with_name(f".{target.name}.drawing")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        summary = _draw(draft, listings, seed, on_progress)
        if target.exists():
            target.rmdir()
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return summary


def _draw(
    folder: Path, listings: int, seed: int, on_progress: Callable[[int], None] | None
) -> CatalogueSummary:
    for part in (IMAGES, HELD_OUT):
        (folder / part).mkdir(parents=True)
    products: list[tuple[str, ...]] = []
    images: list[tuple[str, str]] = []
    with closing(_drawn(listings, seed)) as drawn:
        for done, listing in enumerate(drawn, start=1):
            for photo in listing.photos:
                (folder / IMAGES / f"{photo.id}.jpg").write_bytes(photo.jpeg)
                images.append((photo.id, listing.id))
            (folder / HELD_OUT / f"{listing.id}.jpg").write_bytes(listing.held_out)
            products.append(_row(listing))
            if on_progress is not None:
                on_progress(done)
    write_table(folder / "Products.csv", PRODUCT_COLUMNS, products)
    write_table(folder / "Images.csv", IMAGE_COLUMNS, images)
    return CatalogueSummary(listings=listings, photos=len(images), held_out=len(products))


def _row(listing: Listing) -> tuple[str, ...]:
    words, seller = listing.words, listing.seller
    return (
        listing.id,
        words.product_name,
        listing.category,
        words.product_description,
        words.price,
        words.location,
        str(seller.latitude),
        str(seller.longitude),
        seller.name,
        words.condition,
        words.colour,
    )


def _drawn(listings: int, seed: int) -> Generator[Listing, None, None]:
    """The listings in order, drawn side by side when there are enough to be worth the start."""
    draw = partial(draw_listing, seed)
    if listings <= _ALONE:
        yield from map(draw, range(listings))
        return
    pool = ProcessPoolExecutor(
        max_workers=min(os.cpu_count() or 1, _MOST_WORKERS),
        # The caller may run threads, and a fork copies their locks in whatever state they are.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_leave_interrupts_to_the_parent,
    )
    try:
        yield from pool.map(draw, range(listings))
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
