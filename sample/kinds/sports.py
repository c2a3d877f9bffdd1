"""Sports, Leisure & Travel: bicycles, balls, rackets, skateboards, suitcases."""

import math
from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    CHALK,
    GRAPHITE,
    INK,
    RGB,
    STEEL,
    any_colour,
    darker,
    lighter,
    other_colour,
)
from sample.drawing.finishes import ALL_OVER, PRINTS, any_finish
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import arc, box, closed, oval, polygon, smooth, star, turned
from sample.drawing.scenes import any_scene
from sample.kinds.bicycles import bicycle

ROOT = "Sports, Leisure & Travel"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Bicycles", Stance.STANDING, (20, 1250), bicycle),
        Kind(f"{ROOT} / Luggage", Stance.STANDING, (5, 80), suitcase),
        Kind(f"{ROOT} / Balls", Stance.STANDING, (2, 20), ball),
        Kind(f"{ROOT} / Rackets", Stance.LYING, (4, 60), racket),
        Kind(f"{ROOT} / Skateboards", Stance.LYING, (5, 70), skateboard),
    )


def suitcase(rng: Random) -> Article:
    """A wheeled suitcase with its handle up, with stickers at times."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(rng, base, accent, "plain", "plain", *PRINTS)
    half, top = rng.randint(230, 310), rng.randint(270, 350)
    reach = rng.randint(60, 160)
    for side in (-1, 1):
        canvas.tube(polygon((500 + side * 110, top), (500 + side * 110, reach)), 18, STEEL)
    canvas.fill(box(370, reach - 30, 630, reach + 20, 20), INK, shades.lying(0.5))
    for side in (-1, 1):
        canvas.fill(
            box(500 + side * (half - 50) - 34, 900, 500 + side * (half - 50) + 34, 965, 18),
            INK,
            shades.upright(0.5),
        )
    shell = box(500 - half, top, 500 + half, 930, rng.choice((40, 90)))
    canvas.fill(shell, finish.paint, shades.upright(0.35), rim=0.8)
    details = []
    if chance(rng, 0.55):
        for step in range(1, 7):
            x = 500 - half + step * 2 * half / 7
            canvas.shadow(box(x - 8, top + 40, x + 8, 890, 8), 0.4, 6, (3, 0))
            canvas.gleam(box(x - 12, top + 40, x - 4, 890, 4), 0.3, 3)
        details.append("Ribbed shell")
    else:
        canvas.stroke(
            closed(box(500 - half + 30, top + 30, 500 + half - 30, 900, 40)),
            10,
            darker(base.rgb, 0.5),
        )
        canvas.stroke(
            polygon((500 - half + 30, 560), (500 + half - 30, 560)), 10, darker(base.rgb, 0.5)
        )
        details.append("Zip pockets")
    for dx in (-half, half - 60):
        for dy in (top, 870):
            corner = box(500 + dx, dy, 560 + dx, dy + 60, 20)
            canvas.fill(corner, accent.rgb, shades.sheen(0.3), within=shell)
    canvas.fill(box(430, top - 26, 570, top + 8, 14), accent.rgb, shades.falling(0.4))
    stickers = rng.choice((0, 1, 2, 3)) if finish.words == base.name else 0
    for _ in range(stickers):
        x, y = 500 + rng.uniform(-0.55, 0.55) * half, rng.uniform(top + 130, 800)
        canvas.disc(x, y, 80, CHALK)
        any_motif(canvas, rng, x, y, 58, any_colour(rng, "red", "blue", "green", "purple").rgb, INK)
    if stickers:
        details.append(f"{stickers} travel sticker{'s' if stickers > 1 else ''}")
    return Article(
        canvas.picture(), f"{finish.words} suitcase", (*details, f"{accent.name} corners")
    )


def ball(rng: Random) -> Article:
    """A football, a basketball, a beach ball or a volleyball."""
    canvas = Canvas()
    one = any_colour(rng)
    two = other_colour(rng, one)
    form = rng.choice(("football", "basketball", "beach ball"))
    edge = oval(500, 500, 420)
    turn = rng.uniform(0, 72)
    if form == "football":
        canvas.fill(edge, one.rgb)
        spots = [(500.0, 500.0, 130.0)] + [
            (500 + 330 * math.cos(a), 500 + 330 * math.sin(a), 120.0)
            for a in [math.tau * k / 5 for k in range(5)]
        ]
        for x, y, _ in spots[1:]:
            seam = turned(polygon((500, 500), (x, y)), turn, (500, 500))
            canvas.stroke(seam, 8, darker(one.rgb, 0.5), within=edge)
        for index, (x, y, size) in enumerate(spots):
            patch = turned(star(x, y, size, 5, 0.81), index * 72 + 18 if index else 36, (x, y))
            canvas.fill(turned(patch, turn, (500, 500)), two.rgb, within=edge)
    elif form == "basketball":
        canvas.fill(edge, one.rgb)
        lines = (
            polygon((80, 500), (920, 500)), polygon((500, 80), (500, 920)),
            arc(80, 500, 300, 340, -80, 80), arc(920, 500, 300, 340, 100, 260),
        )  # fmt: skip
        for line in lines:
            canvas.stroke(turned(line, turn, (500, 500)), 15, two.rgb, within=edge)
    else:
        tones = [one.rgb, CHALK, two.rgb, CHALK, any_colour(rng).rgb, CHALK]
        for step, tone in enumerate(tones):
            slice_of = [
                (500 + 900 * math.cos(a), 500 + 900 * math.sin(a))
                for a in (
                    math.radians(turn + step * 60),
                    math.radians(turn + step * 60 + 30),
                    math.radians(turn + step * 60 + 60),
                )
            ]
            canvas.fill(polygon((440, 430), *slice_of), tone, within=edge, rim=0.3)
        canvas.disc(440, 430, 64, CHALK)
    one_shown = ""
    if form != "beach ball" and chance(rng, 0.4):
        x, y = (690, 690) if form == "football" else (650, 640)
        a, b = print_colours(rng, one)
        one_shown = f"Printed with {any_motif(canvas, rng, x, y, 74, a, b)}"
    canvas.shadow(
        smooth((900, 420), (880, 700), (640, 910), (420, 920), (700, 800)), 0.55, 70, (0, 0)
    )
    canvas.gleam(oval(350, 310, 120, 90), 0.45, 50)
    canvas.ring(oval(500, 500, 418), 5, darker(one.rgb, 0.6))
    return Article(
        canvas.picture(),
        f"{one.name} and {two.name} {form}",
        tuple(filter(None, (one_shown, "Pumped up and holds air"))),
    )


def racket(rng: Random) -> Article:
    """A tennis racket or a badminton racket, upright, with a ball at times."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    rx, ry = rng.randint(195, 235), rng.randint(260, 290)
    y = 60 + ry
    net: RGB = rng.choice(((236, 232, 216), (250, 222, 90), (210, 216, 222), INK))
    inside = oval(500, y, rx, ry)
    pitch = rng.choice((26, 32, 40))
    for offset in range(-rx, rx, pitch):
        canvas.stroke(
            polygon((500 + offset, y - ry), (500 + offset, y + ry)), 5, net, within=inside
        )
    for offset in range(-ry, ry, pitch):
        canvas.stroke(
            polygon((500 - rx, y + offset), (500 + rx, y + offset)), 5, net, within=inside
        )
    for side in (-1, 1):
        canvas.tube(
            smooth(
                (500 + side * rx * 0.72, y + ry * 0.74),
                (500 + side * 70, y + ry + 60),
                (500 + side * 16, y + ry + 150),
                closed=False,
            ),
            30,
            base.rgb,
        )
    canvas.tube(closed(inside), 38, base.rgb)
    bands = rng.choice((2, 4))
    for step in range(bands):
        start = 20 + step * 360 / bands
        canvas.stroke(arc(500, y, rx, ry, start, start + 360 / bands / 2.4), 26, accent.rgb)
    grip = any_colour(rng)
    low = 975
    start = y + ry + 120
    canvas.fill(box(466, start, 534, low, 16), grip.rgb, shades.upright(0.5))
    for step in range(int((low - start) / 40)):
        canvas.stroke(
            polygon((468, start + 30 + step * 40), (532, start + 10 + step * 40)),
            6,
            darker(grip.rgb, 0.45),
        )
    canvas.fill(box(458, start - 8, 542, start + 16, 8), accent.rgb)
    details = [f"{grip.name} grip"]
    if chance(rng, 0.5):
        tone = any_colour(rng, "lime green", "yellow", "orange", "pink")
        x = rng.choice((300, 700))
        canvas.disc(x, 860, 92, tone.rgb, shades.ball(0.45))
        seam = arc(x - 90, 860, 80, 96, -60, 60)
        canvas.stroke(seam, 9, CHALK)
        details.append(f"{tone.name} ball included")
    return Article(canvas.picture(), f"{base.name} and {accent.name} tennis racket", tuple(details))


