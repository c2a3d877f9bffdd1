"""Computers & Software: laptops, monitors, keyboards, desktop towers."""

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
    legible,
    lighter,
    other_colour,
)
from sample.drawing.finishes import meshed
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import arc, box, on, oval, patch, polygon, rounded, turned
from sample.drawing.scenes import any_scene
from sample.drawing.solids import cuboid, screen

ROOT = "Computers & Software"
_MAIN_COLUMNS = 14
_FIRST_KEYS = (1, 1.5, 1.5, 2, 1.5)
_SPACE_FROM, _SPACE = 3.5, 6
_WIDEST_LAST_KEY = 2.5


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Laptops", Stance.STANDING, (40, 1250), laptop),
        Kind(f"{ROOT} / Keyboards", Stance.LYING, (3, 60), keyboard),
        Kind(f"{ROOT} / Monitors", Stance.STANDING, (15, 180), monitor),
        Kind(f"{ROOT} / Desktop PCs", Stance.STANDING, (40, 1100), tower),
    )


def laptop(rng: Random) -> Article:
    """An open laptop from the front, with stickers on it at times."""
    canvas = Canvas()
    base = any_colour(
        rng, "grey", "charcoal", "black", "white", "pink", "navy", "mint", "red", "mustard"
    )
    bezel: RGB = rng.choice((INK, darker(base.rgb, 0.1)))
    scene = any_scene(rng)
    top, edge = rng.randint(120, 210), rng.randint(120, 170)
    lid = rounded(
        polygon((edge, top), (1000 - edge, top), (1000 - edge + 16, 640), (edge - 16, 640)), 24
    )
    canvas.fill(lid, bezel, shades.sheen(0.15), rim=0.6)
    margin = rng.randint(20, 34)
    display = polygon(
        (edge + margin, top + margin), (1000 - edge - margin, top + margin),
        (1000 - edge - margin + 10, 606), (edge + margin - 10, 606),
    )  # fmt: skip
    screen(canvas, display, scene.picture)
    _desktop(canvas, rng, edge + margin, top + margin, 1000 - edge - margin)
    canvas.disc(500, top + margin / 2, 6, GRAPHITE)
    deck = polygon((edge - 16, 646), (1016 - edge, 646), (975, 862), (25, 862))
    canvas.fill(deck, base.rgb, shades.falling(0.2))
    canvas.fill(box(22, 856, 978, 888, 14), darker(base.rgb, 0.25), shades.falling(0.2))
    canvas.fill(box(440, 856, 560, 868, 5), darker(base.rgb, 0.5))
    canvas.fill(patch(deck, 0.06, 0.06, 0.94, 0.62), darker(base.rgb, 0.3), rim=0.2)
    keys: RGB = rng.choice((INK, CHALK, GRAPHITE))
    for row in range(4):
        for column in range(13):
            u, v = 0.07 + column * 0.0665, 0.085 + row * 0.135
            canvas.fill(patch(deck, u, v, u + 0.057, v + 0.11), keys, rim=0.3)
    pad = rng.uniform(0.28, 0.38)
    canvas.fill(
        patch(deck, 0.5 - pad / 2, 0.67, 0.5 + pad / 2, 0.97),
        darker(base.rgb, 0.12),
        shades.sheen(0.15),
    )
    details = [f"Wallpaper of {scene.words}"]
    if chance(rng, 0.45):
        x, y = (float(a) for a in on(deck, rng.choice((0.14, 0.85)), 0.8))
        one, two = print_colours(rng, base)
        shown = any_motif(canvas, rng, x, y, 36, one, two)
        details.append(f"Sticker of {shown} by the trackpad")
    return Article(canvas.picture(), f"{base.name} laptop", tuple(details))


def _desktop(canvas: Canvas, rng: Random, left: float, top: float, right: float) -> None:
    for row in range(rng.randint(1, 4)):
        icon = box(left + 22, top + 24 + row * 66, left + 64, top + 64 + row * 66, 8)
        canvas.fill(icon, any_colour(rng).rgb)
    if chance(rng, 0.5):
        x, y = rng.uniform(left + 150, right - 380), top + rng.uniform(50, 120)
        window = box(x, y, x + 280, y + 200, 10)
        canvas.shadow(window, 0.4, 12)
        canvas.fill(window, CHALK)
        canvas.fill(box(x, y, x + 280, y + 28, 8), any_colour(rng).rgb)
        for step in range(6):
            canvas.fill(
                box(x + 18, y + 48 + step * 24, x + rng.uniform(120, 260), y + 58 + step * 24),
                (170, 172, 178),
                rim=0,
            )


