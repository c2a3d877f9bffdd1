"""Clothes, Footwear & Accessories: trainers and handbags."""

from random import Random

from sample.article import Article, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    CHALK,
    GOLD,
    INK,
    STEEL,
    Colour,
    any_colour,
    darker,
    legible,
    lighter,
    other_colour,
)
from sample.drawing.finishes import PRINTS, any_finish
from sample.drawing.motifs import any_motif
from sample.drawing.outlines import Points, arc, box, closed, moved, oval, polygon, smooth


def trainer(rng: Random) -> Article:
    """A sports shoe from its outer side, low or high."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    third = any_colour(rng)
    high = chance(rng, 0.4)
    top = 330 if high else 450
    finish = any_finish(
        rng, base, accent, "plain", "plain", "camo", "checked", "spotted", "speckled", "two-tone"
    )
    sole = rng.choice((CHALK, INK, (206, 164, 112), accent.rgb, third.rgb))
    thick = rng.randint(70, 110)
    tongue = smooth((300, top + 20), (350, top - 70), (430, top - 60), (500, top + 110))
    canvas.fill(tongue, third.rgb, shades.sheen(0.3))
    upper = smooth(
        (70, 760), (66, 640), (96, 540), (104, top + 20), (150, top - 10), (230, top + 42),
        (330, top + 40), (440, top + 110), (560, 610), (720, 660), (880, 690), (944, 770),
        (900, 830), (500, 840), (100, 830),
    )  # fmt: skip
    canvas.fill(upper, finish.paint, shades.falling(0.35))
    toe = smooth((740, 640), (880, 690), (960, 790), (900, 850), (720, 850), (700, 740))
    canvas.fill(toe, accent.rgb, shades.ball(0.3), within=upper)
    canvas.fill(
        smooth((50, 860), (40, 540), (150, 560), (220, 700), (230, 860)),
        accent.rgb,
        shades.sheen(0.2),
        within=upper,
    )
    canvas.stitches(
        smooth((160, 560), (226, 700), (236, 840), closed=False), lighter(accent.rgb, 0.6)
    )
    collar = smooth(
        (110, top + 16), (170, top + 30), (240, top + 60), (330, top + 50), closed=False
    )
    canvas.stroke(collar, 30, third.rgb)
    _trainer_side(canvas, rng, upper, third)
    holes = 4 if not high else 6
    for step in range(holes):
        t = (step + 0.4) / holes
        x, y = 356 + 230 * t, top + 60 + (600 - top - 40) * t
        canvas.stroke(polygon((x - 46, y + 46), (x + 40, y - 16)), 17, darker(CHALK, 0.4))
        canvas.stroke(polygon((x - 46, y + 44), (x + 40, y - 18)), 13, legible(third.rgb))
    bottom = smooth(
        (50, 800), (300, 812), (600, 812), (960, 780), (984, 830), (950, 800 + thick),
        (500, 810 + thick), (70, 806 + thick), (40, 850),
    )  # fmt: skip
    canvas.fill(bottom, sole, shades.falling(0.3))
    canvas.stroke(
        smooth((60, 845), (500, 852), (965, 826), closed=False), 8, accent.rgb, within=bottom
    )
    for x in range(90, 950, 44):
        canvas.stroke(
            polygon((x, 800 + thick - 16), (x + 14, 806 + thick)),
            8,
            darker(sole, 0.4),
            within=bottom,
        )
    style = "high-top trainers" if high else "trainers"
    return Article(
        canvas.picture(),
        f"{finish.words} {style}",
        (f"{accent.name} toe and heel", f"Size {rng.randint(3, 12)}"),
    )


def _trainer_side(canvas: Canvas, rng: Random, upper: Points, colour: Colour) -> None:
    mark = rng.choice(("bars", "wave", "star", "dots", "none"))
    if mark == "bars":
        for x in (400, 470, 540):
            canvas.stroke(polygon((x, 640), (x - 80, 810)), 30, colour.rgb, within=upper)
    elif mark == "wave":
        canvas.stroke(
            smooth((260, 690), (380, 780), (520, 700), (690, 730), closed=False),
            36,
            colour.rgb,
            within=upper,
        )
    elif mark == "star":
        any_motif(canvas, rng, 360, 690, 70, colour.rgb, lighter(colour.rgb, 0.7))
    elif mark == "dots":
        for x in range(280, 640, 70):
            canvas.disc(x, 740, 22, colour.rgb)


def handbag(rng: Random) -> Article:
    """A handbag with one or two handles, a flap or a zip."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(rng, base, accent, *PRINTS)
    metal = rng.choice((GOLD, STEEL))
    trim = accent.rgb if chance(rng, 0.5) else darker(base.rgb, 0.35)
    top, spread = rng.randint(400, 470), rng.randint(250, 330)
    low = spread + rng.randint(20, 110)
    reach = rng.randint(200, 330)
    handle = arc(500, top + 40, rng.randint(150, 200), reach, 180, 360)
    if chance(rng, 0.6):
        canvas.tube(moved(handle, 26, -22), 28, darker(trim, 0.3))
    body = smooth(
        (500 - spread, top), (500 + spread, top), (500 + low, 700), (500 + low - 30, 900),
        (500 - low + 30, 900), (500 - low, 700),
    )  # fmt: skip
    canvas.fill(body, finish.paint, shades.sheen(0.3), rim=0.7)
    canvas.fill(box(500 - low, 850, 500 + low, 960), trim, shades.falling(0.3), within=body)
    canvas.stitches(polygon((500 - low + 16, 842), (500 + low - 16, 842)), lighter(trim, 0.55))
    details = []
    if chance(rng, 0.55):
        drop = rng.randint(640, 740)
        flap = smooth(
            (500 - spread - 6, top - 6),
            (500 + spread + 6, top - 6),
            (500 + spread - 20, drop - 60),
            (500, drop),
            (500 - spread + 20, drop - 60),
        )
        canvas.shadow(flap, 0.5, 14)
        canvas.fill(flap, trim if chance(rng, 0.5) else finish.paint, shades.glossy(0.3))
        canvas.stitches(
            smooth(
                (500 - spread + 10, top + 20),
                (500 - spread + 40, drop - 80),
                (500, drop - 24),
                (500 + spread - 40, drop - 80),
                (500 + spread - 10, top + 20),
                closed=False,
            ),
            lighter(base.rgb, 0.5),
        )
        canvas.fill(
            box(462, drop - 60, 538, drop + 16, rng.choice((8, 36))), metal, shades.ball(0.6)
        )
        canvas.disc(500, drop - 20, 12, INK)
        details.append("Flap with a clasp")
    else:
        canvas.stroke(
            smooth(
                (500 - spread + 20, top + 26),
                (500, top + 34),
                (500 + spread - 20, top + 26),
                closed=False,
            ),
            14,
            metal,
        )
        pocket = box(370, 590, 630, 790, 30)
        canvas.shadow(pocket, 0.3, 12)
        canvas.fill(pocket, trim, shades.sheen(0.25))
        canvas.stitches(closed(pocket), lighter(trim, 0.55))
        details.append("Zip top and outer pocket")
    canvas.tube(handle, 32, trim)
    for x in (float(handle[0, 0]), float(handle[-1, 0])):
        canvas.ring(oval(x, top + 40, 26), 12, metal)
    if chance(rng, 0.35):
        x = 500 + spread - 70
        canvas.fill(
            polygon(
                (x - 10, top + 80), (x + 20, top + 80), (x + 40, top + 250), (x - 24, top + 250)
            ),
            accent.rgb,
            shades.upright(0.4),
        )
        canvas.disc(x + 5, top + 80, 22, metal, shades.ball(0.5))
        details.append("Tassel")
    return Article(canvas.picture(), f"{finish.words} handbag", tuple(details))
