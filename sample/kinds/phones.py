"""Phones, Mobile Phones & Telecoms: smartphones, desk telephones, button phones, phone cases."""

import math
from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    CHALK,
    GOLD,
    INK,
    RGB,
    STEEL,
    any_colour,
    darker,
    legible,
    lighter,
    other_colour,
)
from sample.drawing.finishes import PRINTS, any_finish
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import box, closed, moved, oval, polygon, rounded, smooth
from sample.drawing.scenes import any_scene
from sample.drawing.solids import screen

ROOT = "Phones, Mobile Phones & Telecoms"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Smartphones", Stance.LYING, (20, 700), smartphone),
        Kind(f"{ROOT} / Home Phones", Stance.STANDING, (5, 60), telephone),
        Kind(f"{ROOT} / Mobile Phones", Stance.LYING, (5, 40), button_phone),
        Kind(f"{ROOT} / Phone Cases", Stance.LYING, (1, 12), phone_case),
    )


def smartphone(rng: Random) -> Article:
    """A smartphone from the front, and a second view of its back beside it."""
    canvas = Canvas()
    base = any_colour(rng)
    frame = darker(base.rgb, 0.3)
    high = rng.randint(760, 860)
    top = 500 - high / 2
    corner = rng.choice((36, 70))
    back = box(500, top - 20, 500 + high * 0.47, top + high - 20, corner)
    canvas.fill(back, base.rgb, shades.glossy(0.35), rim=0.8)
    lens = rng.choice(("square", "column", "bar"))
    right = 500 + high * 0.47
    spots = {
        "square": [(right - 60, top + 40), (right - 130, top + 40), (right - 60, top + 110)],
        "column": [(right - 62, top + 40), (right - 62, top + 110), (right - 62, top + 180)],
        "bar": [(right - 62, top + 46), (right - 132, top + 46), (right - 202, top + 46)],
    }[lens]
    xs, ys = [x for x, _ in spots], [y for _, y in spots]
    canvas.fill(
        box(min(xs) - 44, min(ys) - 44, max(xs) + 44, max(ys) + 44, 30),
        darker(base.rgb, 0.25),
        shades.sheen(0.2),
    )
    for x, y in spots:
        canvas.disc(x, y, 30, INK, shades.ball(0.5))
        canvas.disc(x, y, 14, (50, 70, 110), shades.ball(0.7))
    one, two = print_colours(rng, base)
    any_motif(canvas, rng, right - 110, 540, 50, one, two)
    front = moved(
        box(500 - high * 0.42, top + 20, 500 + high * 0.05, top + high + 20, corner), 0, 0
    )
    canvas.shadow(front, 0.5, 20)
    canvas.fill(front, frame, shades.sheen(0.3), rim=0.5)
    left, edge = 500 - high * 0.42 + 14, 500 + high * 0.05 - 14
    scene = any_scene(rng)
    screen(canvas, box(left, top + 34, edge, top + high + 6, corner * 0.7), scene.picture, 6)
    canvas.fill(box((left + edge) / 2 - 44, top + 48, (left + edge) / 2 + 44, top + 70, 10), INK)
    canvas.text(
        ((left + edge) / 2, top + 150), f"{rng.randint(1, 12)}:{rng.randint(0, 59):02}", 92, CHALK
    )
    pitch = (edge - left) / 4
    for row in range(rng.randint(2, 5)):
        for column in range(4):
            x, y = left + (column + 0.5) * pitch, top + high - 70 - row * pitch
            icon = box(
                x - pitch * 0.32, y - pitch * 0.32, x + pitch * 0.32, y + pitch * 0.32, pitch * 0.18
            )
            canvas.fill(icon, any_colour(rng).rgb, rim=0.2)
    return Article(
        canvas.picture(),
        f"{base.name} smartphone",
        (f"{len(spots)} cameras", f"Wallpaper of {scene.words}", "Photos show front and back"),
    )


