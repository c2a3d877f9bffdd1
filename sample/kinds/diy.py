"""DIY Tools & Materials: cordless drills, hammers, paint tins, tool boxes."""

from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    BRIGHT,
    CHALK,
    GOLD,
    GRAPHITE,
    INK,
    RGB,
    RUBBER,
    STEEL,
    any_colour,
    darker,
    legible,
    lighter,
    other_colour,
)
from sample.drawing.finishes import ALL_OVER, any_finish, wood
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import arc, box, closed, moved, oval, polygon, rounded, smooth, turned
from sample.drawing.solids import cuboid, tin

ROOT = "DIY Tools & Materials"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Power Tools", Stance.LYING, (10, 120), drill),
        Kind(f"{ROOT} / Paint", Stance.STANDING, (2, 30), paint_tin),
        Kind(f"{ROOT} / Hand Tools", Stance.LYING, (2, 20), hammer),
        Kind(f"{ROOT} / Tool Storage", Stance.STANDING, (5, 60), tool_box),
    )


def drill(rng: Random) -> Article:
    """A cordless drill that points left."""
    canvas = Canvas()
    base = any_colour(rng, *BRIGHT)
    accent: RGB = rng.choice((INK, GRAPHITE, (214, 60, 50), CHALK))
    slope = rng.randint(-20, 60)
    grip = polygon((540, 420), (740, 400), (770 + slope, 740), (590 + slope, 760))
    canvas.fill(rounded(grip, 40), RUBBER, shades.upright(0.4))
    for step in range(7):
        y = 500 + step * 32
        canvas.stroke(
            polygon((600 + slope * step / 9, y), (720 + slope * step / 8, y - 6)),
            8,
            lighter(RUBBER, 0.18),
        )
    canvas.fill(
        smooth((540, 450), (575, 470), (590, 560), (556, 570), (530, 500)), accent, shades.ball(0.5)
    )
    deep = rng.randint(100, 170)
    wide = rng.randint(0, 50)
    pack = rounded(
        polygon(
            (500 - wide + slope, 740),
            (850 + slope, 726),
            (860 + slope, 740 + deep),
            (500 - wide + slope, 750 + deep),
        ),
        24,
    )
    canvas.fill(pack, accent, shades.falling(0.35), rim=0.6)
    canvas.fill(moved(box(560, 780, 760, 780 + deep * 0.4, 8), slope, 0), base.rgb)
    canvas.text(
        (660 + slope, 780 + deep * 0.2),
        f"{rng.choice((12, 14, 18, 20))}V",
        min(56, deep * 0.38),
        legible(base.rgb),
    )
    nose = rng.randint(90, 150)
    canvas.fill(box(30, 318, 330 - nose, 334, 3), STEEL, shades.lying(0.6))
    chuck = polygon((330 - nose - 20, 290), (330, 262), (330, 392), (330 - nose - 20, 364))
    canvas.fill(chuck, INK, shades.lying(0.6))
    for step in range(5):
        y = 284 + step * 20
        canvas.stroke(polygon((330 - nose + 10, y + 4), (322, y)), 5, GRAPHITE)
    canvas.fill(box(324, 250, 390, 404, 14), accent, shades.lying(0.5))
    body = smooth(
        (380, 240), (620, 214), (800, 226), (856, 320), (800, 420), (600, 440), (380, 410)
    )
    canvas.fill(body, base.rgb, shades.lying(0.45), rim=0.7)
    canvas.fill(smooth((770, 226), (850, 250), (858, 390), (780, 420)), RUBBER, shades.lying(0.4))
    for step in range(rng.randint(3, 5)):
        canvas.stroke(
            polygon((690 + step * 22, 290), (676 + step * 22, 360)), 9, darker(base.rgb, 0.6)
        )
    one, two = print_colours(rng, base)
    shown = any_motif(canvas, rng, 510, 326, 52, one, two)
    details = [f"Badge with {shown}", "Battery holds its charge"]
    if chance(rng, 0.5):
        canvas.fill(box(420, 190, 560, 232, 12), accent, shades.falling(0.4))
        details.append("Speed selector on top")
    return Article(canvas.picture(), f"{base.name} cordless drill", tuple(details))


