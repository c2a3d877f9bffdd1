"""Pictures for tests, drawn here."""

import io
import random

from PIL import Image, ImageDraw


def picture(seed: int, size: tuple[int, int] = (200, 160)) -> Image.Image:
    """A picture of random coloured shapes; another seed gives a clearly different one."""
    draw_with = random.Random(seed)

    def colour() -> tuple[int, int, int]:
        return draw_with.randrange(256), draw_with.randrange(256), draw_with.randrange(256)

    image = Image.new("RGB", size, colour())
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = draw_with.randrange(size[0]), draw_with.randrange(size[1])
        width, height = draw_with.randrange(20, 90), draw_with.randrange(20, 90)
        shape = draw.ellipse if draw_with.random() < 0.5 else draw.rectangle
        shape((x, y, x + width, y + height), fill=colour())
    return image


def jpeg(seed: int, size: tuple[int, int] = (200, 160)) -> bytes:
    """The same, as the bytes of a JPEG file."""
    file = io.BytesIO()
    picture(seed, size).save(file, "JPEG", quality=92)
    return file.getvalue()


def grey() -> bytes:
    """A PNG of one grey, in which there is nothing to see."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(file, "PNG")
    return file.getvalue()


def cut_jpeg(seed: int) -> bytes:
    """A JPEG whose last rows are missing, a fiftieth of its pixels or so."""
    grain = Image.frombytes("RGB", (320, 240), random.Random(seed).randbytes(320 * 240 * 3))
    file = io.BytesIO()
    Image.blend(picture(seed, grain.size), grain, 0.3).save(file, "JPEG")
    data = file.getvalue()
    return data[: int(len(data) * 0.985)]
