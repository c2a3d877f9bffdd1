"""Simple bodies seen a little from above and from the right."""

from collections.abc import Sequence

from PIL import Image

from sample.drawing import shades
from sample.drawing.canvas import Canvas, Paint
from sample.drawing.colours import INK, RGB, RUBBER, STEEL, darker, legible, lighter
from sample.drawing.outlines import Points, arc, box, closed, oval, polygon


def cuboid(
    canvas: Canvas,
    front: tuple[float, float, float, float],
    depth: tuple[float, float],
    paint: Paint,
) -> None:
    """A box: `front` is left, top, right, bottom; its side and its top recede by `depth`."""
    left, top, right, bottom = front
    dx, dy = depth
    canvas.fill(
        polygon((left, top), (left + dx, top - dy), (right + dx, top - dy), (right, top)),
        paint,
        shades.level(0.22),
    )
    canvas.fill(
        polygon((right, top), (right + dx, top - dy), (right + dx, bottom - dy), (right, bottom)),
        paint,
        shades.level(-0.32),
    )
    canvas.fill(box(left, top, right, bottom, 10), paint, shades.sheen(0.12))


def knob(canvas: Canvas, x: float, y: float, radius: float, colour: RGB) -> None:
    """A round control with a pointer."""
    canvas.shadow(oval(x, y, radius), 0.5, radius * 0.35, (radius * 0.15, radius * 0.25))
    canvas.disc(x, y, radius, colour, shades.ball(0.45))
    mark = legible(colour)
    tip = (x + radius * 0.5, y - radius * 0.6)
    canvas.stroke(polygon((x + radius * 0.1, y - radius * 0.1), tip), radius * 0.2, mark)


def wheel(
    canvas: Canvas,
    x: float,
    y: float,
    radius: float,
    rim: RGB,
    spokes: Sequence[Points] = (),
    tyre: RGB = RUBBER,
) -> None:
    """A solid wheel with a tyre, or one with open spokes where any are given."""
    canvas.ring(oval(x, y, radius * 0.88), radius * 0.24, tyre)
    canvas.ring(oval(x, y, radius * 0.92), radius * 0.05, lighter(tyre, 0.25))
    if spokes:
        canvas.ring(oval(x, y, radius * 0.74), radius * 0.08, rim)
        for spoke in spokes:
            canvas.stroke(spoke, radius * 0.05, rim)
        canvas.disc(x, y, radius * 0.12, rim, shades.ball())
        return
    canvas.disc(x, y, radius * 0.78, rim, shades.ball(0.35))
    canvas.disc(x, y, radius * 0.3, darker(rim, 0.2), shades.ball(0.5))
    canvas.disc(x, y, radius * 0.12, STEEL, shades.ball(0.6))


def screen(canvas: Canvas, outline: Points, picture: Image.Image, border: float = 4) -> None:
    """A lit display that shows a picture behind glass."""
    canvas.fill(outline, picture, fit=True, rim=0.15)
    canvas.ring(outline, border, INK)
    left, top = outline.min(axis=0)
    right, bottom = outline.max(axis=0)
    wide = right - left
    glare = polygon(
        (left + wide * 0.04, top + 4),
        (left + wide * 0.34, top + 4),
        (left + wide * 0.12, bottom - 4),
        (left + wide * 0.02, bottom - 4),
    )
    canvas.gleam(glare, 0.16, 0)


def tin(
    canvas: Canvas, x: float, top: float, bottom: float, radius: float, paint: Paint, lean: float
) -> None:
    """A standing cylinder; `lean` is the height of its round ends over their width."""
    ry = radius * lean
    wall = [*arc(x, bottom, radius, ry, 0, 180).tolist(), (x - radius, top), (x + radius, top)]
    canvas.fill(polygon(*((float(a), float(b)) for a, b in wall)), paint, shades.upright(0.5))
    canvas.fill(oval(x, top, radius, ry), paint, shades.level(0.15))


def label(
    canvas: Canvas, outline: Points, words: str, paper: RGB, ink: RGB, size: float = 36
) -> None:
    """A printed label with a thin border."""
    canvas.fill(outline, paper, rim=0.2)
    middle = outline.mean(axis=0)
    canvas.text((float(middle[0]), float(middle[1])), words, size, ink)


def cushion(canvas: Canvas, outline: Points, paint: Paint, strength: float = 0.3) -> None:
    """A padded part with piping around it."""
    canvas.shadow(outline, 0.4, 16)
    canvas.fill(outline, paint, shades.ball(strength), rim=0.6)
    canvas.stroke(closed(outline), 4, (60, 52, 50))
