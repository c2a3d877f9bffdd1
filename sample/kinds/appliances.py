"""Appliances: kettles, microwaves, washing machines, fridge freezers."""

from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    CHALK,
    GLASS,
    GRAPHITE,
    INK,
    STEEL,
    any_colour,
    darker,
    lighter,
    mix,
    other_colour,
)
from sample.drawing.finishes import any_finish, brushed, meshed
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import arc, box, oval, polygon, profile, smooth
from sample.drawing.solids import cuboid, knob

ROOT = "Appliances"
_WHITE_GOODS = (
    "white", "white", "black", "grey", "charcoal", "red", "cream", "mint", "sky blue", "pink",
    "teal",
)  # fmt: skip


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Kettles", Stance.STANDING, (5, 45), kettle),
        Kind(f"{ROOT} / Washing Machines", Stance.STANDING, (60, 260), washing_machine),
        Kind(f"{ROOT} / Microwave Ovens", Stance.STANDING, (15, 90), microwave),
        Kind(f"{ROOT} / Fridges & Freezers", Stance.STANDING, (50, 1250), fridge),
    )


def kettle(rng: Random) -> Article:
    """A jug, a dome or a straight kettle, with its spout at the left."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(
        rng, base, accent, "plain", "spotted", "striped", "checked", "flowery", "speckled", "zigzag"
    )
    trim = rng.choice((INK, STEEL, accent.rgb, CHALK))
    form = rng.choice(("jug", "dome", "straight"))
    shoulder, belly = {"jug": (150, 215), "dome": (120, 270), "straight": (185, 205)}[form]
    top = {"jug": 250, "dome": 400, "straight": 230}[form] + rng.randint(-20, 30)
    middle = 470

    spout_y = top + (40 if form != "dome" else 110)
    spout = smooth(
        (middle - shoulder * 0.7, spout_y + 150),
        (middle - belly - rng.randint(60, 110), spout_y - 10),
        (middle - belly - 20, spout_y - 14),
        (middle - shoulder * 0.6, spout_y + 20),
    )
    canvas.fill(spout, base.rgb, shades.lying(0.3))
    _kettle_handle(canvas, form, middle, top, shoulder, belly, trim)
    plate = oval(middle, 885, belly + 40, 44)
    canvas.fill(plate, INK, shades.falling(0.4))
    body = profile(
        middle,
        (shoulder, top),
        (shoulder + (belly - shoulder) * 0.55, top + (880 - top) * 0.28),
        (belly, top + (880 - top) * 0.72),
        (belly - 18, 880),
    )
    canvas.fill(body, finish.paint, shades.upright(0.5))
    canvas.fill(
        box(middle - belly, 846, middle + belly, 872, 8), trim, shades.upright(0.4), within=body
    )
    lid = arc(middle, top + 8, shoulder + 6, 52, 180, 360)
    canvas.fill(lid, trim, shades.upright(0.4))
    canvas.disc(middle, top - 58, 24, trim, shades.ball(0.6))
    details = ["Straight sides" if form == "straight" else f"{form} shape"]
    if chance(rng, 0.45):
        window = box(middle - 16, top + 170, middle + 16, 770, 14)
        canvas.fill(window, mix(CHALK, (120, 170, 210), 0.45), shades.upright(0.3))
        for y in range(int(top) + 210, 760, 50):
            canvas.stroke(polygon((middle - 12, y), (middle + 4, y)), 4, INK)
        details.append("With a water gauge")
    elif chance(rng, 0.5):
        knob(canvas, middle - 20, 700, 58, GRAPHITE)
        details.append("Temperature dial works")
    canvas.fill(box(middle + belly - 70, 868, middle + belly - 20, 892, 6), (228, 90, 60))
    return Article(canvas.picture(), f"{finish.words} kettle", tuple(details))


def _kettle_handle(
    canvas: Canvas,
    form: str,
    x: float,
    top: float,
    shoulder: float,
    belly: float,
    trim: tuple[int, int, int],
) -> None:
    if form == "dome":
        canvas.tube(arc(x, top + 40, belly * 0.8, 270, 190, 350), 46, trim)
        return
    grip = smooth(
        (x + shoulder - 20, top + 34),
        (x + belly + 110, top + 30),
        (x + belly + 150, top + 150),
        (x + belly + 110, top + 420),
        (x + belly - 30, top + 500),
        closed=False,
    )
    canvas.tube(grip, 54, trim)


def microwave(rng: Random) -> Article:
    """A microwave oven with buttons or dials at its right."""
    canvas = Canvas()
    base = any_colour(rng, *_WHITE_GOODS)
    metal = chance(rng, 0.25)
    paint = brushed(rng, STEEL) if metal else base.rgb
    top, bottom = 330 + rng.randint(-50, 30), 800
    for foot in (110, 780):
        canvas.fill(box(foot, bottom - 6, foot + 60, bottom + 24, 6), INK)
    cuboid(canvas, (50, top, 890, bottom), (70, 60), paint)
    split = rng.randint(640, 720)
    door = box(76, top + 26, split - 16, bottom - 26, 22)
    frame = rng.choice((INK, darker(base.rgb, 0.15), STEEL))
    canvas.fill(door, frame, shades.sheen(0.2))
    window = box(130, top + 80, split - 96, bottom - 80, 26)
    canvas.fill(window, meshed((52, 56, 60), 14), shades.sheen(0.1))
    canvas.tint(oval((split + 40) / 2, bottom - 130, 170, 34), (226, 206, 150), 0.45, 6)
    canvas.gleam(
        polygon((170, top + 90), (310, top + 90), (210, bottom - 90), (140, bottom - 90)), 0.18, 6
    )
    canvas.tube(polygon((split - 56, top + 90), (split - 56, bottom - 90)), 28, STEEL)
    panel = box(split + 6, top + 26, 866, bottom - 26, 12)
    canvas.fill(panel, rng.choice((INK, darker(base.rgb, 0.3), lighter(base.rgb, 0.4))), rim=0.3)
    digits = f"{rng.randint(1, 12)}:{rng.randint(0, 59):02}"
    centre = (split + 872) / 2
    canvas.fill(box(split + 26, top + 46, 846, top + 116, 6), (18, 30, 26))
    canvas.text((centre, top + 80), digits, 54, (110, 240, 170))
    if chance(rng, 0.5):
        for dial_y in (top + 200, top + 335):
            knob(canvas, centre, dial_y, 52, rng.choice((STEEL, CHALK)))
        detail = "Two dials"
    else:
        light = rng.choice((CHALK, (220, 120, 70), STEEL))
        for row in range(4):
            for column in range(3):
                x, y = centre - 60 + column * 60, top + 170 + row * 56
                canvas.fill(box(x - 22, y - 18, x + 22, y + 18, 6), light)
        canvas.fill(box(split + 30, bottom - 76, 842, bottom - 40, 10), (90, 190, 110))
        detail = "Push buttons"
    name = "Brushed steel" if metal else base.name
    return Article(
        canvas.picture(), f"{name} microwave", (detail, "Heats fine", "Turntable included")
    )


def washing_machine(rng: Random) -> Article:
    """A front loader with somebody's washing in it."""
    canvas = Canvas()
    base = any_colour(rng, *_WHITE_GOODS)
    ring = rng.choice((STEEL, INK, CHALK, any_colour(rng, "blue", "red", "teal", "orange").rgb))
    left, right, top, bottom = 170, 760, 110, 930
    for foot in (left + 30, right - 90):
        canvas.fill(box(foot, bottom - 6, foot + 60, bottom + 24, 6), INK)
    cuboid(canvas, (left, top, right, bottom), (70, 60), base.rgb)
    strip = rng.choice((darker(base.rgb, 0.12), INK, lighter(base.rgb, 0.3)))
    canvas.fill(box(left + 8, top + 8, right - 8, top + 132, 8), strip, rim=0.3)
    flip = chance(rng, 0.5)
    drawer = (left + 24, left + 214) if not flip else (right - 214, right - 24)
    canvas.fill(box(drawer[0], top + 30, drawer[1], top + 112, 10), base.rgb, shades.falling(0.2))
    canvas.fill(box(drawer[0] + 40, top + 82, drawer[1] - 40, top + 100, 8), darker(base.rgb, 0.5))
    turn = rng.choice((STEEL, CHALK, GRAPHITE))
    knob(canvas, rng.randint(430, 500), top + 70, rng.randint(38, 50), turn)
    show = (right - 190, right - 30) if not flip else (left + 30, left + 190)
    canvas.fill(box(show[0], top + 40, show[1], top + 92, 6), (22, 30, 34))
    canvas.text(
        ((show[0] + show[1]) / 2, top + 66),
        f"{rng.randint(0, 2)}:{rng.randint(10, 59)}",
        42,
        (255, 150, 90),
    )

    x, y, radius = (left + right) / 2, 560 + rng.randint(-20, 20), rng.randint(190, 232)
    canvas.shadow(oval(x, y, radius), 0.4, 22)
    canvas.disc(x, y, radius, ring, shades.ball(0.5))
    canvas.disc(x, y, radius * 0.8, darker(ring, 0.45), shades.sunk(0.4))
    drum = oval(x, y, radius * 0.72)
    canvas.fill(drum, GLASS, shades.sunk(0.5))
    for _ in range(rng.randint(3, 6)):
        dx, dy = rng.uniform(-0.5, 0.5) * radius, rng.uniform(0.05, 0.6) * radius
        heap = smooth(
            *(
                (x + dx + rng.uniform(60, 120) * a, y + dy + rng.uniform(40, 80) * b)
                for a, b in ((1, 0), (0.5, 0.9), (-0.5, 0.9), (-1, 0), (-0.5, -0.9), (0.5, -0.9))
            )
        )
        canvas.fill(heap, any_colour(rng).rgb, shades.ball(0.4), within=drum)
    canvas.gleam(arc(x, y, radius * 0.6, radius * 0.6, 190, 260), 0.4, 6)
    canvas.fill(box(x + radius * 0.78, y - 40, x + radius * 0.98, y + 40, 10), darker(ring, 0.3))
    canvas.fill(box(left + 40, bottom - 80, left + 150, bottom - 30, 8), darker(base.rgb, 0.1))
    name = base.name
    drum_words = f"{rng.choice((6, 7, 8, 9))} kg drum"
    return Article(canvas.picture(), f"{name} washing machine", (drum_words, "Spins quietly"))


