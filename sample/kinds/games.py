"""Video Games & Consoles: controllers, handhelds, boxed games, consoles."""

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
    any_colour,
    darker,
    legible,
    lighter,
    other_colour,
)
from sample.drawing.finishes import PRINTS, any_finish
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import box, oval, polygon, rounded, smooth
from sample.drawing.scenes import any_scene
from sample.drawing.solids import cuboid, screen

ROOT = "Video Games & Consoles"
_BUTTONS: tuple[RGB, ...] = ((84, 178, 96), (214, 66, 60), (70, 120, 210), (240, 196, 70))


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Controllers", Stance.LYING, (5, 50), controller),
        Kind(f"{ROOT} / Handhelds", Stance.LYING, (15, 220), handheld),
        Kind(f"{ROOT} / Consoles", Stance.STANDING, (20, 350), console),
        Kind(f"{ROOT} / Games", Stance.LYING, (2, 35), boxed_game),
    )


def controller(rng: Random) -> Article:
    """A game pad with two sticks."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(rng, base, accent, "plain", "plain", *PRINTS)
    for x in (230, 650):
        canvas.fill(box(x, 270, x + 120, 350, 30), darker(base.rgb, 0.5), shades.falling(0.4))
    low, spread = rng.randint(760, 850), rng.randint(380, 430)
    body = smooth(
        (500, 330), (690, 310), (500 + spread * 0.85, 350), (500 + spread, 560),
        (500 + spread - 10, low - 40), (500 + spread * 0.72, low - 20), (640, 660), (500, 640),
        (360, 660), (500 - spread * 0.72, low - 20), (500 - spread + 10, low - 40),
        (500 - spread, 560), (500 - spread * 0.85, 350), (310, 310),
    )  # fmt: skip
    canvas.fill(body, finish.paint, shades.falling(0.4), rim=0.9)
    canvas.gleam(smooth((250, 350), (400, 335), (390, 365), (240, 390)), 0.35, 12)
    uneven = chance(rng, 0.5)
    stick_y, pad_y = (450, 580) if uneven else (580, 450)
    sticks = ((270 if uneven else 385, stick_y), (615, 580))
    pad_x = 385 if uneven else 260
    for dx, dy in ((0, 1), (1, 0)):
        canvas.fill(
            box(
                pad_x - 54 + dy * 34,
                pad_y - 54 + dx * 34,
                pad_x + 54 - dy * 34,
                pad_y + 54 - dx * 34,
                8,
            ),
            INK,
            shades.sheen(0.3),
        )
    for x, y in sticks:
        canvas.disc(x, y, 72, darker(base.rgb, 0.4), shades.sunk(0.4))
        canvas.disc(x, y, 54, INK, shades.ball(0.4))
        canvas.ring(oval(x, y, 36), 8, accent.rgb if chance(rng, 0.5) else GRAPHITE)
    coloured = chance(rng, 0.6)
    for step, (dx, dy) in enumerate(((0, 62), (62, 0), (-62, 0), (0, -62))):
        tone = _BUTTONS[step] if coloured else accent.rgb
        canvas.disc(740 + dx, 450 + dy, 31, tone, shades.ball(0.5))
    canvas.disc(500, 400, 36, lighter(accent.rgb, 0.2), shades.ball(0.5))
    for x in (440, 560):
        canvas.fill(box(x - 20, 452, x + 20, 470, 9), INK)
    layout = "offset sticks" if uneven else "level sticks"
    return Article(
        canvas.picture(),
        f"{finish.words} game controller",
        (layout, f"{'coloured' if coloured else accent.name} buttons"),
    )


def handheld(rng: Random) -> Article:
    """A handheld console, wide with a big screen or tall and old."""
    canvas = Canvas()
    base = any_colour(rng)
    other = any_colour(rng)
    scene = any_scene(rng)
    tall = chance(rng, 0.5)
    if tall:
        half = rng.randint(240, 290)
        body = rounded(
            polygon((500 - half, 50), (500 + half, 50), (500 + half, 950), (500 - half, 950)), 60
        )
        canvas.fill(body, base.rgb, shades.sheen(0.25), rim=0.8)
        canvas.fill(
            box(500 - half + 40, 100, 500 + half - 40, 480, 30), GRAPHITE, shades.sheen(0.2)
        )
        screen(canvas, box(500 - half + 90, 140, 500 + half - 90, 440), scene.picture)
        x, y = 500 - half * 0.45, 660.0
        for lay in (box(x - 86, y - 30, x + 86, y + 30, 8), box(x - 30, y - 86, x + 30, y + 86, 8)):
            canvas.fill(lay, INK, shades.sheen(0.3))
        for dx, dy in ((0.28, 40), (0.66, -20)):
            canvas.disc(500 + half * dx, y + dy, 48, other.rgb, shades.ball(0.5))
        for dx in (-60, 40):
            canvas.fill(box(500 + dx - 34, 828, 500 + dx + 34, 850, 11), GRAPHITE)
        for step in range(5):
            canvas.stroke(
                polygon((500 + half - 150 + step * 24, 900), (500 + half - 120 + step * 24, 830)),
                9,
                darker(base.rgb, 0.5),
            )
        name = f"{base.name} handheld console with {other.name} buttons"
    else:
        high = rng.randint(175, 210)
        for left, right, tone in ((30, 240, base), (760, 970, other)):
            canvas.fill(
                box(left, 500 - high, right, 500 + high, 90), tone.rgb, shades.sheen(0.3), rim=0.8
            )
        canvas.fill(box(190, 500 - high, 810, 500 + high, 14), INK, shades.sheen(0.2))
        screen(canvas, box(226, 500 - high + 28, 774, 500 + high - 28), scene.picture)
        for x, y in ((115, 500 - high * 0.45), (885, 500 + high * 0.3)):
            canvas.disc(x, y, 52, darker(base.rgb, 0.5), shades.sunk(0.3))
            canvas.disc(x, y, 38, GRAPHITE, shades.ball(0.5))
        for x, y in ((115, 500 + high * 0.35), (885, 500 - high * 0.45)):
            for step in range(4):
                angle = math.tau * step / 4
                canvas.disc(
                    x + 44 * math.cos(angle), y + 44 * math.sin(angle), 20, INK, shades.ball(0.4)
                )
        name = f"{base.name} and {other.name} handheld console"
    return Article(canvas.picture(), name, (f"Game on the screen shows {scene.words}",))


def console(rng: Random) -> Article:
    """A console, upright or flat, with a pad before it."""
    canvas = Canvas()
    base = any_colour(
        rng, "white", "black", "grey", "charcoal", "red", "navy", "cream", "purple", "mint"
    )
    accent = other_colour(rng, base)
    light = any_colour(rng, "sky blue", "lime green", "red", "orange", "purple")
    flat = chance(rng, 0.5)
    if flat:
        top = rng.randint(430, 520)
        cuboid(canvas, (90, top, 810, 760), (110, 120), base.rgb)
        canvas.fill(box(130, top + 46, 480, top + 66, 8), INK)
        canvas.fill(box(90, 700, 810, 740), accent.rgb, rim=0.3)
        for step in range(6):
            canvas.stroke(
                polygon((560 + step * 40, top - 20), (620 + step * 40, top - 96)),
                12,
                darker(base.rgb, 0.5),
            )
        canvas.disc(740, top + 60, 28, light.rgb, shades.ball(0.5))
    else:
        wide = rng.randint(170, 240)
        cuboid(canvas, (300 - wide / 2, 120, 300 + wide / 2, 880), (230, 70), base.rgb)
        canvas.fill(box(300 - wide / 2 + 30, 160, 300 - wide / 2 + 60, 560, 8), INK)
        canvas.stroke(
            polygon((300 + wide / 2 - 20, 140), (300 + wide / 2 - 20, 860)), 14, light.rgb
        )
        canvas.fill(box(300 - wide / 2 - 40, 870, 300 + wide / 2 + 60, 910, 12), accent.rgb)
        one, two = print_colours(rng, base)
        any_motif(canvas, rng, 300 + 10, 720, 46, one, two)
    x, y = (620, 830) if flat else (740, 800)
    pad = smooth(
        (x, y - 80),
        (x + 150, y - 76),
        (x + 200, y + 80),
        (x + 130, y + 110),
        (x + 70, y + 40),
        (x - 70, y + 40),
        (x - 130, y + 110),
        (x - 200, y + 80),
        (x - 150, y - 76),
    )
    canvas.shadow(pad, 0.4, 20)
    canvas.fill(pad, accent.rgb, shades.falling(0.35), rim=0.8)
    for side in (-1, 1):
        canvas.disc(x + side * 60, y + 6, 34, INK, shades.ball(0.4))
    for step, (dx, dy) in enumerate(((0, 28), (28, 0), (-28, 0), (0, -28))):
        canvas.disc(x + 124 + dx, y - 26 + dy, 14, _BUTTONS[step], shades.ball(0.4))
        canvas.fill(
            box(x - 124 + dx - 12, y - 26 + dy - 12, x - 124 + dx + 12, y - 26 + dy + 12, 4),
            legible(accent.rgb),
        )
    return Article(
        canvas.picture(),
        f"{base.name} games console with {accent.name} controller",
        ("Lies flat" if flat else "Stands upright", f"{light.name} power light"),
    )


def boxed_game(rng: Random) -> Article:
    """A game in its case, seen from the front."""
    canvas = Canvas()
    case = any_colour(rng, "green", "blue", "red", "black", "white", "purple", "teal", "orange")
    wide, high = rng.randint(560, 660), rng.randint(800, 880)
    left, top = 500 - wide / 2, 500 - high / 2
    right, bottom = left + wide, top + high
    canvas.fill(
        box(left - 26, top, right, bottom, 16), darker(case.rgb, 0.2), shades.upright(0.3), rim=0.7
    )
    canvas.fill(box(left, top + 8, right - 8, bottom - 8, 6), case.rgb, shades.falling(0.2))
    scene = any_scene(rng)
    canvas.fill(
        box(left + 14, top + 120, right - 20, bottom - 20), scene.picture, fit=True, rim=0.2
    )
    title = rng.choice(
        (
            "STAR RACER",
            "PIXEL QUEST",
            "GOAL 24",
            "DRAGON ISLE",
            "TURBO KART",
            "DEEP BLUE",
            "CASTLE RUN",
            "ZERO HOUR",
        )
    )
    canvas.text(
        ((left + right) / 2, top + 66),
        rng.choice(("PLAY ONE", "GAME STATION", "ARCADE", "SUPER 64")),
        58,
        legible(case.rgb),
    )
    one, two = print_colours(rng, any_colour(rng, "white", "black"))
    shown = any_motif(canvas, rng, 500, 600, rng.randint(120, 190), one, two)
    plate = box(left + 40, top + 170, right - 50, top + 270, 12)
    banner = any_colour(rng)
    canvas.fill(plate, banner.rgb, shades.falling(0.2))
    canvas.text(((left + right) / 2 - 4, top + 220), title, 68, legible(banner.rgb))
    canvas.fill(box(left + 36, bottom - 130, left + 106, bottom - 44, 4), CHALK)
    canvas.text((left + 71, bottom - 88), rng.choice(("3", "7", "12", "16")), 52, INK)
    canvas.gleam(
        polygon(
            (left + 20, top + 20),
            (left + 260, top + 20),
            (left + 80, bottom - 20),
            (left + 20, bottom - 20),
        ),
        0.12,
        4,
    )
    return Article(
        canvas.picture(),
        f"{title.title()} game in {case.name} case",
        (f"{shown} on the cover", "Disc without scratches"),
    )
