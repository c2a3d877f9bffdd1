from pathlib import Path

import numpy as np
from PIL import Image

from models.training.charts import WORST_SHOWN, draw_confusion, draw_curves, draw_worst
from models.training.data.split import Examples
from tests.support.training import COLOURS, catalogue

# What matplotlib would take for mathematics, and fail on.
CATEGORIES = ("Lamps $\\frac{$", "Rugs_^", "Toys & <b>")


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        return image.size


def test_confusion_is_drawn_whatever_categories_are_called(tmp_path: Path) -> None:
    draw_confusion(tmp_path / "c.png", CATEGORIES, np.array([[3, 1, 0], [0, 0, 0], [0, 2, 5]]))
    assert min(size(tmp_path / "c.png")) > 200


def test_curves_are_drawn_side_by_side(tmp_path: Path) -> None:
    lines = {"train": [3.0, 2.0], "validation": [3.0, 2.5]}
    draw_curves(tmp_path / "one.png", ("epoch", [1.0, 2.0]), {"loss": lines})
    draw_curves(tmp_path / "two.png", ("epoch", [1.0, 2.0]), {"loss": lines, "accuracy": lines})
    assert size(tmp_path / "two.png")[0] == 2 * size(tmp_path / "one.png")[0]


def test_the_surest_mistakes_are_shown(tmp_path: Path) -> None:
    photos = catalogue()
    targets = np.array([list(COLOURS).index(path) for path in photos.categories])
    read: list[str] = []

    def fetch(digest: str) -> bytes:
        read.append(digest)
        return photos.fetch(digest)

    watched = type(photos)(photos.hashes, photos.listings, photos.categories, fetch)
    # All wrong, the surer the later.
    confidence = np.linspace(0.5, 0.9, len(targets), dtype=np.float32)
    probabilities = np.full((len(targets), 3), 0.05, np.float32)
    probabilities[np.arange(len(targets)), (targets + 1) % 3] = confidence
    draw_worst(tmp_path / "worst.png", CATEGORIES, Examples(watched, targets), probabilities)
    assert read == list(reversed(photos.hashes))[:WORST_SHOWN]
    assert min(size(tmp_path / "worst.png")) > 200


def test_no_mistakes_make_a_picture_too(tmp_path: Path) -> None:
    photos = catalogue(3)
    targets = np.array([0, 0, 1, 2])
    draw_worst(
        tmp_path / "worst.png",
        CATEGORIES,
        Examples(photos, targets),
        np.eye(3, dtype=np.float32)[targets],
    )
    assert min(size(tmp_path / "worst.png")) > 200
