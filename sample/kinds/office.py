"""Office Furniture & Equipment: office chairs, desks, filing cabinets, desk lamps."""

from random import Random

from PIL import Image

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
from sample.drawing.finishes import ALL_OVER, any_finish, meshed, wood, woven
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import box, oval, polygon, rounded, smooth
from sample.drawing.solids import cuboid

ROOT = "Office Furniture & Equipment"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Office Chairs", Stance.STANDING, (8, 150), office_chair),
        Kind(f"{ROOT} / Desks", Stance.STANDING, (15, 200), desk),
        Kind(f"{ROOT} / Filing Cabinets", Stance.STANDING, (10, 80), cabinet),
        Kind(f"{ROOT} / Desk Lamps", Stance.STANDING, (4, 40), desk_lamp),
    )


def office_chair(rng: Random) -> Article:
    """A swivel chair on castors."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    frame: RGB = rng.choice((INK, STEEL, CHALK, GRAPHITE))
    finish = any_finish(rng, base, accent, "plain", "plain", "two-tone", *ALL_OVER)
    plain = finish.words == base.name
    cover = rng.choice((woven(rng, base.rgb), meshed(base.rgb, 18))) if plain else finish.paint
    for dx in (-250, -130, 0, 130, 250):
        y = 905 - abs(dx) * 0.08
        canvas.tube(polygon((500, 820), (500 + dx, y)), 30, frame)
        canvas.disc(500 + dx, y + 34, 30, INK, shades.ball(0.4))
        canvas.disc(500 + dx, y + 34, 12, GRAPHITE)
    canvas.fill(box(474, 660, 526, 830, 8), STEEL, shades.upright(0.7))
    canvas.fill(box(456, 740, 544, 830, 8), frame, shades.upright(0.5))
    headrest = chance(rng, 0.35)
    top = rng.randint(125, 190) if headrest else rng.randint(50, 190)
    half, waist = rng.randint(170, 215), rng.randint(130, 190)
    canvas.tube(polygon((500, 480), (500, 660)), 46, frame)
    back = smooth(
        (500 - half, top + 60),
        (500 - half + 50, top),
        (500 + half - 50, top),
        (500 + half, top + 60),
        (500 + waist, 400),
        (500 + waist - 20, 510),
        (500 - waist + 20, 510),
        (500 - waist, 400),
    )
    canvas.fill(back, cover, shades.upright(0.3), rim=0.8)
    canvas.ring(back, 12, darker(base.rgb, 0.4) if plain else accent.rgb)
    details = []
    if headrest:
        head = box(400, top - 90, 600, top - 16, 34)
        canvas.fill(box(484, top - 30, 516, top + 10), frame)
        canvas.fill(head, cover, shades.lying(0.3), rim=0.7)
        details.append("Headrest")
    arms = chance(rng, 0.65)
    if arms:
        for side in (-1, 1):
            x = 500 + side * 270
            canvas.tube(
                smooth((500 + side * 180, 640), (x, 630), (x, 480), closed=False), 28, frame
            )
            canvas.fill(box(x - 50, 450, x + 50, 490, 18), INK, shades.falling(0.4))
    details.append("With armrests" if arms else "No armrests")
    seat = smooth(
        (270, 560),
        (500, 540),
        (730, 560),
        (760, 620),
        (720, 668),
        (500, 680),
        (280, 668),
        (240, 620),
    )
    canvas.shadow(seat, 0.4, 16)
    canvas.fill(seat, cover, shades.lying(0.4), rim=0.8)
    canvas.stitches(
        smooth((270, 600), (500, 584), (730, 600), closed=False), lighter(base.rgb, 0.5)
    )
    return Article(canvas.picture(), f"{finish.words} office chair", tuple(details))


def desk(rng: Random) -> Article:
    """A desk with drawers at one side or both, and a few things on it."""
    canvas = Canvas()
    tone = rng.choice(
        (
            ("oak", (206, 158, 100)),
            ("walnut", (120, 76, 46)),
            ("pine", (230, 196, 138)),
            ("grey wood", (150, 142, 134)),
        )
    )
    base = any_colour(rng)
    painted = chance(rng, 0.4)
    paint = base.rgb if painted else wood(rng, tone[1]).transpose(Image.Transpose.ROTATE_90)
    fronts = any_colour(rng) if chance(rng, 0.5) else None
    legs: RGB = rng.choice((STEEL, INK, CHALK, darker(tone[1], 0.2)))
    top = 460
    sides = rng.choice(("left", "right", "both"))
    for x, lean in ((110, -10), (890, 10)):
        canvas.fill(
            polygon((x - 22, top), (x + 22, top), (x + 18 + lean, 900), (x - 18 + lean, 900)),
            legs,
            shades.upright(0.5),
        )
    canvas.fill(box(120, top + 50, 880, top + 190), paint, shades.level(-0.35))
    drawers = rng.choice((2, 3, 4))
    for side, left in (("left", 80), ("right", 620)):
        if sides not in {side, "both"}:
            continue
        low = rng.choice((760, 890))
        canvas.fill(box(left, top + 20, left + 300, low, 6), paint, shades.level(-0.12))
        height = (low - top - 60) / drawers
        for step in range(drawers):
            y = top + 46 + step * height
            front = box(left + 16, y, left + 284, y + height - 12, 8)
            canvas.fill(front, fronts.rgb if fronts else paint, shades.sheen(0.2), rim=0.7)
            canvas.fill(
                box(left + 105, y + height * 0.35, left + 195, y + height * 0.35 + 18, 8),
                legs,
                shades.lying(0.5),
            )
    canvas.fill(
        polygon((120, top - 90), (880, top - 90), (960, top), (40, top)), paint, shades.level(0.12)
    )
    canvas.fill(box(38, top - 4, 962, top + 40, 6), paint, shades.falling(0.2), rim=0.7)
    stuff = _desk_things(canvas, rng, top - 40)
    colour = base.name if painted else tone[0]
    details = [f"{drawers} drawers at {'both sides' if sides == 'both' else 'the ' + sides}"]
    if fronts:
        details.append(f"{fronts.name} drawer fronts")
    details.append(f"{stuff} not included")
    return Article(canvas.picture(), f"{colour} desk", tuple(details))


def _desk_things(canvas: Canvas, rng: Random, y: float) -> str:
    things = rng.choice(("books", "vase", "globe"))
    x = rng.uniform(260, 740)
    if things == "books":
        for step in range(rng.randint(3, 6)):
            high = rng.uniform(110, 190)
            canvas.fill(
                box(x + step * 38, y - high, x + step * 38 + 34, y, 4),
                any_colour(rng).rgb,
                shades.upright(0.4),
            )
        return "Books"
    tone = any_colour(rng)
    if things == "vase":
        canvas.fill(
            smooth(
                (x - 20, y - 170),
                (x + 20, y - 170),
                (x + 62, y - 70),
                (x + 30, y),
                (x - 30, y),
                (x - 62, y - 70),
            ),
            tone.rgb,
            shades.upright(0.5),
        )
        for dx in (-50, 0, 50):
            canvas.stroke(polygon((x, y - 160), (x + dx, y - 280)), 7, (70, 130, 70))
            canvas.disc(x + dx, y - 290, 30, any_colour(rng).rgb, shades.ball(0.4))
        return "Vase"
    canvas.tube(polygon((x, y - 60), (x, y - 10)), 14, STEEL)
    canvas.fill(oval(x, y - 6, 50, 14), STEEL)
    canvas.disc(x, y - 120, 78, (84, 150, 206), shades.ball(0.45))
    land = smooth(
        (x - 50, y - 160), (x - 10, y - 170), (x - 6, y - 120), (x - 36, y - 90), (x - 60, y - 120)
    )
    canvas.fill(land, (112, 168, 92), rim=0.2)
    canvas.fill(
        smooth((x + 20, y - 130), (x + 60, y - 140), (x + 50, y - 90), (x + 26, y - 84)),
        (112, 168, 92),
        rim=0.2,
    )
    return "Globe"


def cabinet(rng: Random) -> Article:
    """A filing cabinet with labelled drawers."""
    canvas = Canvas()
    base = any_colour(rng)
    count = rng.choice((2, 3, 4))
    fronts = [base if chance(rng, 0.6) else any_colour(rng) for _ in range(count)]
    wide = rng.randint(400, 480)
    left, right, bottom = 450 - wide / 2, 450 + wide / 2, 940
    top = bottom - count * rng.randint(190, 215)
    cuboid(canvas, (left, top, right, bottom), (110, 56), base.rgb)
    pull = rng.choice(("bar", "cup", "knob"))
    height = (bottom - top - 20) / count
    metal: RGB = rng.choice((STEEL, INK, (206, 166, 84)))
    for step, colour in enumerate(fronts):
        y = top + 14 + step * height
        canvas.fill(
            box(left + 18, y, right - 18, y + height - 14, 10),
            colour.rgb,
            shades.falling(0.25),
            rim=0.8,
        )
        canvas.fill(box(400, y + 24, 500, y + 66, 4), STEEL)
        canvas.fill(box(408, y + 31, 492, y + 59), CHALK)
        canvas.text(
            (450, y + 45), rng.choice(("A-F", "G-L", "M-R", "S-Z", "2019", "TAX", "BILLS")), 26, INK
        )
        if pull == "knob":
            canvas.disc(450, y + 106, 24, metal, shades.ball(0.6))
        elif pull == "bar":
            canvas.tube(polygon((370, y + 104), (530, y + 104)), 22, metal)
        else:
            canvas.fill(
                smooth((380, y + 92), (520, y + 92), (505, y + 132), (395, y + 132)),
                metal,
                shades.falling(0.5),
            )
    canvas.disc(right - 46, top + 44, 14, STEEL, shades.ball(0.5))
    details = [f"{count} drawers", f"{pull} handles"]
    if chance(rng, 0.5):
        one, two = print_colours(rng, fronts[-1])
        shown = any_motif(canvas, rng, right - 80, bottom - 80, 40, one, two)
        details.append(f"Sticker of {shown} on it")
    extra = next((colour.name for colour in fronts if colour.name != base.name), "")
    words = f"{base.name} and {extra}" if extra else base.name
    return Article(canvas.picture(), f"{words} filing cabinet", tuple(details))


def desk_lamp(rng: Random) -> Article:
    """A jointed desk lamp."""
    canvas = Canvas()
    base = any_colour(rng)
    joint = any_colour(rng, "black", "grey", "white", "mustard", "red")
    elbow = (rng.randint(640, 800), rng.randint(420, 560))
    head = (rng.randint(360, 520), rng.randint(170, 260))
    square = chance(rng, 0.5)
    if square:
        canvas.fill(
            rounded(polygon((330, 880), (670, 880), (720, 940), (280, 940)), 16),
            base.rgb,
            shades.sheen(0.3),
        )
    else:
        canvas.fill(oval(500, 905, 210, 46), base.rgb, shades.ball(0.4))
    arms = rng.choice((0, 24))
    for start, end in (((500.0, 890.0), elbow), (elbow, head)):
        for shift in sorted({-arms, arms}):
            canvas.tube(
                polygon((start[0] + shift, start[1]), (end[0] + shift, end[1])),
                22 if arms else 34,
                STEEL if arms else base.rgb,
            )
    for x, y in ((500.0, 880.0), elbow, head):
        canvas.disc(x, y, 40, joint.rgb, shades.ball(0.5))
    x, y = head
    tilt = rng.randint(10, 60)
    wide = rng.randint(150, 200)
    hood = smooth(
        (x - 40, y - 60),
        (x + 50, y - 40),
        (x - 10 + tilt, y + 190),
        (x - wide - 60, y + 150),
        (x - wide - 40, y + 60),
    )
    canvas.disc(x - wide / 2 - 10, y + 170, 58, (255, 236, 170), shades.ball(0.3))
    finish = any_finish(rng, base, other_colour(rng, base), "plain", "plain", *ALL_OVER)
    canvas.fill(hood, finish.paint, shades.glossy(0.5), rim=0.8)
    canvas.stroke(
        polygon((x - wide - 56, y + 140), (x - 6 + tilt, y + 190)), 20, lighter(base.rgb, 0.4)
    )
    canvas.disc(x + 6, y - 54, 26, joint.rgb, shades.ball(0.5))
    foot = "square" if square else "round"
    return Article(
        canvas.picture(), f"{finish.words} desk lamp", (f"{foot} foot", f"{joint.name} joints")
    )
