"""Other Goods: wall clocks, umbrellas, globes."""

import math
from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    BRIGHT,
    CHALK,
    GOLD,
    INK,
    PALE,
    RGB,
    STEEL,
    any_colour,
    darker,
    is_dark,
    legible,
    lighter,
    other_colour,
)
from sample.drawing.finishes import ALL_OVER, any_finish, wood
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import arc, box, moved, oval, polygon, profile, smooth, turned

ROOT = "Other Goods"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Clocks", Stance.HANGING, (3, 60), clock),
        Kind(f"{ROOT} / Umbrellas", Stance.HANGING, (2, 25), umbrella),
        Kind(f"{ROOT} / Globes", Stance.STANDING, (5, 70), globe),
    )


def clock(rng: Random) -> Article:
    """A wall clock."""
    canvas = Canvas()
    rim, face = (
        any_colour(rng),
        any_colour(rng, "black", "navy", "grey", *PALE),
    )
    ink = legible(face.rgb)
    form = rng.choice(("round", "square", "sunburst", "eight-sided"))
    wooden = chance(rng, 0.3)
    paint = wood(rng, (160, 108, 62)) if wooden else rim.rgb
    if form == "sunburst":
        rays = rng.choice((12, 16, 24))
        for step in range(rays):
            ray = polygon(
                (484, 240), (492, 40 + 50 * (step % 2)), (508, 40 + 50 * (step % 2)), (516, 240)
            )
            canvas.fill(turned(ray, 360 * step / rays, (500, 500)), paint, shades.sheen(0.3))
        radius = 260
    else:
        radius = 340
    eighths = [math.radians(22.5 + 45 * step) for step in range(8)]
    octagon = polygon(
        *((500 + 1.2 * radius * math.cos(a), 500 + 1.2 * radius * math.sin(a)) for a in eighths)
    )
    outer = {"square": box(130, 130, 870, 870, 60), "eight-sided": octagon}.get(
        form, oval(500, 500, radius * 1.1)
    )
    canvas.fill(outer, paint, shades.sheen(0.4), rim=0.7)
    canvas.disc(500, 500, radius * 0.92, face.rgb, shades.sheen(0.15))
    details = [f"{face.name} face"]
    if chance(rng, 0.35):
        canvas.tint(oval(500, 500, radius * 0.5), lighter(face.rgb, 0.3), 0.4, 20)
        one, two = print_colours(rng, face)
        shown = any_motif(canvas, rng, 500, 500 + radius * 0.35, radius * 0.22, one, two)
        details.append(f"{shown} on the face")
    marks = rng.choice(("numbers", "bars", "dots"))
    for hour in range(1, 13):
        angle = math.radians(hour * 30 - 90)
        x, y = 500 + radius * 0.74 * math.cos(angle), 500 + radius * 0.74 * math.sin(angle)
        if marks == "numbers":
            canvas.text((x, y), str(hour), radius * 0.22, ink)
        elif marks == "dots":
            canvas.disc(x, y, radius * (0.07 if hour % 3 == 0 else 0.035), ink)
        else:
            bar = box(
                490, 500 - radius * 0.86, 510, 500 - radius * (0.66 if hour % 3 == 0 else 0.76)
            )
            canvas.fill(turned(bar, hour * 30, (500, 500)), ink, rim=0)
    hand = CHALK if is_dark(face.rgb) else any_colour(rng, "black", "red", "blue").rgb
    minutes = rng.randint(0, 59)
    hours = rng.randint(0, 11) + minutes / 60
    for turn, reach, width in ((hours * 30, 0.45, 26), (minutes * 6, 0.68, 18)):
        path = turned(
            polygon((500, 500 + radius * 0.1), (500, 500 - radius * reach)), turn, (500, 500)
        )
        canvas.stroke(moved(path, 6, 9), width, darker(face.rgb, 0.25))
        canvas.stroke(path, width, hand)
    canvas.stroke(
        turned(polygon((500, 560), (500, 500 - radius * 0.7)), rng.randint(0, 359), (500, 500)),
        7,
        (210, 60, 50),
    )
    canvas.disc(500, 500, 24, GOLD if wooden else STEEL, shades.ball(0.6))
    canvas.gleam(arc(500, 500, radius * 0.8, radius * 0.8, 190, 250), 0.25, 10)
    colour = "wooden" if wooden else rim.name
    return Article(canvas.picture(), f"{colour} {form} wall clock", tuple(details))


