"""The program that `first_export` starts: exports an encoder, compared on photos drawn for that."""

import io
import json
import sys
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from models.domain.errors import ExportTooSlow, FidelityTooLow
from models.domain.types import Precision
from models.encoders.export import ExportOptions, export_encoder
from models.encoders.first_export import REFUSED
from models.encoders.library import AUTO, EncoderLibrary
from models.labels import LabelledPhotos

PHOTOS: Final = 32
PHOTO_SIZE: Final = (400, 300)
SHAPES: Final = 12


def main(models_dir: Path, label: str, threads: int) -> None:
    """Export, and print photos a second of both runtimes, or why the network was refused."""
    try:
        made = export_encoder(
            EncoderLibrary(AUTO, None, models_dir),
            label,
            models_dir,
            Precision.FLOAT32,
            drawn_photos(PHOTOS),
            options=ExportOptions(must_be_better=True),
            threads=threads,
        )
    except (FidelityTooLow, ExportTooSlow) as error:
        answer: dict[str, object] = {REFUSED: str(error)}
    else:
        answer = {"torch": made.source_speed, "exported": made.speed}
    sys.stdout.write(json.dumps(answer))


def drawn_photos(count: int) -> LabelledPhotos:
    """Photos of overlapping shapes, each of a listing of its own, without categories."""
    names = tuple(str(number) for number in range(count))
    return LabelledPhotos(names, names, ("",) * count, lambda name: _draw(int(name)))


def _draw(seed: int) -> bytes:
    rng = np.random.default_rng(seed)

    def colour() -> tuple[int, int, int]:
        red, green, blue = rng.integers(0, 256, 3).tolist()
        return red, green, blue

    photo = Image.new("RGB", PHOTO_SIZE, colour())
    draw = ImageDraw.Draw(photo)
    for number in range(SHAPES):
        corners = rng.integers(0, PHOTO_SIZE, (2, 2))
        box = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
        (draw.ellipse if number % 2 else draw.rectangle)(box, fill=colour())
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
