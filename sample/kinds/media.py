"""Music, Films, Books & Games: guitars, books, records, board games."""

from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    CHALK,
    GOLD,
    INK,
    STEEL,
    any_colour,
    darker,
    legible,
    lighter,
    other_colour,
)
from sample.drawing.finishes import ALL_OVER, any_finish, wood
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import arc, box, closed, oval, patch, polygon, rounded, smooth, turned
from sample.drawing.scenes import any_scene
from sample.drawing.solids import knob

ROOT = "Music, Films, Books & Games"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Guitars", Stance.HANGING, (20, 1250), guitar),
        Kind(f"{ROOT} / Records", Stance.LYING, (2, 40), record),
        Kind(f"{ROOT} / Books", Stance.LYING, (1, 15), book),
        Kind(f"{ROOT} / Board Games", Stance.LYING, (3, 25), board_game),
    )


def guitar(rng: Random) -> Article:
    """An acoustic or an electric guitar, upright."""
    canvas = Canvas()
    acoustic = chance(rng, 0.5)
    finish_colour = any_colour(rng)
    natural = acoustic and chance(rng, 0.5)
    paint = (
        wood(rng, rng.choice(((216, 164, 98), (160, 96, 52), (190, 130, 76))))
        if natural
        else finish_colour.rgb
    )
    neck_tone = (96, 62, 42)
    if acoustic:
        waist, hip = rng.randint(120, 150), rng.randint(205, 245)
        half = (
            (0, 470),
            (110, 478),
            (165, 540),
            (waist, 640),
            (waist + 20, 680),
            (hip, 780),
            (hip - 20, 890),
            (110, 950),
            (0, 958),
        )
        body = smooth(
            *[(500 + dx, y) for dx, y in half[:-1]], *[(500 - dx, y) for dx, y in half[:0:-1]]
        )
        canvas.fill(body, paint, shades.sheen(0.3), rim=0.9)
        canvas.ring(body, 9, CHALK if chance(rng, 0.5) else darker(finish_colour.rgb, 0.5))
        canvas.disc(500, 640, 76, INK, shades.sunk(0.3))
        canvas.ring(oval(500, 640, 84), 10, GOLD)
        if chance(rng, 0.6):
            canvas.fill(
                smooth((560, 600), (610, 650), (640, 760), (570, 760), (565, 700)),
                (58, 34, 26),
                shades.glossy(0.3),
            )
        canvas.fill(box(410, 800, 590, 834, 12), neck_tone, shades.falling(0.3))
    else:
        horn = rng.randint(440, 500)
        body = smooth(
            (440, 560),
            (400, horn),
            (340, horn - 10),
            (310, horn + 70),
            (360, 640),
            (320, 720),
            (270, 830),
            (330, 940),
            (500, 965),
            (670, 940),
            (730, 840),
            (670, 720),
            (640, 640),
            (680, horn + 90),
            (650, horn + 20),
            (600, horn + 30),
            (560, 560),
        )
        canvas.fill(body, paint, shades.glossy(0.4), rim=0.8)
        guard = other_colour(rng, finish_colour, "white", "black", "cream", "red", "mint")
        canvas.fill(
            smooth(
                (440, 600),
                (400, 680),
                (400, 820),
                (480, 800),
                (560, 880),
                (660, 860),
                (620, 740),
                (580, 620),
            ),
            guard.rgb,
            shades.sheen(0.2),
        )
        for pickup in (690, 760):
            canvas.fill(box(430, pickup, 570, pickup + 36, 8), INK, shades.falling(0.3))
        canvas.fill(box(440, 828, 560, 862, 6), STEEL, shades.falling(0.4))
        for step in range(2):
            knob(canvas, 610 + step * 30, 810 + step * 64, 22, CHALK)
    canvas.fill(box(470, 150, 530, 600 if acoustic else 640, 2), neck_tone, shades.upright(0.4))
    for step in range(13):
        y = 175 + 410 * (1 - 0.93**step) / (1 - 0.93**13)
        canvas.stroke(polygon((471, y), (529, y)), 4, STEEL)
        if step in {3, 5, 7, 9}:
            canvas.disc(500, y - 14, 7, CHALK)
    canvas.fill(
        rounded(polygon((462, 160), (440, 40), (470, 20), (530, 20), (560, 40), (538, 160)), 10),
        darker(finish_colour.rgb, 0.2) if not acoustic else neck_tone,
        shades.sheen(0.3),
    )
    for side in (-1, 1):
        for y in (55, 90, 125):
            canvas.disc(500 + side * 68, y, 14, GOLD if natural else STEEL, shades.ball(0.6))
    for dx in range(-20, 21, 8):
        canvas.stroke(
            polygon((500 + dx * 0.9, 150), (500 + dx, 816 if acoustic else 844)), 2, (226, 222, 210)
        )
    sort = "acoustic" if acoustic else "electric"
    colour = "natural wood" if natural else finish_colour.name
    return Article(canvas.picture(), f"{colour} {sort} guitar", ("New strings",))


