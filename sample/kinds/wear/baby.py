"""Baby & Kids Stuff: teddy bears, pushchairs, toy trains, stacking rings."""

from random import Random

from sample.article import Article, Kind, Stance, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas, Paint
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
from sample.drawing.finishes import any_finish, furry, wood
from sample.drawing.motifs import any_motif, print_colours
from sample.drawing.outlines import arc, box, heart, oval, polygon, smooth
from sample.drawing.solids import wheel

ROOT = "Baby & Kids Stuff"


def kinds() -> tuple[Kind, ...]:
    """The kinds of this root category."""
    return (
        Kind(f"{ROOT} / Soft Toys", Stance.STANDING, (2, 25), teddy),
        Kind(f"{ROOT} / Prams & Strollers", Stance.STANDING, (15, 350), pushchair),
        Kind(f"{ROOT} / Toys", Stance.STANDING, (3, 35), train),
        Kind(f"{ROOT} / Baby Toys", Stance.STANDING, (2, 15), stacking_rings),
    )


def teddy(rng: Random) -> Article:
    """A sitting teddy bear, with a bow, a scarf or a jumper."""
    canvas = Canvas()
    coat = any_colour(
        rng, "brown", "beige", "grey", "cream", "pink", "mustard", "charcoal", "lilac", "sky blue"
    )
    fur = furry(rng, coat.rgb)
    pale = furry(rng, lighter(coat.rgb, 0.55))
    cloth = other_colour(rng, coat)
    trim = other_colour(rng, cloth)
    finish = any_finish(rng, cloth, trim, "plain", "striped", "spotted", "checked", "zigzag")
    wears = rng.choice(("bow tie", "scarf", "jumper", "bow tie"))
    wide = rng.uniform(0.92, 1.12)

    for side in (-1, 1):
        canvas.fill(oval(500 + side * 165 * wide, 165, rng.randint(68, 78)), fur, shades.ball(0.35))
        canvas.fill(oval(500 + side * 165 * wide, 172, 40), pale, shades.sunk(0.3))
    torso = oval(500, 650, 220 * wide, 245)
    canvas.fill(torso, finish.paint if wears == "jumper" else fur, shades.ball(0.4))
    if wears != "jumper":
        canvas.fill(oval(500, 690, 135 * wide, 160), pale, shades.ball(0.25), rim=0.2)
    for side in (-1, 1):
        arm = smooth(
            (500 + side * 150 * wide, 460),
            (500 + side * 290 * wide, 560),
            (500 + side * 320 * wide, 690),
            (500 + side * 240 * wide, 720),
            (500 + side * 150 * wide, 600),
        )
        canvas.shadow(arm, 0.3, 16)
        canvas.fill(arm, finish.paint if wears == "jumper" else fur, shades.ball(0.35))
        if wears == "jumper":
            canvas.fill(oval(500 + side * 268 * wide, 712, 62), fur, shades.ball(0.35))
    head = oval(500, 300, 225 * wide, 196)
    canvas.shadow(head, 0.4, 20)
    canvas.fill(head, fur, shades.ball(0.45))
    for side in (-1, 1):
        foot = oval(500 + side * 200 * wide, 850, 118, 126)
        canvas.shadow(foot, 0.4, 20)
        canvas.fill(foot, fur, shades.ball(0.4))
        canvas.fill(oval(500 + side * 200 * wide, 862, 68, 76), pale, shades.ball(0.25), rim=0.3)
    _teddy_face(canvas, rng, pale, wide)
    _neckwear(canvas, wears, finish.paint, cloth.rgb)
    details = [f"wears a {finish.words} {wears}"]
    if wears != "jumper" and chance(rng, 0.4):
        canvas.fill(heart(555, 670, 34), cloth.rgb)
        details.append("little heart on the chest")
    name = f"{coat.name} teddy bear with {finish.words} {wears}"
    return Article(canvas.picture(), name, tuple(details))


def _neckwear(canvas: Canvas, wears: str, paint: Paint, cloth: RGB) -> None:
    if wears == "bow tie":
        for side in (-1, 1):
            wing = smooth((500, 505), (500 + side * 110, 450), (500 + side * 125, 560), (500, 515))
            canvas.shadow(wing, 0.4, 8)
            canvas.fill(wing, paint, shades.ball(0.35))
        canvas.disc(500, 508, 30, cloth, shades.ball(0.5))
    if wears == "scarf":
        tail = polygon((560, 500), (650, 500), (690, 720), (600, 735))
        canvas.fill(tail, paint, shades.sheen(0.2))
        for x in range(606, 690, 16):
            canvas.stroke(polygon((x, 726), (x + 4, 756)), 6, cloth)
        wrap = smooth((320, 455), (500, 505), (680, 455), (672, 530), (500, 575), (328, 530))
        canvas.shadow(wrap, 0.4, 10)
        canvas.fill(wrap, paint, shades.lying(0.4))


