"""What colour profiles do to embeddings: the same photos in sRGB and in Display P3.

    python -m benchmarks.photo_colours FOLDER [--photos 300]

Each JPEG of the folder is written twice, at the same quality: in sRGB, and in the numbers of
Display P3 with its profile, as phones write it. The second is standardised with its profile applied
and with it ignored, and both are compared with the first by the network whose weights are
installed. A photo is confused if its sRGB version finds another photo's before its own.
"""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from models.encoders.encoder import Encoder
from models.encoders.library import EncoderLibrary
from models.encoders.runtimes import open_encoder
from models.photo_decoding import decode, standardise
from tests.support.photo_files import display_p3, in_display_p3

QUALITY: Final = 95
BATCH: Final = 32


def main(
    folder: Annotated[Path, typer.Argument(help="A folder of photos in sRGB.")],
    photos: Annotated[int, typer.Option(help="So many of them.")] = 300,
) -> None:
    """Measure, and print a table in Markdown."""
    paths = sorted(folder.glob("*.jp*g"))
    paths = paths[:: max(len(paths) // photos, 1)][:photos]
    plain, applied, ignored = [], [], []
    for path in paths:
        image = decode(path.read_bytes())
        plain.append(written(image))
        wide = in_display_p3(image)
        applied.append(written(wide, icc_profile=display_p3()))
        ignored.append(written(wide))
    with TemporaryDirectory() as packages:
        library = EncoderLibrary("efficientnet-lite", None, Path(packages))
        encoder = open_encoder(library, library.configured(), threads=1)
        encoder.load()
        vectors = [vectors_of(encoder, files) for files in (plain, applied, ignored)]
    typer.echo(f"{len(paths)} photos, {encoder.spec.name}\n")
    typer.echo("| profile | cosine, mean | lowest twentieth | lowest | confused |")
    typer.echo("|---|---|---|---|---|")
    for name, others in zip(("applied", "ignored"), vectors[1:], strict=True):
        cosines = vectors[0] @ others.T
        own = np.diag(cosines)
        confused = int((cosines.argmax(axis=1) != np.arange(len(own))).sum())
        typer.echo(
            f"| {name} | {own.mean():.4f} | {np.quantile(own, 0.05):.4f} | {own.min():.4f} "
            f"| {confused} |"
        )


def written(image: Image.Image, **options: object) -> bytes:
    """The image as the bytes of a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, **options)
    return file.getvalue()


def vectors_of(encoder: Encoder, files: list[bytes]) -> NDArray[np.float32]:
    """Unit vectors of the photos in their standard form."""
    batches = []
    for start in range(0, len(files), BATCH):
        photos = [decode(standardise(data).data) for data in files[start : start + BATCH]]
        batches.append(encoder.embed(photos))
    return np.concatenate(batches)


if __name__ == "__main__":
    typer.run(main)