def book(rng: Random) -> Article:
    """A hardback with a picture, a motif or a pattern on its cover."""
    canvas = Canvas()
    cover = any_colour(rng)
    accent = other_colour(rng, cover)
    wide, high = rng.randint(520, 640), rng.randint(780, 880)
    left, top = 500 - wide / 2, 500 - high / 2
    right, bottom = left + wide, top + high
    thick = rng.randint(26, 60)
    canvas.fill(
        polygon(
            (right - 6, top + 10),
            (right + thick, top + thick),
            (right + thick, bottom + thick),
            (left + 20, bottom + thick),
            (left, bottom - 6),
        ),
        cover.rgb,
        shades.level(-0.3),
    )
    canvas.fill(
        polygon(
            (right - 10, top + 14),
            (right + thick - 10, top + thick),
            (right + thick - 10, bottom + thick - 10),
            (left + 26, bottom + thick - 10),
            (left + 6, bottom),
        ),
        (238, 230, 210),
        rim=0.3,
    )
    for step in range(1, 5):
        shift = thick * step / 5
        canvas.stroke(
            polygon(
                (right + shift - 6, top + 20 + shift),
                (right + shift - 6, bottom + shift - 6),
                (left + 14 + shift / 2, bottom + shift - 6),
            ),
            2,
            (196, 184, 160),
        )
    face = box(left, top, right, bottom, 10)
    style = rng.choice(("picture", "motif", "pattern"))
    title = rng.choice(
        (
            "THE RIVER",
            "NORTH",
            "HOME",
            "WINTER",
            "THE GARDEN",
            "ISLANDS",
            "BREAD",
            "ATLAS",
            "STARS",
            "TIDES",
        )
    )
    if style == "picture":
        scene = any_scene(rng)
        canvas.fill(face, cover.rgb, shades.sheen(0.15))
        canvas.fill(box(left + 50, top + 190, right - 34, bottom - 120), scene.picture, fit=True)
        shown = f"cover with {scene.words}"
    elif style == "motif":
        canvas.fill(face, cover.rgb, shades.sheen(0.15))
        canvas.ring(box(left + 60, top + 44, right - 40, bottom - 44, 16), 8, accent.rgb)
        one, two = print_colours(rng, cover)
        shown = f"cover with {any_motif(canvas, rng, (left + right) / 2 + 10, 540, 150, one, two)}"
    else:
        finish = any_finish(
            rng, cover, accent, "striped", "spotted", "zigzag", "diamond", "flowery", "starry"
        )
        canvas.fill(face, finish.paint, shades.sheen(0.15))
        canvas.fill(box(left + 70, top + 70, right - 50, top + 230, 12), lighter(cover.rgb, 0.75))
        shown = f"{finish.words} cover"
    middle = (left + right) / 2 + 10
    ink = legible(lighter(cover.rgb, 0.75) if style == "pattern" else cover.rgb)
    canvas.text((middle, top + 118), title, 480 / max(5, len(title)) + 24, ink)
    canvas.text(
        (middle, top + 190 if style == "pattern" else bottom - 74),
        rng.choice(("A. MARSH", "J. REED", "L. HOLT", "M. VALE", "S. FENN")),
        40,
        ink,
    )
    canvas.shadow(box(left + 26, top, left + 34, bottom), 0.4, 6, (0, 0))
    return Article(canvas.picture(), f"{cover.name} hardback book, {title.capitalize()}", (shown,))