def _teddy_face(canvas: Canvas, rng: Random, pale: Paint, wide: float) -> None:
    muzzle = oval(500, 362, 104, 84)
    canvas.fill(muzzle, pale, shades.ball(0.3), rim=0.25)
    apart = rng.randint(84, 108) * wide
    for side in (-1, 1):
        canvas.disc(500 + side * apart, 268, 26, INK, shades.ball(0.6))
        canvas.fill(oval(492 + side * apart, 259, 8), CHALK, rim=0)
    canvas.fill(smooth((455, 320), (545, 320), (520, 366), (480, 366)), INK, shades.ball(0.4))
    canvas.stroke(polygon((500, 362), (500, 392)), 7, INK)
    for side in (-1, 1):
        canvas.stroke(arc(500 + side * 30, 388, 30, 24, 10, 170), 7, INK)


def pushchair(rng: Random) -> Article:
    """A pushchair from its side, its hood up."""
    canvas = Canvas()
    base = any_colour(rng)
    accent = other_colour(rng, base)
    finish = any_finish(
        rng, base, accent, "plain", "spotted", "striped", "starry", "checked", "flowery", "two-tone"
    )
    frame: RGB = rng.choice((STEEL, GRAPHITE, INK, CHALK))
    rear, front = rng.randint(88, 135), rng.randint(70, 105)
    floor = 940
    canvas.tube(polygon((720, 300), (270, floor - front)), 26, frame)
    canvas.tube(polygon((440, 520), (700, floor - rear)), 26, frame)
    canvas.tube(smooth((640, 470), (760, 240), (880, 190), closed=False), 28, frame)
    canvas.stroke(polygon((826, 208), (884, 188)), 44, INK)
    basket = polygon((360, 740), (660, 730), (630, 830), (400, 836))
    canvas.fill(basket, darker(base.rgb, 0.55), shades.falling(0.3))
    seat = smooth(
        (690, 320),
        (720, 400),
        (640, 640),
        (560, 680),
        (330, 660),
        (270, 700),
        (240, 680),
        (290, 590),
        (480, 580),
        (560, 500),
        (620, 340),
    )
    canvas.fill(seat, finish.paint, shades.sheen(0.25))
    canvas.stitches(
        smooth((650, 380), (600, 560), (520, 620), (330, 620), closed=False), lighter(base.rgb, 0.6)
    )
    canvas.tube(smooth((500, 480), (380, 450), (330, 560), closed=False), 24, INK)
    ribs = rng.randint(3, 5)
    sweep = rng.randint(105, 125)
    for step in range(ribs):
        start, end = 182 + sweep * step / ribs, 182 + sweep * (step + 1) / ribs
        rim = arc(650, 420, 330, 300, start, end).tolist()
        panel = polygon((650, 420), *((x, y) for x, y in rim))
        canvas.fill(
            panel, finish.paint if step % 2 == 0 else accent.rgb, shades.sheen(0.25), rim=0.6
        )
    canvas.disc(650, 420, 24, STEEL, shades.ball())
    for x, radius in ((720, rear), (260, front)):
        spokes = [
            polygon((x, floor - radius), (float(a), float(b)))
            for a, b in arc(x, floor - radius, radius * 0.74, radius * 0.74, 0, 330)[::12]
        ]
        wheel(canvas, x, floor - radius, radius, frame, spokes if chance(rng, 0.5) else ())
    return Article(
        canvas.picture(),
        f"{finish.words} pushchair",
        (f"{accent.name} panels in the hood", "Folds flat"),
    )