def hammer(rng: Random) -> Article:
    """A claw hammer, a mallet or a sledge, upright."""
    canvas = Canvas()
    grip = any_colour(rng)
    stripe = other_colour(rng, grip)
    form = rng.choice(("claw hammer", "mallet", "club hammer"))
    wooden = chance(rng, 0.55)
    half = rng.randint(34, 48)
    shaft = smooth(
        (500 - half * 0.7, 200),
        (500 + half * 0.7, 200),
        (500 + half * 0.8, 500),
        (500 + half * 1.2, 800),
        (500 + half, 960),
        (500, 975),
        (500 - half, 960),
        (500 - half * 1.2, 800),
        (500 - half * 0.8, 500),
    )
    timber = wood(rng, rng.choice(((202, 152, 92), (160, 104, 58), (224, 186, 132))))
    canvas.fill(
        shaft,
        timber if wooden else (STEEL if chance(rng, 0.5) else stripe.rgb),
        shades.upright(0.5),
    )
    start = rng.randint(560, 700)
    finish = any_finish(rng, grip, stripe, "plain", "striped", "diamond", "spotted", "zigzag")
    handle = box(400, start, 600, 990)
    canvas.fill(handle, finish.paint, shades.upright(0.4), within=shaft)
    canvas.fill(box(400, start, 600, start + 22), stripe.rgb, within=shaft)
    iron: RGB = rng.choice((STEEL, GRAPHITE, (120, 124, 132)))
    if form == "claw hammer":
        head = smooth(
            (250, 150),
            (330, 150),
            (400, 140),
            (560, 138),
            (680, 150),
            (800, 230),
            (836, 300),
            (800, 290),
            (690, 230),
            (570, 236),
            (400, 236),
            (330, 250),
            (250, 250),
        )
        canvas.fill(head, iron, shades.lying(0.5), rim=0.7)
        canvas.stroke(
            smooth((660, 176), (760, 226), (816, 280), closed=False), 8, darker(iron, 0.7)
        )
        canvas.fill(box(226, 138, 300, 262, 14), lighter(iron, 0.15), shades.lying(0.6))
    elif form == "mallet":
        tone = any_colour(rng, "brown", "black", "beige", "red", "orange", "blue", "white")
        canvas.fill(
            rounded(polygon((240, 90), (760, 90), (730, 320), (270, 320)), 26),
            timber if wooden and tone.name in {"brown", "beige"} else tone.rgb,
            shades.lying(0.45),
            rim=0.7,
        )
        canvas.fill(oval(500, 100, 44, 12), darker(tone.rgb, 0.5))
    else:
        canvas.fill(
            rounded(
                polygon(
                    (290, 110),
                    (710, 110),
                    (740, 150),
                    (740, 260),
                    (710, 300),
                    (290, 300),
                    (260, 260),
                    (260, 150),
                ),
                14,
            ),
            iron,
            shades.lying(0.5),
            rim=0.7,
        )
        canvas.fill(box(440, 100, 560, 310, 8), darker(iron, 0.15), shades.upright(0.4))
        canvas.text((500, 205), f"{rng.choice((2, 3, 4))} lb", 44, CHALK)
    if chance(rng, 0.4):
        canvas.ring(oval(500, 940, 15), 7, INK)
    shaft_words = "Wooden shaft" if wooden else "Metal shaft"
    return Article(canvas.picture(), f"{form} with {finish.words} grip", (shaft_words,))


