"""What holds of the whole intake, whatever pair of tables it is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.catalogue.listings import ListingData
from etl.clean import feed as clean
from etl.clean.feed_tables import IMAGES, PRODUCTS
from etl.clean.rejects import Consequence, Reject
from etl.load.pipeline import run_intake
from etl.load.sink import IsListed
from etl.load.sources import IntakeContext
from etl.photos.ledger import Ledger
from etl.photos.photo_files import Kept, PhotoFile, stat_photo
from etl.photos.prepare import PreparedPhoto
from etl.report import IntakeReport
from models.domain.errors import InvalidFeed
from tests.support.feeds import photo_id, read_rejects
from tests.support.mangling import MANGLED, Mangle, Row, image_rows, mangled, product_rows, written

LISTINGS = 4
PHOTOS = 9
MAX_BYTES = 1_000


@dataclass
class Collected:
    """A sink that keeps what it is given: the listings, and the photos that can be used."""

    listings: list[ListingData] = field(default_factory=list)
    photos: list[PreparedPhoto] = field(default_factory=list)

    def start(self, *_: Any, **__: Any) -> None:
        assert not self.listings

    def load(self, listings: Sequence[ListingData], photos: Sequence[PreparedPhoto] | None) -> None:
        assert photos is not None
        assert _listings_of(photos) <= _ids(listings)
        self.listings += listings
        self.photos += (photo for photo in photos if photo.data is not None)

    def end(self, is_listed: IsListed) -> None:
        assert is_listed(_ids(self.listings)) == _ids(self.listings)


@dataclass(frozen=True)
class Intake:
    """What became of a feed, or the reason why it was refused."""

    taken: Collected
    rejects: list[Reject]
    report: IntakeReport | None = None
    refusal: str = ""


def _ids(listings: Sequence[ListingData]) -> set[str]:
    return {str(listing.id) for listing in listings}


def _listings_of(photos: Sequence[PreparedPhoto]) -> set[str]:
    return {photo.source.listing_id for photo in photos}


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, all but each third."""
    folder = tmp_path_factory.mktemp("feed")
    (folder / "images").mkdir()
    for number in range(1, PHOTOS + 1):
        if number % 3:
            (folder / "images" / f"{photo_id(number)}.jpg").write_bytes(b"seen before")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, feed: Path) -> IntakeContext:
    """A context whose ledger knows the photos: none has to be decoded."""
    folder = tmp_path_factory.mktemp("place")
    with Ledger(folder / "photos.db") as ledger:
        for path in (feed / "images").iterdir():
            file = stat_photo(path, MAX_BYTES)
            assert isinstance(file, PhotoFile)
            ledger.record(file, Kept("0" * 64, 1, 1))
    return IntakeContext(
        scratch=folder / "scratch",
        ledger=folder / "photos.db",
        rejects=folder / "rejects.csv",
        store=None,
        max_photo_bytes=MAX_BYTES,
        processes=1,
    )


def take_in(feed: Path, place: IntakeContext, rows_per_chunk: int) -> Intake:
    taken = Collected()
    rejects = place.scratch.with_name(f"rejects-{rows_per_chunk}.csv")
    rejects.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clean, "ROWS_PER_CHUNK", rows_per_chunk)
        try:
            report = run_intake(
                feed,
                taken,
                replace(place, rejects=rejects),
                locate=dict.fromkeys,
                on_progress=lambda stage, done, total: None,  # noqa: ARG005 - shows nothing
            )
        except InvalidFeed as error:
            return Intake(taken, [], refusal=str(error))
    return Intake(taken, read_rejects(rejects), report)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    products=st.lists(product_rows(LISTINGS), min_size=1, max_size=12),
    images=st.lists(image_rows(PHOTOS, LISTINGS), max_size=12),
    mangles=st.tuples(MANGLED, MANGLED),
    spare_headers=st.integers(0, 5).map(bool),
)
def test_every_row_is_taken_in_or_rejected_whatever_the_chunks(
    feed: Path,
    place: IntakeContext,
    products: list[Row],
    images: list[Row],
    mangles: tuple[list[Mangle], list[Mangle]],
    *,
    spare_headers: bool,
) -> None:
    """Without its headers a feed is refused, which is soon tested: they are mostly spared."""
    for spec, rows, how in zip((PRODUCTS, IMAGES), (products, images), mangles, strict=True):
        header = written([spec.columns])
        content = (
            header.encode() + mangled(written(rows), how)
            if spare_headers
            else mangled(header + written(rows), how)
        )
        (feed / spec.name).write_bytes(content)

    whole = take_in(feed, place, 10_000)

    assert take_in(feed, place, 3) == whole
    if whole.report is None:
        assert whole.refusal
        assert not whole.taken.listings
        return
    for name, tally, ids in (
        (PRODUCTS.name, whole.report.products, [str(item.id) for item in whole.taken.listings]),
        (IMAGES.name, whole.report.photos, [photo.source.id for photo in whole.taken.photos]),
    ):
        rejected = [
            reject.row
            for reject in whole.rejects
            if reject.file == name and reject.consequence is Consequence.REJECTED
        ]
        assert (tally.accepted, tally.rejected) == (len(ids), len(rejected))
        assert tally.read == len(ids) + len(rejected)
        assert len(set(ids)) == len(ids)
        assert len(set(rejected)) == len(rejected)