def train(rng: Random) -> Article:
    """A wooden toy engine."""
    canvas = Canvas()
    cab, boiler = any_colour(rng), any_colour(rng)
    wheels, roof = (
        any_colour(rng),
        any_colour(rng, "red", "blue", "green", "navy", "yellow", "purple", "orange"),
    )
    oak = wood(rng, rng.choice(((206, 160, 104), (176, 126, 76), (226, 190, 140))))
    bare = chance(rng, 0.35)
    long = rng.randint(300, 400)
    canvas.fill(box(90, 690, 920, 770, 18), oak, shades.lying(0.2))
    left = 880 - 300 - long
    barrel = box(left, 440, 620, 690, 34)
    canvas.fill(barrel, oak if bare else boiler.rgb, shades.lying(0.45))
    for step in range(rng.randint(1, 3)):
        x = left + 70 + step * 110
        canvas.fill(box(x, 440, x + 26, 690), wheels.rgb, shades.lying(0.4))
    canvas.disc(left, 566, 40, (250, 214, 90), shades.ball(0.6))
    chimney = left + 90
    flare = rng.choice((1.0, 1.6))
    canvas.fill(
        polygon(
            (chimney - 38 * flare, 290),
            (chimney + 38 * flare, 290),
            (chimney + 32, 444),
            (chimney - 32, 444),
        ),
        roof.rgb,
        shades.upright(0.45),
    )
    canvas.fill(oval(chimney, 290, 46 * flare, 14), darker(roof.rgb, 0.4))
    dome = arc(left + 250, 440, 50, 70, 180, 360)
    canvas.fill(dome, (222, 182, 82), shades.ball(0.5))
    canvas.fill(box(590, 280, 880, 700, 14), cab.rgb, shades.sheen(0.25))
    window = box(660, 350, 810, 480, rng.choice((12, 60)))
    canvas.fill(window, (206, 226, 238), shades.glossy(0.4))
    canvas.ring(window, 12, lighter(cab.rgb, 0.6))
    one, two = print_colours(rng, cab)
    shown = any_motif(canvas, rng, 735, 590, 66, one, two)
    canvas.fill(
        smooth((550, 290), (560, 240), (735, 206), (910, 240), (920, 290)),
        roof.rgb,
        shades.falling(0.35),
    )
    for x, radius in ((640, 120), (840, 92), (left + 60, 92), (left + 250, 92)):
        y = 860 - radius
        canvas.shadow(oval(x, y, radius), 0.4, 12)
        canvas.disc(x, y, radius, wheels.rgb, shades.ball(0.35))
        canvas.disc(x, y, radius * 0.66, oak)
        canvas.disc(x, y, radius * 0.2, roof.rgb, shades.ball(0.5))
    body = "wooden" if bare else boiler.name
    return Article(
        canvas.picture(),
        f"{body} toy train with {cab.name} cab",
        (f"{roof.name} roof and {wheels.name} wheels", f"Painted with {shown}"),
    )


def stacking_rings(rng: Random) -> Article:
    """Rings on a peg, small ones on top."""
    canvas = Canvas()
    count = rng.randint(5, 7)
    base = any_colour(rng)
    foot = arc(500, 860, 330, 70, 0, 360)
    canvas.fill(box(170, 850, 830, 900, 24), base.rgb, shades.upright(0.3))
    canvas.fill(foot, base.rgb, shades.ball(0.2))
    top = 150.0
    height = (850 - top - 110) / count
    colours = [any_colour(rng) for _ in range(count)]
    plump = rng.choice((height / 2.05, height / 4))
    for step, colour in enumerate(colours):
        half = 300 - step * (300 - 120) / count
        low = 870 - step * height
        ring = box(500 - half, low - height, 500 + half, low, plump)
        canvas.fill(ring, colour.rgb, shades.upright(0.5))
        canvas.gleam(
            box(500 - half * 0.75, low - height * 0.8, 500 + half * 0.3, low - height * 0.66, 5),
            0.4,
            8,
        )
        if chance(rng, 0.4):
            for x in range(-3, 4):
                canvas.disc(
                    500 + x * half / 4.4, low - height / 2, height * 0.16, lighter(colour.rgb, 0.7)
                )
    cap = 870 - count * height
    tip = any_colour(rng)
    knob = oval(500, cap - 66, 84, 78)
    canvas.fill(knob, tip.rgb, shades.ball(0.55))
    if chance(rng, 0.6):
        for side in (-1, 1):
            canvas.disc(500 + side * 28, cap - 76, 9, INK)
        canvas.stroke(arc(500, cap - 62, 30, 22, 20, 160), 7, INK)
    return Article(
        canvas.picture(),
        f"stacking rings toy, {count} rings with {tip.name} top",
        (f"From {colours[0].name} at the bottom to {colours[-1].name}",),
    )