def paint_tin(rng: Random) -> Article:
    """A tin of paint with a label, drips, and a brush on top at times."""
    canvas = Canvas()
    colour = any_colour(rng)
    paper = any_colour(rng)
    accent = other_colour(rng, paper)
    finish = any_finish(rng, paper, accent, "plain", "two-tone", *ALL_OVER)
    radius, top = rng.randint(240, 310), rng.randint(330, 450)
    bottom = 890
    lift = rng.choice((-1, 1))
    if lift < 0:
        canvas.stroke(arc(500, top + 60, radius, 230, 180, 360), 12, GRAPHITE)
        canvas.stroke(
            box(440, top - 182, 560, top - 158, 10),
            26,
            any_colour(rng, "black", "red", "white").rgb,
        )
    tin(canvas, 500, top, bottom, radius, STEEL, 0.2)
    depth = radius * 0.2
    label = [
        (float(x), float(y))
        for x, y in (
            *arc(500, bottom - 40, radius, depth, 0, 180),
            *arc(500, top + 70, radius, depth, 180, 0),
        )
    ]
    wrap = polygon(*label)
    canvas.fill(wrap, finish.paint, shades.upright(0.4), rim=0.3)
    middle = (top + bottom) / 2 + 60
    plate = box(500 - radius * 0.62, middle - 130, 500 + radius * 0.62, middle + 140, 22)
    canvas.fill(plate, CHALK, shades.upright(0.2))
    canvas.disc(500, middle + 36, 82, colour.rgb, shades.ball(0.35))
    canvas.text(
        (500, middle - 86), rng.choice(("MATT", "SATIN", "GLOSS", "EGGSHELL", "PRIMER")), 58, INK
    )
    canvas.fill(oval(500, top, radius, depth), STEEL, shades.ball(0.3), rim=0.7)
    canvas.fill(oval(500, top + 3, radius * 0.86, depth * 0.82), darker(STEEL, 0.4), rim=0.5)
    canvas.fill(oval(500, top + 8, radius * 0.82, depth * 0.74), colour.rgb, shades.sheen(0.35))
    for _ in range(rng.randint(1, 4)):
        x, long = 500 + rng.uniform(-0.75, 0.75) * radius, rng.uniform(60, 260)
        start = top + depth * 0.75
        canvas.tube(polygon((x, start - 20), (x, start + long)), rng.uniform(22, 40), colour.rgb)
    if lift > 0:
        canvas.stroke(arc(500, top + 60, radius + 6, 290, 8, 172), 12, GRAPHITE)
    details = [f"{colour.name} paint", f"{finish.words} label"]
    if chance(rng, 0.5):
        brush = box(470, 60, 530, 320, 26)
        turn = rng.uniform(30, 60)
        handle = any_colour(rng)
        for part, paint in (
            (brush, handle.rgb),
            (box(440, 300, 560, 370), GOLD),
            (box(440, 368, 560, 450), (196, 160, 110)),
            (box(440, 430, 560, 470, 8), colour.rgb),
        ):
            canvas.fill(
                turned(moved(part, 80, top - 400), turn, (560, top)), paint, shades.upright(0.4)
            )
        details.append(f"Brush with {handle.name} handle included")
    return Article(canvas.picture(), f"tin of {colour.name} paint", tuple(details))


def tool_box(rng: Random) -> Article:
    """A tool box or a small chest with drawers."""
    canvas = Canvas()
    base = any_colour(rng)
    lid = any_colour(rng, "black", "grey", "charcoal", "yellow", "red", "navy")
    latch = any_colour(rng, "yellow", "orange", "red", "grey", "white", "lime green")
    top, bottom = rng.randint(430, 520), 880
    drawers = rng.choice((0, 2, 3))
    canvas.tube(
        smooth(
            (330, top - 60),
            (350, top - 190),
            (450, top - 214),
            (620, top - 214),
            (720, top - 190),
            (740, top - 60),
            closed=False,
        ),
        44,
        RUBBER,
    )
    cuboid(canvas, (80, top, 850, bottom), (90, 70), base.rgb)
    cover = polygon(
        (64, top + 20),
        (92, top - 66),
        (180, top - 130),
        (930, top - 130),
        (962, top - 60),
        (866, top + 20),
    )
    canvas.fill(rounded(cover, 18), lid.rgb, shades.falling(0.35), rim=0.6)
    canvas.fill(box(60, top + 6, 872, top + 56, 12), darker(lid.rgb, 0.12), shades.falling(0.2))
    if drawers:
        height = (bottom - top - 90) / drawers
        for step in range(drawers):
            y = top + 74 + step * height
            canvas.fill(
                box(110, y, 820, y + height - 14, 10), base.rgb, shades.falling(0.25), rim=0.7
            )
            canvas.fill(
                box(370, y + height * 0.3, 560, y + height * 0.3 + 26, 12), STEEL, shades.lying(0.5)
            )
    else:
        for x in (110, 300, 490, 680):
            canvas.fill(
                box(x, top + 90, x + 140, bottom - 50, 14), darker(base.rgb, 0.1), shades.sunk(0.2)
            )
        one, two = print_colours(rng, base)
        canvas.fill(box(330, top + 130, 610, bottom - 80, 16), lid.rgb)
        any_motif(canvas, rng, 470, (top + bottom) / 2 + 26, 90, one, two)
    for x in (190, 680):
        canvas.fill(
            box(x, top - 20, x + 70, top + 92, 12), latch.rgb, shades.falling(0.35), rim=0.7
        )
    canvas.stroke(closed(box(60, top + 6, 872, top + 56, 12)), 3, INK)
    parts = f"{drawers} drawers" if drawers else "One big compartment"
    return Article(
        canvas.picture(),
        f"{base.name} tool box with {lid.name} lid",
        (parts, f"{latch.name} latches"),
    )
