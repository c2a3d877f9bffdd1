"""Home & Garden: table lamps, potted plants, armchairs, mugs."""

from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    GOLD,
    INK,
    PALE,
    RGB,
    STEEL,
    any_colour,
    darker,
    lighter,
    other_colour,
)
from sample.drawing.finishes import ALL_OVER, any_finish, wood, woven
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import arc, box, oval, polygon, profile, smooth, turned
from sample.drawing.solids import cushion
from sample.kinds.plants import plant

ROOT = "Home & Garden"
_PATTERNS = (
    "plain",
    "striped",
    "spotted",
    "checked",
    "flowery",
    "zigzag",
    "diamond",
    "speckled",
    "starry",
)


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Lamps", Stance.STANDING, (4, 60), lamp),
        Kind(f"{ROOT} / Armchairs", Stance.STANDING, (15, 350), armchair),
        Kind(f"{ROOT} / Plants", Stance.STANDING, (2, 40), plant),
        Kind(f"{ROOT} / Mugs", Stance.STANDING, (1, 10), mug),
    )


def lamp(rng: Random) -> Article:
    """A table lamp with a cloth shade."""
    canvas = Canvas()
    foot, cloth = any_colour(rng), any_colour(rng, "red", "navy", *PALE)
    finish = any_finish(rng, cloth, other_colour(rng, cloth), *_PATTERNS)
    material = rng.choice(("ceramic", "wooden", "brass"))
    tone: RGB = {"ceramic": foot.rgb, "wooden": (168, 114, 66), "brass": GOLD}[material]
    paint = wood(rng, tone) if material == "wooden" else tone
    form = rng.choice(("vase", "column", "balls", "tripod"))
    if form == "tripod":
        for dx in (-190, 30, 190):
            canvas.tube(
                polygon((500, 480), (500 + dx, 940)),
                26,
                tone,
            )
    elif form == "balls":
        for step, radius in enumerate((100, 82, 66)):
            canvas.disc(500, 830 - step * 140, radius, paint, shades.ball(0.55))
        canvas.fill(box(340, 900, 660, 940, 16), paint, shades.upright(0.4))
    else:
        points = (
            ((60, 480), (60, 540), (150, 690), (160, 780), (90, 900), (120, 940))
            if form == "vase"
            else ((34, 480), (34, 600), (40, 860), (150, 910), (160, 940))
        )
        canvas.fill(profile(500, *points), paint, shades.upright(0.55), rim=0.6)
    canvas.fill(box(478, 440, 522, 500, 6), GOLD, shades.upright(0.5))
    narrow, wide = rng.randint(130, 250), rng.randint(270, 370)
    top = rng.randint(70, 170)
    hood = polygon((500 - narrow, top), (500 + narrow, top), (500 + wide, 470), (500 - wide, 470))
    canvas.fill(hood, finish.paint, shades.upright(0.35), rim=0.4)
    if chance(rng, 0.5):
        canvas.gleam(oval(500, 350, wide * 0.6, 130), 0.45, 70)
    trim = darker(cloth.rgb, 0.4)
    canvas.stroke(hood[:2], 14, trim)
    canvas.stroke(hood[2:], 14, trim)
    if chance(rng, 0.4):
        for step in range(18):
            x = 500 - wide + step * wide / 8.5
            canvas.stroke(polygon((x, 476), (x, 508)), 8, trim)
    base = f"{foot.name} ceramic" if material == "ceramic" else material
    return Article(canvas.picture(), f"table lamp with {finish.words} shade", (f"{base} base",))