def record(rng: Random) -> Article:
    """A record half out of its sleeve."""
    canvas = Canvas()
    x = rng.randint(600, 680)
    vinyl = any_colour(rng, "black", "black", "black", "red", "navy", "orange", "teal", "purple")
    middle = any_colour(rng)
    canvas.disc(x, 500, 300, vinyl.rgb, shades.sheen(0.2))
    for radius in range(120, 296, 16):
        canvas.ring(oval(x, 500, radius), 3, lighter(vinyl.rgb, 0.16))
    canvas.gleam(polygon((x, 500), (x + 270, 380), (x + 292, 450)), 0.3, 10)
    canvas.gleam(polygon((x, 500), (x + 200, 720), (x + 120, 770)), 0.2, 10)
    canvas.disc(x, 500, 104, middle.rgb)
    canvas.stroke(arc(x, 500, 70, 70, -60, 60), 10, darker(middle.rgb, 0.5))
    canvas.disc(x, 500, 14, CHALK)
    sleeve = box(40, 180, 680, 820, 6)
    canvas.shadow(sleeve, 0.5, 18)
    base = any_colour(rng)
    style = rng.choice(("picture", "motif", "pattern"))
    if style == "picture":
        scene = any_scene(rng)
        canvas.fill(sleeve, scene.picture, shades.sheen(0.12), fit=True)
        shown = scene.words
    elif style == "motif":
        canvas.fill(sleeve, base.rgb, shades.sheen(0.15))
        one, two = print_colours(rng, base)
        shown = any_motif(canvas, rng, 360, 530, rng.randint(170, 220), one, two)
    else:
        finish = any_finish(rng, base, other_colour(rng, base), *ALL_OVER)
        canvas.fill(sleeve, finish.paint, shades.sheen(0.12))
        shown = f"{finish.words} pattern"
        canvas.fill(box(150, 420, 570, 580), INK)
        base = any_colour(rng, "black")
    band = rng.choice(
        ("THE MOTHS", "GOLDEN HOUR", "NIGHT BUS", "PAPER KITES", "LOW TIDE", "RADIO SEA")
    )
    ink = legible(base.rgb) if style == "motif" else CHALK
    canvas.text((360, 250 if style != "pattern" else 500), band, 66, ink)
    canvas.ring(sleeve, 3, darker(base.rgb, 0.5))
    return Article(
        canvas.picture(), f"{vinyl.name} vinyl record, {band.title()}", (f"Sleeve with {shown}",)
    )


def board_game(rng: Random) -> Article:
    """A square board with a track around it, counters and a die."""
    canvas = Canvas()
    edge, field = any_colour(rng), any_colour(rng)
    cells = rng.randint(7, 10)
    board = box(60, 60, 940, 940, 10)
    canvas.fill(board, edge.rgb, shades.sheen(0.15), rim=0.7)
    quad = box(84, 84, 916, 916)
    tones = [any_colour(rng) for _ in range(4)]
    step = 1 / cells
    for index in range(cells):
        near = index * step
        for side, (u, v) in enumerate(((near, 0), (1 - step, near), (near, 1 - step), (0, near))):
            tone = tones[(index + side) % 4]
            canvas.fill(patch(quad, u, v, u + step, v + step), tone.rgb, rim=0.5)
    canvas.fill(patch(quad, step, step, 1 - step, 1 - step), field.rgb, shades.sheen(0.2))
    one, two = print_colours(rng, field)
    shown = any_motif(canvas, rng, 500, 500, rng.randint(120, 190), one, two)
    canvas.stroke(
        closed(patch(quad, step * 1.4, step * 1.4, 1 - step * 1.4, 1 - step * 1.4)),
        8,
        lighter(field.rgb, 0.5),
    )
    for tone in tones:
        x, y = rng.uniform(230, 770), rng.choice((rng.uniform(220, 300), rng.uniform(700, 780)))
        canvas.shadow(oval(x, y + 10, 36), 0.5, 14)
        canvas.fill(
            polygon((x - 36, y + 30), (x - 12, y - 50), (x + 12, y - 50), (x + 36, y + 30)),
            tone.rgb,
            shades.upright(0.5),
        )
        canvas.disc(x, y - 60, 26, tone.rgb, shades.ball(0.5))
    x, y = rng.uniform(260, 740), rng.uniform(420, 640)
    tilt = rng.uniform(0, 90)
    die = turned(box(x - 46, y - 46, x + 46, y + 46, 16), tilt, (x, y))
    canvas.shadow(die, 0.5, 14)
    canvas.fill(die, CHALK, shades.sheen(0.2))
    for dx, dy in ((-22, -22), (22, 22), (0, 0), (22, -22), (-22, 22)):
        pip = turned(oval(x + dx, y + dy, 9), tilt, (x, y))
        canvas.fill(pip, INK, rim=0)
    return Article(
        canvas.picture(),
        f"{edge.name} and {field.name} board game",
        (f"{shown} in the middle", "All counters and the die there"),
    )
