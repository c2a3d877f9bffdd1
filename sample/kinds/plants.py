"""Home & Garden: plants in pots."""

import math
from random import Random

from sample.article import Article, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    BRIGHT,
    RGB,
    any_colour,
    darker,
    lighter,
    mix,
    other_colour,
)
from sample.drawing.finishes import ALL_OVER, any_finish
from sample.drawing.outlines import box, moved, oval, polygon, rounded, smooth, turned


def plant(rng: Random) -> Article:
    """A plant in a pot."""
    canvas = Canvas()
    pot = any_colour(rng, "white", "black", "cream", *BRIGHT)
    finish = any_finish(rng, pot, other_colour(rng, pot), *ALL_OVER)
    green: RGB = rng.choice(
        ((58, 128, 66), (92, 150, 70), (36, 102, 72), (120, 160, 84), (76, 138, 110))
    )
    form = rng.choice(("snake plant", "cactus", "rubber plant", "palm", "flowering plant"))
    {
        "snake plant": _blades,
        "cactus": _cactus,
        "rubber plant": _leaves,
        "palm": _fronds,
        "flowering plant": _bloom,
    }[form](canvas, rng, green)
    top, bottom = rng.randint(200, 270), rng.randint(140, 220)
    canvas.fill(oval(500, 664, top - 10, 34), (78, 54, 40))
    shape = rounded(
        polygon((500 - top, 670), (500 + top, 670), (500 + bottom, 950), (500 - bottom, 950)), 26
    )
    canvas.fill(shape, finish.paint, shades.upright(0.45), rim=0.6)
    if chance(rng, 0.6):
        canvas.fill(
            box(500 - top - 16, 646, 500 + top + 16, 710, 14),
            darker(pot.rgb, 0.12),
            shades.upright(0.45),
            rim=0.5,
        )
    return Article(
        canvas.picture(),
        f"{form} in {finish.words} pot",
        (f"About {rng.randint(2, 9) * 10} cm tall",),
    )


def _blades(canvas: Canvas, rng: Random, green: RGB) -> None:
    edge = rng.choice(((222, 212, 120), lighter(green, 0.35)))
    count = rng.randint(6, 9)
    for step in range(count):
        x, lean, high = (
            360 + 280 * step / (count - 1),
            rng.uniform(-110, 110),
            rng.uniform(340, 600),
        )
        blade = smooth(
            (x - 36, 690),
            (x - 44 + lean * 0.4, 690 - high * 0.5),
            (x + lean, 690 - high),
            (x + 44 + lean * 0.4, 690 - high * 0.5),
            (x + 36, 690),
        )
        canvas.fill(blade, edge, rim=0.5)
        inner = (blade - (x, 690)) * (0.62, 0.93) + (x + lean * 0.14, 690)
        canvas.fill(inner, green, shades.upright(0.4), rim=0.2, within=blade)


def _cactus(canvas: Canvas, rng: Random, green: RGB) -> None:
    high = rng.randint(180, 330)
    for side in (-1, 1):
        if not chance(rng, 0.75):
            continue
        y = rng.randint(480, 570)
        arm = smooth(
            (500, y),
            (500 + side * 170, y),
            (500 + side * 215, y - 50),
            (500 + side * 220, y - rng.randint(130, 220)),
            closed=False,
        )
        canvas.stroke(arm, 96, darker(green, 0.4))
        canvas.stroke(moved(arm, -6, -5), 82, green)
    trunk = box(500 - 96, high, 500 + 96, 700, 94)
    canvas.fill(trunk, green, shades.upright(0.5), rim=0.6)
    for dx in (-56, 0, 56):
        canvas.stroke(polygon((500 + dx, high + 60), (500 + dx, 680)), 6, darker(green, 0.3))
        for y in range(high + 80, 670, 54):
            canvas.stroke(polygon((490 + dx, y - 8), (510 + dx, y + 8)), 4, (240, 236, 206))
            canvas.stroke(polygon((510 + dx, y - 8), (490 + dx, y + 8)), 4, (240, 236, 206))
    if chance(rng, 0.6):
        tone = any_colour(rng, "pink", "red", "yellow", "orange").rgb
        for turn in range(0, 360, 60):
            canvas.fill(turned(oval(500, high - 34, 26, 44), turn, (500, high + 2)), tone)


def _leaves(canvas: Canvas, rng: Random, green: RGB) -> None:
    canvas.tube(polygon((500, 690), (500, 200)), 22, (104, 80, 56))
    steps = rng.randint(4, 6)
    for step in range(steps):
        for side in (-1, 1):
            y = 600 - step * 400 / steps + side * 20
            leaf = smooth(
                (500, y),
                (500 + side * 110, y - 120),
                (500 + side * 270, y - 130),
                (500 + side * 300, y - 90),
                (500 + side * 170, y - 10),
            )
            leaf = turned(leaf, side * rng.uniform(-24, 20), (500, y))
            canvas.shadow(leaf, 0.3, 12)
            canvas.fill(
                leaf, mix(green, lighter(green, 0.3), step / steps), shades.sheen(0.35), rim=0.5
            )
            canvas.stroke(
                polygon((500, y), (float(leaf[:, 0].mean()), float(leaf[:, 1].mean()))),
                6,
                lighter(green, 0.4),
            )
    canvas.fill(
        smooth((500, 70), (560, 170), (500, 250), (440, 170)),
        lighter(green, 0.2),
        shades.sheen(0.3),
    )


def _fronds(canvas: Canvas, rng: Random, green: RGB) -> None:
    for step in range(rng.randint(9, 12)):
        side = 1 if step % 2 else -1
        reach, lift = rng.uniform(120, 420) * side, rng.uniform(330, 600)
        spine = smooth(
            (500, 690),
            (500 + reach * 0.3, 690 - lift * 0.8),
            (500 + reach, 690 - lift * rng.uniform(0.55, 0.9)),
            closed=False,
        )
        canvas.stroke(spine, 9, darker(green, 0.2))
        for knot in spine[6::2]:
            for tilt in (-50, 50):
                x, y = float(knot[0]), float(knot[1])
                leaflet = turned(
                    smooth((x, y), (x + 34, y - 12), (x + 84, y), (x + 34, y + 12)),
                    tilt if side > 0 else 180 - tilt,
                    (x, y),
                )
                canvas.fill(leaflet, green if tilt > 0 else lighter(green, 0.15), rim=0.2)


def _bloom(canvas: Canvas, rng: Random, green: RGB) -> None:
    tone = any_colour(
        rng, "pink", "red", "yellow", "orange", "purple", "lilac", "white", "blue"
    ).rgb
    petals = rng.choice((5, 6, 8))
    for step in range(rng.randint(3, 5)):
        x, y = 320 + step * 100 + rng.uniform(-20, 20), rng.uniform(170, 380)
        canvas.tube(smooth((500, 690), ((500 + x) / 2, 540), (x, y), closed=False), 14, green)
        for side in (-1, 1):
            leaf = smooth(
                (x, y + 160),
                (x + side * 70, y + 110),
                (x + side * 130, y + 130),
                (x + side * 60, y + 170),
            )
            canvas.fill(leaf, green, shades.sheen(0.3))
        for petal in range(petals):
            angle = math.tau * petal / petals
            canvas.fill(
                turned(oval(x, y - 60, 34, 58), math.degrees(angle), (x, y)),
                tone,
                shades.sheen(0.25),
            )
        canvas.disc(x, y, 34, (240, 196, 70), shades.ball(0.4))