def telephone(rng: Random) -> Article:
    """A desk telephone with a dial or with buttons."""
    canvas = Canvas()
    base = any_colour(rng)
    dial = other_colour(rng, base, "white", "black", "cream", "mustard", "grey", "red")
    wide = rng.randint(330, 400)
    cord = [(140 + 16 * math.cos(step * 1.6) + step * 2, 400 + step * 14) for step in range(36)]
    canvas.stroke(smooth(*cord, (260, 930), closed=False), 12, darker(base.rgb, 0.4))
    body = smooth(
        (330, 380),
        (500, 350),
        (670, 380),
        (500 + wide * 0.85, 620),
        (500 + wide, 880),
        (500, 920),
        (500 - wide, 880),
        (500 - wide * 0.85, 620),
    )
    canvas.fill(body, base.rgb, shades.upright(0.4), rim=0.7)
    canvas.shadow(box(170, 380, 830, 400), 0.4, 24)
    for fork in (350, 650):
        rest = polygon((fork - 46, 300), (fork + 46, 300), (fork + 60, 420), (fork - 60, 420))
        canvas.fill(rounded(rest, 16), darker(base.rgb, 0.15), shades.upright(0.4))
    rotary = chance(rng, 0.55)
    if rotary:
        canvas.disc(500, 640, 205, dial.rgb, shades.ball(0.35))
        for step in range(10):
            angle = math.radians(step * 30 - 60)
            x, y = 500 + 146 * math.cos(angle), 640 + 146 * math.sin(angle)
            canvas.disc(x, y, 34, darker(base.rgb, 0.5), shades.sunk(0.4))
            canvas.text((x, y), str((step + 1) % 10), 38, CHALK)
        canvas.disc(500, 640, 82, any_colour(rng).rgb, shades.ball(0.4))
        canvas.stroke(polygon((640, 770), (600, 730)), 16, STEEL)
    else:
        pad = box(340, 480, 660, 850, 30)
        canvas.fill(pad, dial.rgb, shades.sheen(0.2))
        keys = other_colour(rng, dial)
        for step, mark in enumerate("123456789*0#"):
            x, y = 400 + step % 3 * 100, 534 + step // 3 * 88
            canvas.fill(box(x - 36, y - 30, x + 36, y + 30, 12), keys.rgb, shades.falling(0.35))
            canvas.text((x, y), mark, 42, legible(keys.rgb))
    handset = smooth(
        (90, 210),
        (200, 150),
        (500, 130),
        (800, 150),
        (910, 210),
        (900, 330),
        (800, 350),
        (740, 270),
        (500, 232),
        (260, 270),
        (200, 350),
        (100, 330),
    )
    canvas.shadow(handset, 0.4, 18)
    canvas.fill(handset, darker(base.rgb, 0.05), shades.lying(0.45), rim=0.7)
    trim: RGB = rng.choice((GOLD, STEEL, dial.rgb))
    for x in (222, 778):
        canvas.stroke(polygon((x - 6, 166), (x + 6, 262)), 16, trim)
    sort = "rotary dial" if rotary else "push button"
    return Article(
        canvas.picture(),
        f"{base.name} {sort} telephone",
        (f"{dial.name} {'dial' if rotary else 'key pad'}",),
    )


