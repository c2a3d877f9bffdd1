"""What the largest photos that are taken cost: peak memory and processor time, of each format.

    python -m benchmarks.photo_limits [--only PNG]

Each photo is drawn, and standardised in a process of its own. Needs pillow-heif, from the
dependency group `test`, to draw HEIC photos.
"""

import io
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import process_time
from typing import Annotated, Final, NamedTuple

import pillow_heif
import typer
from PIL import Image

from models.domain.errors import InvalidInput
from models.photo_decoding import standardise
from tests.support.decoder_process import peak_bytes, reset_peak


class Case(NamedTuple):
    """A photo to be measured: what it is, its size in pixels, and how it is written."""

    name: str
    size: tuple[int, int]
    kind: str
    options: dict[str, object]
    mode: str = "RGB"


CASES: Final = (
    Case("JPEG, 12 megapixels", (4000, 3000), "JPEG", {}),
    Case("JPEG, 50 megapixels", (8160, 6144), "JPEG", {}),
    Case("JPEG, 108 megapixels", (12_000, 9000), "JPEG", {}),
    Case("JPEG, 200 megapixels", (16_320, 12_240), "JPEG", {}),
    Case("JPEG, panorama", (20_000, 1000), "JPEG", {}),
    Case("JPEG, panorama of 65 megapixels", (16_384, 4000), "JPEG", {}),
    Case("JPEG, the limit", (15_800, 15_800), "JPEG", {}),
    Case("JPEG, the limit, 4:4:4", (15_800, 15_800), "JPEG", {"subsampling": "4:4:4"}),
    Case("JPEG, the limit, CMYK", (15_800, 15_800), "JPEG", {}, "CMYK"),
    Case("JPEG, progressive, the limit", (8366, 8366), "JPEG", {"progressive": True}),
    Case(
        "JPEG, progressive, the limit, 4:4:4",
        (8366, 8366),
        "JPEG",
        {"progressive": True, "subsampling": "4:4:4"},
    ),
    Case("PNG, RGB, the limit", (10_488, 10_488), "PNG", {"compress_level": 1}),
    Case("PNG, RGBA, the limit", (10_488, 10_488), "PNG", {"compress_level": 1}, "RGBA"),
    Case("PNG, 16 bits, the limit", (10_488, 10_488), "PNG", {"compress_level": 1}, "I;16"),
    Case("WebP, the limit", (8366, 8366), "WEBP", {"method": 0}),
    Case("WebP, lossless, the limit", (8366, 8366), "WEBP", {"lossless": True, "method": 0}),
    Case("HEIC, 48 megapixels", (8064, 6048), "HEIC", {}),
    Case("HEIC, the limit", (8366, 8366), "HEIC", {}),
    Case("AVIF, the limit", (8366, 8366), "AVIF", {"speed": 10}),
    Case("GIF, the limit", (8366, 8366), "GIF", {}, "P"),
    Case("BMP, the limit", (8366, 8366), "BMP", {}),
)


def main(
    only: Annotated[str, typer.Option(help="Only those whose name has this.")] = "",
) -> None:
    """Measure and print a table in Markdown."""
    typer.echo("| photo | size | MB | peak memory, MB | processor seconds |")
    typer.echo("|---|---|---|---|---|")
    for case in CASES:
        if only not in case.name:
            continue
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            data = pool.submit(drawn, case).result()
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(standardise_small).result()
            megabytes, seconds = pool.submit(measured, data).result()
        width, height = case.size
        typer.echo(
            f"| {case.name} | {width:,} x {height:,} | {len(data) / 1e6:.1f} "
            f"| {megabytes:,.0f} | {seconds:.2f} |"
        )
        sys.stdout.flush()


def drawn(case: Case) -> bytes:
    """The photo's file: noise at a sixteenth of its size, enlarged, within the limit of uploads."""
    width, height = case.size
    noise = Image.effect_noise((width // 16, height // 16), 60).resize(case.size)
    image = Image.merge("RGB", [noise, noise, noise])
    if case.mode == "I;16":
        image = noise.convert("I;16")
    elif case.mode != "RGB":
        image = image.convert(case.mode)
    file = io.BytesIO()
    if case.kind == "HEIC":
        # Its fastest way of coding.
        parameters = {"preset": "ultrafast"}
        pillow_heif.from_pillow(image).save(file, quality=60, enc_params=parameters)
    else:
        image.save(file, case.kind, **case.options)
    return file.getvalue()


def standardise_small() -> None:
    """Load what each process loads once."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    standardise(file.getvalue())


def measured(data: bytes) -> tuple[float, float]:
    """By how many MB the process grows at most, without the file itself, and processor time."""
    reset_peak()
    before = peak_bytes()
    started = process_time()
    try:
        standardise(data)
    except InvalidInput as error:
        raise SystemExit(str(error)) from error
    return (peak_bytes() - before) / 1e6, process_time() - started


if __name__ == "__main__":
    typer.run(main)
