"""In which shape should ResNet-50 see photos? Letterboxed, squashed, cropped or whole.

    python benchmarks/photo_shapes.py FEED WEIGHTS

Every photo of the feed is a query, and all photos of other listings are its catalogue; a hit is a
photo of the same category. All shapes see the same photos, after `standardise` as in the product,
so that their differences are paired: the intervals come from drawing listings, not photos, with
replacement, because photos of one listing succeed and fail together.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.encoders.encoder import unit_rows
from models.encoders.networks.architectures import RESNET50
from models.encoders.networks.build import build_network
from models.encoders.torch_encoder import BATCH
from models.evaluation.intervals import cluster_means, span
from models.evaluation.retrieval_metrics import Retrieval, retrieve
from models.photo_decoding import decode, standardise

Floats = NDArray[np.float32]
Shape = Callable[[Image.Image], Image.Image]

SIDE = 224
BILINEAR = Image.Resampling.BILINEAR


def letterbox(photo: Image.Image) -> Image.Image:
    """The whole photo in a square, with black bars."""
    return ImageOps.pad(photo, (SIDE, SIDE), BILINEAR, color="black")


def squash(photo: Image.Image) -> Image.Image:
    """The whole photo as a square, its proportions lost."""
    return photo.resize((SIDE, SIDE), BILINEAR)


def whole(photo: Image.Image, short_side: int) -> Image.Image:
    """The whole photo in its proportions; how large the network's picture is depends on them."""
    # Rounded down, as torchvision does.
    width, height = (side * short_side // min(photo.size) for side in photo.size)
    return photo.resize((width, height), BILINEAR)


def crop(photo: Image.Image, short_side: int) -> Image.Image:
    """The square in the middle of the photo scaled to this short side."""
    scaled = whole(photo, short_side)
    left, top = round((scaled.width - SIDE) / 2), round((scaled.height - SIDE) / 2)
    return scaled.crop((left, top, left + SIDE, top + SIDE))


SHAPES: Mapping[str, Shape] = {
    "letterbox in black": letterbox,
    "squash": squash,
    "centre crop 256 → 224": partial(crop, short_side=256),
    "centre crop 232 → 224": partial(crop, short_side=232),
    "centre crop 224 → 224": partial(crop, short_side=SIDE),
    "short side 224, whole": partial(whole, short_side=SIDE),
}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Standardised photos as JPEG, with the number of each one's listing and category."""

    photos: list[bytes]
    listings: NDArray[np.int64]
    categories: NDArray[np.int64]


def main(
    feed: Annotated[Path, typer.Argument(help="Products.csv, Images.csv and images/<id>.jpg.")],
    weights: Annotated[Path, typer.Argument(help="ResNet-50, safetensors or a state dict.")],
    *,
    limit: Annotated[int | None, typer.Option(help="Only the first so many photos.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 2,
) -> None:
    """Measure every shape and print a table in Markdown."""
    torch.set_num_threads(threads)
    network = build_network(RESNET50, weights)
    catalogue = read_catalogue(feed, limit)
    queries = np.arange(len(catalogue.photos))
    results: dict[str, Retrieval] = {}
    for name, shape in SHAPES.items():
        vectors = embed(network, catalogue.photos, shape)
        results[name] = retrieve(vectors, catalogue.listings, catalogue.categories, queries)
        typer.echo(f"{name}: {results[name].precision_at_1.mean():.4f}", err=True)
    means = cluster_means(
        np.stack([result.precision_at_1 for result in results.values()], axis=1),
        catalogue.listings,
        np.random.default_rng(0),
    )
    best = int(means.observed.argmax())
    typer.echo(f"{len(catalogue.photos):,} photos, {catalogue.categories.max() + 1} categories\n")
    typer.echo("| shape | precision@1 | to the best, 95% interval | precision@10 | mAP |")
    typer.echo("|---|---|---|---|---|")
    for number, (name, result) in enumerate(results.items()):
        versus = "best" if number == best else span(means.difference(number, best), "+")
        typer.echo(
            f"| {name} | {result.precision_at_1.mean():.3f} | {versus} "
            f"| {result.precision_at_10.mean():.3f} | {result.average_precision.mean():.3f} |"
        )


def read_catalogue(feed: Path, limit: int | None) -> Catalogue:
    """The photos of a feed whose listing states a category."""
    category_of = {row["id"]: row["category"] for row in _rows(feed / "Products.csv")}
    images = [row for row in _rows(feed / "Images.csv") if category_of.get(row["product_id"])]
    images = images[:limit]
    return Catalogue(
        [standardise((feed / "images" / f"{row['id']}.jpg").read_bytes()).data for row in images],
        _numbered([row["product_id"] for row in images]),
        _numbered([category_of[row["product_id"]] for row in images]),
    )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    # Only a line feed ends a line in this dialect: a carriage return belongs to the text.
    text = path.read_bytes().decode("utf-8-sig").replace("\r", " ")
    return csv.DictReader(text.split("\n"))


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(names, return_inverse=True)[1]


def embed(network: torch.nn.Module, photos: Sequence[bytes], shape: Shape) -> Floats:
    """Vectors of length 1, one row a photo. Pictures of one size go through together."""
    vectors = np.empty((len(photos), RESNET50.dimension), np.float32)
    pictures = ((number, shape(decode(photo))) for number, photo in enumerate(photos))
    for batch in _batches(pictures):
        numbers, pixels = zip(*batch, strict=True)
        values = torch.from_numpy(np.stack([np.asarray(picture) for picture in pixels]))
        # Photos x channels x height x width, laid out in memory with the channels last.
        values = (values / 255 - torch.tensor(RESNET50.transform.mean)) / torch.tensor(
            RESNET50.transform.std
        )
        with torch.inference_mode():
            vectors[list(numbers)] = network(values.permute(0, 3, 1, 2)).numpy()
    return unit_rows(vectors)


def _batches(
    pictures: Iterator[tuple[int, Image.Image]],
) -> Iterator[list[tuple[int, Image.Image]]]:
    waiting: dict[tuple[int, int], list[tuple[int, Image.Image]]] = {}
    for number, picture in pictures:
        same_size = waiting.setdefault(picture.size, [])
        same_size.append((number, picture))
        if len(same_size) == BATCH:
            yield waiting.pop(picture.size)
    yield from waiting.values()


if __name__ == "__main__":
    typer.run(main)