def fridge(rng: Random) -> Article:
    """A tall fridge freezer, with magnets on it at times."""
    canvas = Canvas()
    base = any_colour(
        rng, "white", "cream", "red", "mint", "sky blue", "black", "pink", "grey", "mustard", "teal"
    )
    metal = chance(rng, 0.25)
    paint = brushed(rng, STEEL) if metal else base.rgb
    left, right = 270, 270 + rng.randint(370, 440)
    top, bottom = 50, 950
    for foot in (left + 20, right - 70):
        canvas.fill(box(foot, bottom - 6, foot + 50, bottom + 22, 6), INK)
    cuboid(
        canvas, (left, top, right, bottom), (64, 36), darker(base.rgb, 0.1) if not metal else paint
    )
    split = rng.choice((330, 400, 600, 680))
    hinge_left = chance(rng, 0.5)
    grip = right - 40 if hinge_left else left + 40
    bar = rng.choice((STEEL, INK, GRAPHITE, (206, 166, 84)))
    radius = rng.choice((10, 46))
    for low, high in ((top + 4, split - 6), (split + 6, bottom - 4)):
        door = box(left + 4, low, right - 4, high, radius)
        canvas.fill(door, paint, shades.upright(0.22), rim=0.6)
        length = min(170, (high - low) * 0.6)
        near = high - 30 - length if low < split and high <= split else low + 30
        canvas.shadow(box(grip - 10, near, grip + 10, near + length, 8), 0.4, 8)
        canvas.tube(polygon((grip, near), (grip, near + length)), 24, bar)
    details = ["Top freezer" if split < (top + bottom) / 2 else "Bottom freezer"]
    face = split + 90 if split < (top + bottom) / 2 else top + 70
    middle = (left + right) / 2
    if chance(rng, 0.3):
        canvas.fill(box(middle - 70, face, middle + 70, face + 170, 12), INK, shades.sunk(0.3))
        canvas.fill(
            box(middle - 50, face + 70, middle + 50, face + 156, 8), GRAPHITE, shades.sunk(0.5)
        )
        details.append("Water dispenser")
    elif chance(rng, 0.7):
        for _ in range(rng.randint(2, 5)):
            x, y = rng.uniform(left + 90, right - 90), rng.uniform(face, face + 250)
            one, two = print_colours(rng, base)
            any_motif(canvas, rng, x, y, rng.uniform(26, 40), one, two)
        details.append("Magnets included")
    canvas.fill(box(middle - 44, split - 60, middle + 44, split - 38, 6), STEEL)
    name = "Brushed steel" if metal else base.name
    return Article(canvas.picture(), f"{name} fridge freezer", tuple(details))
