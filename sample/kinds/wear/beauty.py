"""Health & Beauty: perfume, hair dryers, lipsticks, eyeshadow palettes."""

from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    BRIGHT,
    CHALK,
    GOLD,
    INK,
    RGB,
    STEEL,
    any_colour,
    darker,
    is_dark,
    lighter,
    mix,
    other_colour,
)
from sample.drawing.finishes import ALL_OVER, any_finish, fade
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import Points, box, closed, heart, oval, polygon, rounded, smooth, star
from sample.drawing.solids import label

ROOT = "Health & Beauty"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Perfume", Stance.STANDING, (5, 70), perfume),
        Kind(f"{ROOT} / Hair Dryers", Stance.LYING, (5, 60), hair_dryer),
        Kind(f"{ROOT} / Make-Up", Stance.STANDING, (1, 15), lipstick),
        Kind(f"{ROOT} / Palettes", Stance.LYING, (3, 30), palette),
    )


def perfume(rng: Random) -> Article:
    """A glass bottle of perfume with a cap."""
    canvas = Canvas()
    liquid = any_colour(rng, *BRIGHT)
    metal: RGB = rng.choice((GOLD, STEEL, INK, CHALK, darker(liquid.rgb, 0.5)))
    forms: dict[str, Points] = {
        "square": box(250, 420, 750, 920, 40),
        "tall": box(340, 330, 660, 930, 60),
        "round": oval(500, 660, 290, 270),
        "heart shaped": heart(500, 660, 310),
        "star shaped": rounded(star(500, 660, 340, 6, 0.72), 40),
        "slanted": rounded(polygon((360, 400), (640, 400), (780, 920), (220, 920)), 40),
    }
    form, outline = rng.choice(list(forms.items()))
    top = float(outline[:, 1].min()) if form != "heart shaped" else 450.0
    canvas.fill(box(440, top - 70, 560, top + 40, 8), metal, shades.upright(0.6))
    cap = rng.choice(("block", "ball", "crown", "bow"))
    if cap == "ball":
        canvas.disc(500, top - 150, 105, metal, shades.ball(0.65))
    elif cap == "crown":
        canvas.fill(
            polygon(
                (390, top - 60),
                (370, top - 230),
                (445, top - 150),
                (500, top - 250),
                (555, top - 150),
                (630, top - 230),
                (610, top - 60),
            ),
            metal,
            shades.upright(0.6),
        )
    else:
        high = rng.randint(150, 230)
        canvas.fill(box(400, top - 50 - high, 600, top - 50, 16), metal, shades.upright(0.6))
    glass = mix(liquid.rgb, (236, 242, 246), 0.72)
    canvas.fill(outline, glass, shades.upright(0.35), rim=0.7)
    middle = outline.mean(axis=0)
    inner = (outline - middle) * 0.86 + middle
    level = top + (930 - top) * rng.uniform(0.18, 0.4)
    fluid = fade(lighter(liquid.rgb, 0.25), darker(liquid.rgb, 0.15))
    canvas.fill(box(150, level, 850, 990), fluid, shades.upright(0.3), within=inner, rim=0.1)
    canvas.gleam(polygon((330, top + 90), (380, top + 60), (370, 860), (330, 840)), 0.35, 8)
    name = rng.choice(("FLEUR", "NOIR", "AMOUR", "SOLEIL", "LUNE", "ROSE"))
    words = rng.choice(("oval", "box", "motif"))
    if words == "motif":
        any_motif(canvas, rng, 500, 690, 105, *print_colours(rng, liquid))
    else:
        plate = box(375, 620, 625, 760, 8) if words == "box" else oval(500, 690, 140, 92)
        label(canvas, plate, name, GOLD if is_dark(metal) else CHALK, INK, 54)
    details = [f"{form} bottle"]
    if cap == "bow":
        ribbon = any_colour(rng)
        for side in (-1, 1):
            canvas.fill(
                smooth(
                    (500, top - 18),
                    (500 + side * 120, top - 80),
                    (500 + side * 140, top + 30),
                    (500, top + 2),
                ),
                ribbon.rgb,
                shades.ball(0.4),
            )
            canvas.fill(
                polygon((500, top), (500 + side * 40, top + 110), (500 + side * 90, top + 90)),
                ribbon.rgb,
            )
        canvas.disc(500, top - 6, 26, ribbon.rgb, shades.ball(0.5))
        details.append(f"{ribbon.name} bow around the neck")
    return Article(
        canvas.picture(),
        f"{form} bottle of {liquid.name} perfume",
        tuple(details[1:]) or ("Nearly full",),
    )