def button_phone(rng: Random) -> Article:
    """An old mobile with a small screen and real buttons."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(
        rng, base, accent, "plain", "plain", "two-tone", "camo", "speckled", "striped"
    )
    half = rng.randint(190, 230)
    form = rng.choice(("rounded", "square"))
    canvas.fill(box(500 + half - 90, 20, 500 + half - 40, 160, 20), INK) if chance(
        rng, 0.5
    ) else None
    body = (
        smooth(
            (500 - half + 40, 80),
            (500, 56),
            (500 + half - 40, 80),
            (500 + half, 300),
            (500 + half - 26, 640),
            (500 + half - 46, 900),
            (500, 946),
            (500 - half + 46, 900),
            (500 - half + 26, 640),
            (500 - half, 300),
        )
        if form == "rounded"
        else box(500 - half, 66, 500 + half, 940, 50)
    )
    canvas.fill(body, finish.paint, shades.upright(0.4), rim=0.8)
    canvas.fill(box(440, 100, 560, 116, 8), INK)
    glass = box(500 - half + 44, 150, 500 + half - 44, 420, 26)
    canvas.fill(glass, INK, shades.glossy(0.3))
    glow: RGB = rng.choice(((168, 196, 120), (150, 206, 222), (236, 180, 110), (206, 214, 220)))
    window = box(500 - half + 70, 180, 500 + half - 70, 396, 8)
    canvas.fill(window, glow, rim=0.5)
    canvas.text(
        (500, 250), f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}", 76, darker(glow, 0.8)
    )
    any_motif(canvas, rng, 500, 346, 36, darker(glow, 0.8), darker(glow, 0.4))
    keys = other_colour(rng, base)
    canvas.fill(oval(500, 500, 80, 44), accent.rgb, shades.ball(0.4))
    canvas.fill(oval(500, 500, 40, 22), keys.rgb, shades.ball(0.4))
    for side, tone in ((-1, (60, 160, 90)), (1, (200, 60, 50))):
        canvas.fill(oval(500 + side * (half - 74), 500, 34, 24), tone, shades.ball(0.4))
    round_keys = chance(rng, 0.5)
    for step, mark in enumerate("123456789*0#"):
        x, y = 500 + (step % 3 - 1) * (half - 76), 592 + step // 3 * 80
        key = oval(x, y, 46, 28) if round_keys else box(x - 50, y - 28, x + 50, y + 28, 10)
        canvas.fill(key, keys.rgb, shades.ball(0.3))
        canvas.text((x, y), mark, 40, legible(keys.rgb))
    return Article(
        canvas.picture(), f"{finish.words} button phone", (f"{keys.name} keys", "Charger included")
    )


def phone_case(rng: Random) -> Article:
    """A phone's protective case from the back."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(rng, base, accent, "plain", "plain", *PRINTS)
    half, corner = rng.randint(210, 250), rng.choice((50, 90))
    case = box(500 - half, 50, 500 + half, 950, corner)
    canvas.fill(case, darker(base.rgb, 0.3))
    inner = box(500 - half + 16, 66, 500 + half - 16, 934, corner * 0.85)
    name = f"{finish.words} phone case"
    if finish.words != base.name:
        canvas.fill(inner, finish.paint, shades.glossy(0.3))
    elif chance(rng, 0.5):
        scene = any_scene(rng)
        canvas.fill(inner, scene.picture, shades.glossy(0.3), fit=True)
        name = f"phone case with {scene.words}"
    else:
        canvas.fill(inner, base.rgb, shades.glossy(0.3))
        one, two = print_colours(rng, base)
        name += f" with {any_motif(canvas, rng, 500, 600, rng.randint(120, 170), one, two)}"
    if chance(rng, 0.5):
        hole = box(500 - half + 50, 100, 500 - half + 210, 300, 46)
        dots = [(500 - half + 130, 155), (500 - half + 130, 245)]
    else:
        hole = box(500 - half + 50, 100, 500 + half - 50, 200, 46)
        dots = [(420, 150), (500, 150), (580, 150)]
    canvas.fill(hole, INK, shades.sunk(0.4))
    canvas.stroke(closed(hole), 9, lighter(base.rgb, 0.4))
    for x, y in dots:
        canvas.disc(x, y, 32, (60, 62, 70), shades.ball(0.5))
        canvas.disc(x, y, 15, (40, 60, 110), shades.ball(0.7))
    details = []
    if chance(rng, 0.3):
        ring = any_colour(rng)
        canvas.disc(500, 700, 74, ring.rgb, shades.ball(0.4))
        canvas.ring(oval(500, 700, 54), 10, STEEL)
        details.append(f"{ring.name} grip on the back")
    return Article(canvas.picture(), name, (*details, f"Fits a {rng.choice((5, 6))} inch phone"))