def skateboard(rng: Random) -> Article:
    """A skateboard's printed underside, lengthways."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    half = rng.randint(120, 160)
    pointed = chance(rng, 0.3)
    deck = (
        smooth(
            (40, 500),
            (150, 500 - half),
            (850, 500 - half),
            (980 if pointed else 960, 500),
            (850, 500 + half),
            (150, 500 + half),
        )
        if pointed
        else box(30, 500 - half, 970, 500 + half, half * 0.96)
    )
    for x in (230, 770):
        for side in (-1, 1):
            y = 500 + side * (half - 4)
            canvas.fill(box(x - 46, y - 30, x + 46, y + 30, 20), darker(accent.rgb, 0.25))
    style = rng.choice(("picture", "pattern", "motif"))
    name = f"{base.name} skateboard"
    if style == "picture":
        scene = any_scene(rng)
        canvas.fill(deck, scene.picture, shades.lying(0.2), rim=0.7, fit=True)
        name = f"skateboard with {scene.words}"
    elif style == "pattern":
        finish = any_finish(rng, base, accent, *ALL_OVER, "camo")
        canvas.fill(deck, finish.paint, shades.lying(0.2), rim=0.7)
        name = f"{finish.words} skateboard"
    else:
        canvas.fill(deck, base.rgb, shades.lying(0.25), rim=0.7)
        one, two = print_colours(rng, base)
        words = any_motif(canvas, rng, 500, 500, half * 0.78, one, two)
        for x in (380, 620):
            canvas.stroke(polygon((x, 500 - half), (x, 500 + half)), 16, accent.rgb, within=deck)
        name += f" with {words}"
    wheels = any_colour(rng)
    for x in (230, 770):
        canvas.shadow(box(x - 40, 500 - half + 10, x + 40, 500 + half - 10), 0.4, 14)
        canvas.fill(
            box(x - 22, 500 - half + 20, x + 22, 500 + half - 20, 8), STEEL, shades.upright(0.5)
        )
        canvas.fill(box(x - 54, 466, x + 54, 534, 14), GRAPHITE, shades.sheen(0.4))
        canvas.disc(x, 500, 18, lighter(STEEL, 0.3), shades.ball(0.5))
        for side in (-1, 1):
            y = 500 + side * (half - 14)
            canvas.fill(
                box(x - 44, y - 34, x + 44, y + 34, 22), wheels.rgb, shades.upright(0.5), rim=0.6
            )
    return Article(canvas.picture(), name, (f"{wheels.name} wheels",))
