"""The program that `quantising` starts: exports an encoder's network in int8, if it is better.

It reads the photos that calibrate and compare, as JSON, and prints what came of it.
"""

import json
import os
import sys
from pathlib import Path
from typing import Final

from filelock import FileLock

from db.store.photo_store import PhotoStore
from models.domain.errors import MarketlensError
from models.domain.types import Precision
from models.encoders.export import ExportOptions, export_encoder
from models.encoders.library import AUTO, EncoderLibrary
from models.labels import LabelledPhotos
from workers.encoders.quantising import ENCODER, REFUSED

NICENESS: Final = 10
"""Searches and embed jobs come first."""


def main(models_dir: Path, store_url: str, label: str, threads: int) -> None:
    """Export, and print the label of the int8 encoder, or why there is none."""
    os.nice(NICENESS)
    given = {name: tuple(values) for name, values in json.load(sys.stdin).items()}
    photos = LabelledPhotos(**given, fetch=PhotoStore(store_url).get)
    library = EncoderLibrary(AUTO, None, models_dir)
    try:
        # Of a worker that was killed, this program may still run.
        with FileLock(models_dir / ".int8.lock"):
            made = library.int8_of(library.find(label))
            if made is None:
                options = ExportOptions(must_be_better=True)
                made = export_encoder(
                    library,
                    label,
                    models_dir,
                    Precision.INT8,
                    photos,
                    options=options,
                    threads=threads,
                ).package.spec
    except MarketlensError as error:
        answer = {REFUSED: str(error)}
    else:
        answer = {ENCODER: made.label}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
