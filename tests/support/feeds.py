"""Feeds for tests, in the dialect of the real one."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from etl.clean.rejects import Consequence, Reject
from tests.support.pictures import jpeg

PRODUCT_HEADER = ("", "id", "product_name", "category", "product_description", "price", "location")
IMAGE_HEADER = ("", "id", "product_id")


def listing_id(number: int) -> UUID:
    return UUID(f"00000000-0000-4000-8000-{number:012d}")


def photo_id(number: int) -> UUID:
    return UUID(f"00000000-0000-4000-9000-{number:012d}")


def product_row(number: int, **changes: str) -> list[str]:
    """A product as the feed writes it, with some fields changed."""
    fields = {
        "": str(number),
        "id": str(listing_id(number)),
        "product_name": f"Lamp {number} | in Leeds, West Yorkshire | Gumtree",
        "category": "Home & Garden / Lighting",
        "product_description": f"Lamp {number}.\rWorks well.",
        "price": "£5.00",
        "location": "Leeds, West Yorkshire",
    }
    return list((fields | changes).values())


def image_row(number: int, product: int) -> list[str]:
    """A photo as the feed names it."""
    return [str(number), str(photo_id(number)), str(listing_id(product))]


def to_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV in which only a line feed ends a line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def write_feed(
    folder: Path,
    products: Sequence[Sequence[str]],
    images: Sequence[Sequence[str]],
    photos: Mapping[int, bytes],
) -> Path:
    """Write a feed; photo files are named by number, as `image_row` names them."""
    (folder / "images").mkdir(parents=True)
    (folder / "Products.csv").write_bytes(to_csv([PRODUCT_HEADER, *products]))
    (folder / "Images.csv").write_bytes(to_csv([IMAGE_HEADER, *images]))
    for number, data in photos.items():
        (folder / "images" / f"{photo_id(number)}.jpg").write_bytes(data)
    return folder


def simple_feed(folder: Path, listings: int, photos_each: int = 2) -> Path:
    """A feed without faults."""
    numbers = range(1, listings * photos_each + 1)
    return write_feed(
        folder,
        [product_row(number) for number in range(1, listings + 1)],
        [image_row(number, (number - 1) // photos_each + 1) for number in numbers],
        {number: jpeg(number, (64, 48)) for number in numbers},
    )


def read_rejects(path: Path) -> list[Reject]:
    """The rejects of a report, and what was left out."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Reject(
                *(row["file"], int(row["row"]), row["id"], row["field"], row["reason"]),
                consequence=Consequence(row["consequence"]),
            )
            for row in csv.DictReader(file)
        ]