def hair_dryer(rng: Random) -> Article:
    """A hair dryer that blows to the left."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(rng, base, accent, "plain", *ALL_OVER)
    trim: RGB = rng.choice((INK, STEEL, CHALK, accent.rgb))
    lean = rng.randint(-60, 60)
    cord = smooth(
        (620 + lean, 900),
        (640 + lean, 960),
        (780, 970),
        (900, 920),
        (950, 830),
        (900, 780),
        closed=False,
    )
    canvas.stroke(cord, 20, INK)
    grip = rounded(polygon((540, 430), (710, 430), (690 + lean, 920), (570 + lean, 920)), 50)
    canvas.fill(grip, base.rgb, shades.upright(0.45), rim=0.6)
    canvas.fill(box(596 + lean // 2, 590, 652 + lean // 2, 720, 20), trim, shades.falling(0.4))
    canvas.fill(
        box(604 + lean // 2, 600 + rng.choice((0, 50)), 644 + lean // 2, 660, 12),
        accent.rgb,
        shades.ball(0.4),
    )
    long = rng.randint(120, 210)
    nozzle = polygon((60, 240), (60 + long, 215), (60 + long, 430), (60, 405))
    flat = chance(rng, 0.5)
    if flat:
        nozzle = polygon((50, 270), (80 + long, 200), (80 + long, 440), (50, 375))
    canvas.fill(nozzle, trim, shades.lying(0.5), rim=0.6)
    body = smooth(
        (160 + long // 2, 205),
        (400, 180),
        (700, 130),
        (860, 180),
        (912, 320),
        (860, 460),
        (700, 505),
        (400, 460),
        (160 + long // 2, 440),
    )
    canvas.fill(body, finish.paint, shades.lying(0.5), rim=0.6)
    canvas.stroke(polygon((210 + long // 2, 200), (210 + long // 2, 444)), 18, trim, within=body)
    canvas.disc(795, 318, 112, trim, shades.ball(0.4))
    for ring in range(5):
        canvas.ring(oval(795, 318, 96 - ring * 20), 8, darker(trim, 0.55))
    details = [("Flat" if flat else "Round") + " nozzle", f"{accent.name} switch"]
    return Article(canvas.picture(), f"{finish.words} hair dryer", tuple(details))


def lipstick(rng: Random) -> Article:
    """An open lipstick with its cap beside it."""
    canvas = Canvas()
    shade = any_colour(rng, "burgundy", "brown", *BRIGHT)
    case = any_colour(
        rng, "black", "white", "navy", "pink", "mint", "red", "cream", "teal", "purple", "mustard"
    )
    accent = other_colour(rng, case)
    metal: RGB = rng.choice((GOLD, STEEL, (224, 168, 150)))
    finish = any_finish(rng, case, accent, "plain", *ALL_OVER)
    rise = rng.randint(120, 280)
    square = chance(rng, 0.4)
    radius = 6 if square else 26
    tip = 470 - rise
    bullet = smooth(
        (290, 480),
        (290, tip + 70),
        (300, tip + 40),
        (400, tip - 60),
        (440, tip - 50),
        (452, tip),
        (450, 480),
    )
    canvas.fill(bullet, shade.rgb, shades.upright(0.5), rim=0.5)
    canvas.gleam(smooth((300, tip + 60), (410, tip - 40), (430, tip), (320, tip + 110)), 0.3, 8)
    canvas.fill(box(272, 440, 468, 640, 8), metal, shades.upright(0.75))
    for y in (470, 600):
        canvas.stroke(polygon((274, y), (466, y)), 6, darker(metal, 0.4))
    canvas.fill(box(236, 620, 504, 930, radius), finish.paint, shades.upright(0.5), rim=0.6)
    canvas.fill(box(236, 616, 504, 650, 8), metal, shades.upright(0.7))
    height = rng.randint(330, 430)
    cap = box(560, 930 - height, 836, 930, radius)
    canvas.shadow(cap, 0.4, 16)
    canvas.fill(cap, finish.paint, shades.upright(0.5), rim=0.6)
    canvas.fill(box(560, 896, 836, 932, 8), metal, shades.upright(0.7))
    one, two = print_colours(rng, case)
    shown = (
        any_motif(canvas, rng, 698, 930 - height / 2, 66, one, two)
        if finish.words == case.name
        else ""
    )
    canvas.fill(oval(698, 930 - height + 4, 120, 10), lighter(case.rgb, 0.3), rim=0.2)
    details = (f"{finish.words} case", *((f"Cap with {shown}",) if shown else ()))
    return Article(canvas.picture(), f"{shade.name} lipstick in {finish.words} case", details)


def palette(rng: Random) -> Article:
    """An open eyeshadow palette with a mirror."""
    canvas = Canvas()
    case = any_colour(rng)
    accent = other_colour(rng, case)
    finish = any_finish(rng, case, accent, "plain", *ALL_OVER)
    columns, rows = rng.choice(((3, 2), (4, 2), (4, 3), (5, 3), (6, 2)))
    half = rng.randint(330, 440)
    left, right = 500 - half, 500 + half
    lid = box(left, 90, right, 480, 30)
    canvas.fill(lid, finish.paint, shades.sheen(0.2), rim=0.6)
    mirror = (
        box(left + 46, 132, right - 46, 440, 18)
        if chance(rng, 0.6)
        else oval(500, 286, half * 0.7, 150)
    )
    canvas.fill(mirror, fade((214, 228, 238), (168, 188, 206)), shades.glossy(0.5))
    canvas.ring(mirror, 7, STEEL)
    canvas.fill(box(left + 60, 470, right - 60, 508, 8), darker(case.rgb, 0.4), shades.lying(0.4))
    tray = box(left, 498, right, 920, 30)
    canvas.fill(tray, finish.paint, shades.sheen(0.2), rim=0.6)
    wide, high = (2 * half - 80) / columns, 340 / rows
    round_pans = chance(rng, 0.5)
    for row in range(rows):
        for column in range(columns):
            x, y = left + 40 + (column + 0.5) * wide, 540 + (row + 0.5) * high
            reach = min(wide, high) * 0.42
            pan = (
                oval(x, y, reach)
                if round_pans
                else box(x - wide * 0.42, y - high * 0.42, x + wide * 0.42, y + high * 0.42, 10)
            )
            tone = any_colour(rng)
            canvas.fill(pan, tone.rgb, shades.sunk(0.25), rim=0.7)
            canvas.stroke(closed(pan), 4, darker(case.rgb, 0.4))
            if chance(rng, 0.3):
                canvas.gleam(oval(x, y, reach * 0.5, reach * 0.3), 0.35, 8)
    shape = "round" if round_pans else "square"
    return Article(
        canvas.picture(),
        f"{finish.words} eyeshadow palette",
        (f"{columns * rows} {shape} shades", "With mirror"),
    )