def monitor(rng: Random) -> Article:
    """A monitor on a stand."""
    canvas = Canvas()
    bezel = any_colour(rng, "black", "black", "white", "grey", "charcoal", "red", "navy")
    scene = any_scene(rng)
    wide = chance(rng, 0.4)
    height = rng.randint(430, 500) if wide else rng.randint(520, 600)
    top = 110
    thick = rng.randint(16, 40)
    chin = thick + rng.choice((0, 30, 44))
    bottom = top + height + thick + chin
    metal = rng.choice((STEEL, GRAPHITE, INK, bezel.rgb))
    stand = rng.choice(("round", "flat", "vee"))
    neck = polygon((455, bottom - 20), (545, bottom - 20), (560, 900), (440, 900))
    canvas.fill(neck, metal, shades.upright(0.4))
    if stand == "round":
        canvas.fill(oval(500, 902, rng.randint(170, 220), 40), metal, shades.ball(0.35))
    elif stand == "flat":
        canvas.fill(
            rounded(polygon((310, 880), (690, 880), (740, 930), (260, 930)), 16),
            metal,
            shades.sheen(0.3),
        )
    else:
        for side in (-1, 1):
            canvas.tube(polygon((500, 880), (500 + side * 240, 930)), 34, metal)
    case = box(30, top, 970, bottom, 18)
    canvas.shadow(case, 0.4, 14)
    canvas.fill(case, bezel.rgb, shades.sheen(0.2), rim=0.6)
    display = box(30 + thick, top + thick, 970 - thick, bottom - chin)
    screen(canvas, display, scene.picture)
    _desktop(canvas, rng, 30 + thick, top + thick, 970 - thick)
    canvas.fill(box(900, bottom - 14, 926, bottom - 6, 3), (110, 220, 150), rim=0)
    if chin > thick:
        canvas.fill(box(455, bottom - chin / 2 - 8, 545, bottom - chin / 2 + 8, 6), STEEL)
    shape = "wide " if wide else ""
    return Article(
        canvas.picture(),
        f"{bezel.name} {shape}monitor with {stand} stand",
        (f"Screen showing {scene.words} in the photos",),
    )


def keyboard(rng: Random) -> Article:
    """A keyboard from above, with or without a number pad."""
    canvas = Canvas()
    base = any_colour(
        rng, "black", "white", "grey", "cream", "pink", "navy", "mint", "charcoal", "lilac", "red"
    )
    keys = other_colour(rng, base)
    marks = other_colour(rng, keys)
    compact = chance(rng, 0.45)
    columns, pitch = (_MAIN_COLUMNS, 66) if compact else (18, 52)
    top = 330
    rows = 5
    left = 500 - columns * pitch / 2
    case = box(
        left - 26, top - 30 - (0 if compact else 20), 1000 - left + 26, top + rows * pitch + 26, 26
    )
    canvas.fill(case, base.rgb, shades.falling(0.25), rim=0.7)
    glow = chance(rng, 0.3)
    accent_rows = rng.choice((0, 1, 2))
    for row in range(rows):
        column = 0.0
        while column < columns - 0.1:
            width = _key_width(row, column, columns)
            x, y = left + column * pitch, top + row * pitch
            special = width > 1 or (column == 0 and accent_rows) or (row == 0 and accent_rows > 1)
            colour = marks.rgb if special else keys.rgb
            if glow:
                share = column / columns
                hue = (
                    round(255 * abs(math.cos(3 * share))),
                    round(255 * share),
                    round(255 * abs(math.sin(3 * share))),
                )
                canvas.fill(box(x, y, x + width * pitch, y + pitch), hue, rim=0)
            cap = box(x + 4, y + 3, x + width * pitch - 4, y + pitch - 5, 9)
            canvas.fill(cap, darker(colour, 0.25), rim=0.3)
            canvas.fill(
                box(x + 9, y + 5, x + width * pitch - 9, y + pitch - 15, 8),
                colour,
                shades.sheen(0.12),
                rim=0,
            )
            if width == 1:
                canvas.stroke(
                    polygon(
                        (x + pitch * 0.34, y + pitch * 0.3), (x + pitch * 0.5, y + pitch * 0.3)
                    ),
                    5,
                    legible(colour),
                )
            column += width
    details = ["Compact, no number pad" if compact else "Full size with number pad"]
    if glow:
        details.append("Rainbow backlight works")
    return Article(
        canvas.picture(),
        f"{base.name} keyboard with {keys.name} and {marks.name} keys",
        tuple(details),
    )