def umbrella(rng: Random) -> Article:
    """An open umbrella from its side."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(rng, base, accent, "plain", *ALL_OVER)
    wedges = chance(rng, 0.5)
    count = rng.choice((6, 7, 8))
    top, low = rng.randint(110, 180), rng.randint(500, 580)
    handle: RGB = rng.choice(((150, 98, 56), INK, accent.rgb, (214, 168, 108)))
    canvas.tube(polygon((500, 60), (500, 860)), 18, STEEL)
    crook = smooth((500, 780), (500, 880), (540, 940), (600, 930), (620, 870), closed=False)
    canvas.tube(crook, 36, handle)
    edges = [60 + 880 * (0.5 - 0.5 * math.cos(math.pi * step / count)) for step in range(count + 1)]
    for step in range(count):
        left, right = edges[step], edges[step + 1]
        middle = (left + right) / 2
        sag = 46 * (right - left) / 180
        panel = [
            (500.0, float(top)),
            *_rib(500, top, right, low),
            (middle, low - sag),
            *_rib(500, top, left, low)[::-1],
        ]
        tone = accent.rgb if wedges and step % 2 else finish.paint
        shade = shades.level(0.2 - 0.5 * abs(step + 0.5 - count * 0.4) / count)
        canvas.fill(polygon(*panel), tone, shade, rim=0.6)
    canvas.disc(500, top - 6, 18, STEEL, shades.ball(0.6))
    details = [f"{count} panels on this side", "Opens at a press"]
    if wedges:
        details.append(f"Every other panel {accent.name}")
    return Article(canvas.picture(), f"{finish.words} umbrella", tuple(details))


def _rib(x: float, top: float, end: float, low: float) -> list[tuple[float, float]]:
    angles = [math.pi / 2 * step / 10 for step in range(1, 11)]
    return [(x + (end - x) * math.sin(a), low - (low - top) * math.cos(a)) for a in angles]


def globe(rng: Random) -> Article:
    """A globe on a foot."""
    canvas = Canvas()
    water = any_colour(rng, "sky blue", "blue", "navy", "teal", "beige", "black", "mint", "cream")
    land = other_colour(rng, water, *BRIGHT)
    stand: tuple[str, RGB] = rng.choice(
        (("wooden", (146, 94, 54)), ("brass", GOLD), ("steel", STEEL), ("black", INK))
    )
    tripod = chance(rng, 0.4)
    if tripod:
        for dx in (-170, 170, 20):
            canvas.tube(polygon((500, 760), (500 + dx, 940)), 28, stand[1])
    else:
        foot = profile(500, (34, 740), (30, 840), (120, 890), (rng.randint(170, 220), 940))
        canvas.fill(
            foot,
            wood(rng, stand[1]) if stand[0] == "wooden" else stand[1],
            shades.upright(0.5),
            rim=0.6,
        )
    tilt = rng.randint(12, 30)
    radius = rng.randint(290, 325)
    hoop = arc(500, 430, radius + 40, radius + 40, 80 + tilt, 280 + tilt)
    canvas.tube(hoop, 28, stand[1])
    ball = oval(500, 430, radius)
    canvas.fill(ball, water.rgb, shades.ball(0.15))
    many = chance(rng, 0.4)
    for _ in range(rng.randint(5, 7)):
        x, y = rng.uniform(270, 730), rng.uniform(210, 650)
        coast = smooth(
            *(
                (x + rng.uniform(45, 125) * math.cos(a), y + rng.uniform(45, 120) * math.sin(a))
                for a in [math.tau * k / 9 for k in range(9)]
            )
        )
        tone = (
            any_colour(rng, "green", "mustard", "coral", "lilac", "orange", "yellow", "pink").rgb
            if many
            else land.rgb
        )
        canvas.fill(coast, tone, rim=0.3, within=ball)
    for share in (-0.6, 0, 0.6):
        canvas.stroke(
            turned(
                arc(500, 430 + share * radius, radius * math.cos(share), 40, 0, 180),
                tilt,
                (500, 430),
            ),
            4,
            lighter(water.rgb, 0.4),
            within=ball,
        )
        line = arc(
            500,
            430,
            radius * abs(share) + 2,
            radius,
            90 if share < 0 else -90,
            270 if share < 0 else 90,
        )
        canvas.stroke(turned(line, tilt, (500, 430)), 4, lighter(water.rgb, 0.4), within=ball)
    canvas.gleam(oval(390, 300, 110, 80), 0.4, 50)
    canvas.shadow(smooth((780, 300), (790, 560), (560, 750), (680, 600)), 0.35, 60, (0, 0))
    sea = "countries in many colours" if many else f"{land.name} land"
    return Article(
        canvas.picture(),
        f"{water.name} globe on {stand[0]} {'tripod' if tripod else 'foot'}",
        (sea, "Turns freely"),
    )
