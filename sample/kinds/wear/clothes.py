"""Clothes, Footwear & Accessories: t-shirts, trainers, handbags, dresses."""

from random import Random

import numpy as np

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    CHALK,
    GOLD,
    STEEL,
    any_colour,
    darker,
    lighter,
    other_colour,
)
from sample.drawing.finishes import PRINTS, Finish, any_finish, woven
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import Points, arc, box, closed, mirrored, polygon, smooth
from sample.kinds.wear.accessories import handbag, trainer

ROOT = "Clothes, Footwear & Accessories"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / T-Shirts", Stance.LYING, (1, 20), t_shirt),
        Kind(f"{ROOT} / Trainers", Stance.STANDING, (5, 80), trainer),
        Kind(f"{ROOT} / Handbags", Stance.STANDING, (5, 150), handbag),
        Kind(f"{ROOT} / Dresses", Stance.HANGING, (5, 95), dress),
    )


def t_shirt(rng: Random) -> Article:
    """A t-shirt laid flat, plain, patterned or with a print."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    printed = chance(rng, 0.5)
    finish = (
        Finish(base.name, woven(rng, base.rgb))
        if printed
        else any_finish(rng, base, accent, *PRINTS)
    )
    contrast = chance(rng, 0.4)
    sleeve = accent.rgb if contrast else finish.paint
    wide, cuff = rng.randint(235, 275), rng.randint(380, 470)
    hem = rng.randint(890, 950)
    arm = rng.randint(330, 420)
    for side in (-1, 1):
        shape = polygon(
            (500 + side * 150, 120), (500 + side * 250, 160), (500 + side * cuff, arm),
            (500 + side * (cuff - 120), arm + 90), (500 + side * (wide - 25), 330),
        )  # fmt: skip
        canvas.fill(shape, sleeve, shades.sheen(0.25))
        canvas.stitches(
            polygon(*(_pair(p) for p in shape[2:4] * 0.97 + (15, 8))), darker(base.rgb, 0.35)
        )
    body = mirrored(
        500,
        np.concatenate(
            [
                polygon((90, 96), (170, 122)),
                smooth((wide - 20, 250), (wide, 420), (wide - 4, hem), closed=False),
            ]
        ),
    )
    canvas.shadow(body, 0.3, 14, (0, 4))
    canvas.fill(body, finish.paint, shades.folds(0.16, 3, 0.5))
    for side in (-1, 1):
        canvas.shadow(
            polygon(
                (500 + side * wide, 330), (500 + side * 120, 480), (500 + side * (wide - 5), 400)
            ),
            0.18,
            16,
        )
    vee = chance(rng, 0.4)
    depth = 105
    neck = polygon((405, 92), (595, 92), (500, 290)) if vee else arc(500, 92, 95, depth, 0, 180)
    canvas.erase(neck)
    back = arc(500, 92, 95, 34, 0, 180)
    canvas.fill(back, darker(base.rgb, 0.35))
    rib = accent.rgb if contrast else darker(base.rgb, 0.12)
    path = polygon((405, 96), (500, 286), (595, 96)) if vee else arc(500, 94, 95, depth, 0, 180)
    canvas.stroke(path, 24, rib)
    canvas.fill(box(478, 100, 522, 124, 3), CHALK)
    canvas.stitches(
        polygon((500 - wide + 14, hem - 22), (500 + wide - 14, hem - 22)), darker(base.rgb, 0.35)
    )
    details = ["V-neck" if vee else "Crew neck"]
    if contrast:
        details.append(f"{accent.name} sleeves")
    name = f"{finish.words} t-shirt"
    if printed:
        one, two = print_colours(rng, base)
        size = rng.randint(90, 150)
        shown = any_motif(canvas, rng, 500, (330 if vee else 300) + size, size, one, two)
        name = f"{finish.words} t-shirt with {shown}"
    elif chance(rng, 0.4):
        pocket = box(548, 320, 668, 450, 14)
        canvas.fill(pocket, lighter(base.rgb, 0.1), shades.sheen(0.15))
        canvas.stitches(closed(pocket), accent.rgb)
        details.append("Chest pocket")
    return Article(canvas.picture(), name, tuple(details))


def dress(rng: Random) -> Article:
    """A dress on a hanger."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(rng, base, accent, *PRINTS)
    short = chance(rng, 0.5)
    hem = rng.randint(760, 850) if short else rng.randint(860, 960)
    flare = rng.randint(230, 390)
    waist = rng.randint(410, 480)
    straps = rng.choice(("straps", "short sleeves", "long sleeves"))
    canvas.tube(
        smooth((500, 110), (500, 70), (530, 50), (540, 24), (510, 10), (484, 30), closed=False),
        10,
        STEEL,
    )
    canvas.tube(smooth((330, 176), (500, 104), (670, 176), closed=False), 20, (176, 126, 76))
    if straps != "straps":
        reach, end = (300, 360) if straps == "short sleeves" else (270, 640)
        for side in (-1, 1):
            sleeve = polygon(
                (500 + side * 120, 150),
                (500 + side * 190, 170),
                (500 + side * reach, end),
                (500 + side * (reach - 100), end + 34),
                (500 + side * 130, 330),
            )
            canvas.fill(sleeve, finish.paint, shades.sheen(0.3))
            canvas.stroke(sleeve[2:4], 12, accent.rgb)
    else:
        for side in (-1, 1):
            canvas.stroke(polygon((500 + side * 110, 150), (500 + side * 100, 270)), 30, base.rgb)
    skirt = smooth(
        (500 - 118, waist),
        (500 + 118, waist),
        (500 + flare * 0.7, (waist + hem) / 2),
        (500 + flare, hem),
        (500, hem + 24),
        (500 - flare, hem),
        (500 - flare * 0.7, (waist + hem) / 2),
    )
    canvas.fill(skirt, finish.paint, shades.folds(0.28, rng.choice((3, 4, 5)), 1.2), rim=0.5)
    canvas.stroke(
        smooth(
            (500 - flare + 8, hem - 20), (500, hem + 2), (500 + flare - 8, hem - 20), closed=False
        ),
        12,
        accent.rgb,
        within=skirt,
    )
    high = 250 if straps == "straps" else 140
    bodice = smooth(
        (500 - 120, high),
        (500 - 60, high + 26),
        (500, high + rng.randint(20, 90)),
        (500 + 60, high + 26),
        (500 + 120, high),
        (500 + 150, 300),
        (500 + 116, waist + 6),
        (500 - 116, waist + 6),
        (500 - 150, 300),
    )
    canvas.fill(bodice, finish.paint, shades.upright(0.3), rim=0.5)
    details = [f"With {straps}"]
    if chance(rng, 0.6):
        belt = box(376, waist - 24, 624, waist + 24, 10)
        canvas.fill(belt, accent.rgb, shades.upright(0.35))
        canvas.ring(box(474, waist - 20, 526, waist + 20, 8), 8, GOLD)
        details.append(f"{accent.name} belt")
    elif chance(rng, 0.6):
        for y in range(high + 80, waist, 46):
            canvas.disc(500, y, 11, accent.rgb, shades.ball(0.5))
        details.append("Buttons down the front")
    details.append("Knee length" if short else "Long")
    return Article(canvas.picture(), f"{finish.words} dress", tuple(details))


def _pair(point: Points) -> tuple[float, float]:
    return float(point[0]), float(point[1])