def _key_width(row: int, column: float, columns: int) -> float:
    """Keys in units, close to a real layout: wide keys at both ends, and a space bar."""
    if column == 0:
        return _FIRST_KEYS[row]
    if row == len(_FIRST_KEYS) - 1 and column == _SPACE_FROM:
        return _SPACE
    left = _MAIN_COLUMNS - column
    is_last = 1 < left <= _WIDEST_LAST_KEY and 0 < row < len(_FIRST_KEYS) - 1
    return left if is_last else min(1, columns - column)


def tower(rng: Random) -> Article:
    """A desktop computer, with a glass side full of lights or with plain panels."""
    canvas = Canvas()
    base = any_colour(rng, "black", "white", "charcoal", "grey", "red", "navy", "mint", "pink")
    light = any_colour(
        rng, "red", "sky blue", "lime green", "purple", "orange", "pink", "teal", "blue"
    )
    left, right = 240, 560
    top, bottom = 110, 930
    cuboid(canvas, (left, top, right, bottom), (220, 70), base.rgb)
    side = polygon(
        (right, top), (right + 220, top - 70), (right + 220, bottom - 70), (right, bottom)
    )
    glass = chance(rng, 0.6)
    if glass:
        canvas.fill(patch(side, 0.1, 0.06, 0.92, 0.94), darker(light.rgb, 0.78), shades.sheen(0.2))
        canvas.fill(patch(side, 0.25, 0.2, 0.8, 0.55), darker(light.rgb, 0.55))
        for v in (0.3, 0.62, 0.7):
            canvas.stroke(patch(side, 0.15, v, 0.88, v + 0.01)[:2], 12, light.rgb)
        for u in (0.56, 0.64, 0.72):
            canvas.stroke(patch(side, u, 0.22, u, 0.42)[1:3], 10, lighter(light.rgb, 0.4))
        canvas.tint(patch(side, 0.1, 0.06, 0.92, 0.94), light.rgb, 0.18, 10)
    else:
        for step in range(7):
            canvas.stroke(
                patch(side, 0.25, 0.3 + step * 0.05, 0.75, 1)[:2], 9, darker(base.rgb, 0.6)
            )
    details = ["Glass side panel" if glass else "Vented side panel"]
    middle = (left + right) / 2
    fans = rng.choice((0, 2, 3))
    if fans:
        canvas.fill(
            box(left + 24, top + 60, right - 24, bottom - 40, 16),
            meshed(darker(base.rgb, 0.4), 14),
            shades.upright(0.2),
        )
        radius = 138 - 6 * fans
        for step in range(fans):
            y = top + 60 + (bottom - top - 100) * (step + 0.5) / fans
            canvas.disc(middle, y, radius, darker(base.rgb, 0.7))
            for blade in range(7):
                wing = arc(middle + 50, y, 52, 40, 180, 330)
                canvas.fill(
                    turned(wing, blade * 360 / 7, (middle, y)), darker(light.rgb, 0.45), rim=0.2
                )
            canvas.ring(oval(middle, y, radius - 8), 13, lighter(light.rgb, 0.25))
            canvas.disc(middle, y, 28, INK, shades.ball(0.5))
        details.append(f"{fans} fans with {light.name} light")
    else:
        for step in range(2):
            y = top + 50 + step * 86
            canvas.fill(
                box(left + 24, y, right - 24, y + 66, 6),
                lighter(base.rgb, 0.1),
                shades.falling(0.2),
            )
            canvas.fill(box(right - 84, y + 44, right - 44, y + 54, 3), INK)
        canvas.fill(
            box(left + 24, 520, right - 24, bottom - 60, 10), meshed(darker(base.rgb, 0.25), 18)
        )
        one, two = print_colours(rng, base)
        shown = any_motif(canvas, rng, middle, 430, 56, one, two)
        details.append(f"Front badge with {shown}")
    canvas.disc(right - 50, top + 32, 16, light.rgb, shades.ball(0.5))
    return Article(
        canvas.picture(), f"{base.name} desktop PC with {light.name} lights", tuple(details)
    )