def armchair(rng: Random) -> Article:
    """An upholstered armchair with a cushion."""
    canvas = Canvas()
    base = any_colour(rng)
    finish = any_finish(rng, base, other_colour(rng, base), "plain", "plain", *ALL_OVER)
    cover = woven(rng, base.rgb) if finish.words == base.name else finish.paint
    timber: RGB = rng.choice(((140, 92, 54), INK, (204, 160, 104), STEEL))
    high = rng.randint(110, 260)
    for x, lean in ((240, -26), (760, 26)):
        canvas.fill(
            polygon((x - 26, 830), (x + 26, 830), (x + 14 + lean, 960), (x - 14 + lean, 960)),
            timber,
            shades.upright(0.5),
        )
    form = rng.choice(("wing", "round", "square"))
    back = {
        "wing": smooth(
            (250, 700),
            (190, 300),
            (210, high + 30),
            (500, high),
            (790, high + 30),
            (810, 300),
            (750, 700),
        ),
        "round": smooth(
            (240, 700),
            (230, 380),
            (330, high + 40),
            (500, high),
            (670, high + 40),
            (770, 380),
            (760, 700),
        ),
        "square": box(230, high + 40, 770, 720, 50),
    }[form]
    canvas.fill(back, cover, shades.sheen(0.3), rim=0.7)
    if chance(rng, 0.5):
        for row in range(3):
            for column in range(3 + row % 2):
                x, y = 380 + column * 120 - row % 2 * 60, high + 130 + row * 90
                canvas.shadow(oval(x, y, 18), 0.5, 14, (2, 4))
                canvas.disc(x, y, 10, darker(base.rgb, 0.2), shades.ball(0.5))
    cushion(canvas, box(230, 600, 770, 740, 50), cover, 0.25)
    canvas.fill(box(190, 720, 810, 850, 24), cover, shades.falling(0.35), rim=0.6)
    for side in (-1, 1):
        x = 500 + side * 325
        rest = box(x - 85, 480, x + 85, 850, rng.choice((30, 84)))
        canvas.shadow(rest, 0.4, 18)
        canvas.fill(rest, cover, shades.upright(0.35), rim=0.6)
    pillow = any_colour(rng)
    print_on = any_finish(rng, pillow, other_colour(rng, pillow), *_PATTERNS)
    square = turned(
        smooth(
            (410, 440),
            (500, 452),
            (590, 440),
            (578, 530),
            (590, 620),
            (500, 608),
            (410, 620),
            (422, 530),
        ),
        rng.uniform(-14, 14),
        (500, 530),
    )
    cushion(canvas, square, print_on.paint, 0.35)
    return Article(
        canvas.picture(),
        f"{finish.words} armchair",
        (f"{form} back", f"{print_on.words} cushion included"),
    )


def mug(rng: Random) -> Article:
    """A mug with a pattern or a print, its handle at the right."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(rng, base, accent, "plain", "plain", *_PATTERNS)
    half, top = rng.randint(240, 310), rng.randint(180, 330)
    foot = half - rng.choice((0, 0, 70))
    handle = smooth(
        (380 + half - 30, top + 110),
        (380 + half + 170, top + 100),
        (380 + half + 210, top + 260),
        (380 + half + 130, top + 430),
        (380 + foot - 20, top + 480),
        closed=False,
    )
    grip = accent.rgb if chance(rng, 0.4) else base.rgb
    canvas.tube(handle, 62, grip)
    wall = [*arc(380, 880, foot, 44, 0, 180), *arc(380, top, half, 60, 180, 360)]
    body = polygon(*((float(x), float(y)) for x, y in wall))
    canvas.fill(body, finish.paint, shades.upright(0.5), rim=0.5)
    name = f"{finish.words} mug"
    if finish.words == base.name:
        one, two = print_colours(rng, base)
        name += f" with {any_motif(canvas, rng, 370, (top + 900) / 2 + 20, half * 0.55, one, two)}"
    canvas.fill(oval(380, top, half, 60), lighter(base.rgb, 0.35), rim=0.5)
    inside = any_colour(rng, "white", "cream", base.name, accent.name)
    canvas.fill(oval(380, top + 4, half - 18, 48), darker(inside.rgb, 0.2), shades.sunk(0.5))
    drink = chance(rng, 0.4)
    if drink:
        canvas.fill(oval(380, top + 18, half - 44, 32), (96, 60, 36), shades.sheen(0.3))
    return Article(canvas.picture(), name, (f"{inside.name} inside", "No chips or cracks"))
