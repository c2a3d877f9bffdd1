"""How much faster is `standardise` than decoding in full, then resizing, then encoding?

    python benchmarks/photo_cleaning.py [--weights WEIGHTS]

Draws photos of 12 megapixels with the detail and the noise of a phone's camera, and brings each
into the standard form both ways, in turn. With weights it also says how similar ResNet-50 finds
the two results.
"""

import io
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from PIL import ExifTags, Image, ImageDraw, ImageOps

from models.domain.durable_files import sha256_of
from models.encoders.networks.architectures import RESNET50
from models.encoders.specs import network_spec
from models.encoders.torch_encoder import TorchEncoder
from models.photo_decoding import JPEG_QUALITY, LONG_SIDE, SUBSAMPLING, decode, standardise

# The sizes and ways of being held of common 12 megapixel cameras, as EXIF numbers them.
CAMERAS = (
    ((4000, 3000), 1),
    ((4032, 3024), 6),
    ((4032, 3024), 1),
    ((4000, 3000), 8),
    ((4080, 3060), 3),
    ((4608, 2592), 1),
)
CAMERA_QUALITY = 92
NOISE = 8.0
THINGS = 60


def main(
    weights: Annotated[Path | None, typer.Option(help="ResNet-50, for the similarity.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 5,
) -> None:
    """Measure both ways and print a table in Markdown."""
    encoder = weights and TorchEncoder(
        network_spec(RESNET50, sha256_of(weights)), RESNET50, weights, threads=2
    )
    typer.echo("| photo | MB | in full, ms | standardise, ms | ratio | cosine |")
    typer.echo("|---|---|---|---|---|---|")
    ratios, cosines = [], []
    for seed, (size, orientation) in enumerate(CAMERAS):
        photo = camera_photo(seed, size, orientation)
        slow, fast = float("inf"), float("inf")
        for _ in range(repeats):
            slow = min(slow, seconds(in_full, photo))
            fast = min(fast, seconds(standardise, photo))
        ratios.append(slow / fast)
        cosine = "-"
        if encoder:
            one, other = encoder.embed([decode(in_full(photo)), decode(standardise(photo).data)])
            cosines.append(float(one @ other))
            cosine = f"{cosines[-1]:.4f}"
        typer.echo(
            f"| {size[0]} x {size[1]} | {len(photo) / 1e6:.1f} | {slow * 1e3:.0f} "
            f"| {fast * 1e3:.0f} | {ratios[-1]:.2f} | {cosine} |"
        )
    typer.echo(f"\nratio: {np.mean(ratios):.2f} on average, {min(ratios):.2f} at least")
    if cosines:
        typer.echo(f"cosine: {np.mean(cosines):.4f} on average, {min(cosines):.4f} at least")


def camera_photo(seed: int, size: tuple[int, int], orientation: int) -> bytes:
    """A JPEG with detail at all scales, as in nature, hard-edged things, and a sensor's noise."""
    rng = np.random.default_rng(seed)
    width, height = size
    scene = np.zeros((height, width, 3), np.float32)
    for octave in range(2, 11):
        coarse = rng.normal(0, 0.7**octave, (2**octave * height // width + 1, 2**octave, 3))
        grain = Image.fromarray((128 + 90 * coarse).clip(0, 255).astype(np.uint8))
        scene += np.asarray(grain.resize(size, Image.Resampling.BICUBIC), np.float32) - 128
    photo = Image.fromarray((128 + scene).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(photo)
    for left, top, wide, high, *colour in rng.integers(0, 256, (THINGS, 7)).tolist():
        x, y = left * width // 256, top * height // 256
        shape = draw.ellipse if wide % 2 else draw.rectangle
        shape((x, y, x + wide * width // 1024, y + high * height // 1024), fill=tuple(colour))
    noisy = np.asarray(photo, np.float32) + rng.normal(0, NOISE, (height, width, 1))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return jpeg(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), CAMERA_QUALITY, exif=exif)


def in_full(photo: bytes) -> bytes:
    """The plain way to the same size and quality: every pixel is decoded and resampled."""
    image = Image.open(io.BytesIO(photo))
    # Else `thumbnail` would let the decoder halve the photo.
    image.load()
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
    return jpeg(ImageOps.exif_transpose(image), JPEG_QUALITY)


def jpeg(image: Image.Image, quality: int, **options: object) -> bytes:
    """The image as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=SUBSAMPLING, **options)
    return buffer.getvalue()


def seconds(function: Callable[[bytes], object], photo: bytes) -> float:
    """How long one call takes."""
    started = perf_counter()
    function(photo)
    return perf_counter() - started


if __name__ == "__main__":
    typer.run(main)
