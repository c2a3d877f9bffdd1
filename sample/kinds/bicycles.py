"""Sports, Leisure & Travel: bicycles."""

import math
from random import Random

from sample.article import Article, chance
from sample.drawing import shades
from sample.drawing.canvas import Canvas
from sample.drawing.colours import (
    GRAPHITE,
    INK,
    RGB,
    STEEL,
    any_colour,
    darker,
)
from sample.drawing.outlines import arc, box, oval, polygon, rounded, smooth
from sample.drawing.solids import wheel


def bicycle(rng: Random) -> Article:
    """A bicycle from its chain side."""
    canvas = Canvas()
    base = any_colour(rng)
    saddle = any_colour(rng, "brown", "black", "white", "beige", "red")
    tyre: RGB = rng.choice((INK, INK, (150, 104, 66), (222, 214, 196)))
    radius = rng.randint(172, 196)
    rear, front = (210.0, 700.0), (790.0, 700.0)
    spokes = rng.choice((10, 14, 18))
    for x, y in (rear, front):
        lines = [
            polygon((x, y), (x + radius * 0.74 * math.cos(a), y + radius * 0.74 * math.sin(a)))
            for a in [math.tau * k / spokes for k in range(spokes)]
        ]
        wheel(canvas, x, y, radius, STEEL, lines, tyre)
    crank = (450.0, 715.0)
    head = (690.0, rng.randint(400, 440))
    seat = (360.0, rng.randint(400, 450))
    step_through = chance(rng, 0.4)
    canvas.tube(polygon(rear, crank), 20, base.rgb)
    canvas.tube(polygon(rear, seat), 18, base.rgb)
    canvas.tube(polygon((seat[0] - 16, seat[1] - 60), crank), 28, base.rgb)
    canvas.tube(polygon(crank, (head[0] + 14, head[1] + 50)), 30, base.rgb)
    if step_through:
        canvas.tube(smooth((400, 570), (520, 590), (640, 480), head, closed=False), 26, base.rgb)
    else:
        canvas.tube(polygon(seat, head), 28, base.rgb)
    canvas.tube(smooth(head, (740, 580), front, closed=False), 22, darker(base.rgb, 0.1))
    canvas.tube(polygon((head[0] - 26, head[1] - 90), (head[0] + 10, head[1] + 40)), 30, base.rgb)
    x, y = head[0] - 28, head[1] - 100
    bars = rng.choice(("drop", "flat", "swept"))
    paths = {
        "drop": smooth((x, y), (x + 90, y - 8), (x + 120, y + 50), (x + 70, y + 92), closed=False),
        "flat": smooth((x - 20, y), (x + 30, y - 30), (x + 84, y - 34), closed=False),
        "swept": smooth(
            (x, y), (x + 50, y - 34), (x - 20, y - 60), (x - 110, y - 40), closed=False
        ),
    }
    canvas.tube(paths[bars], 20, STEEL)
    canvas.stroke(paths[bars][-12:], 30, saddle.rgb)
    canvas.tube(polygon((seat[0] - 14, seat[1] - 50), (seat[0] - 26, seat[1] - 100)), 16, STEEL)
    x, y = seat[0] - 30, seat[1] - 110
    canvas.fill(
        smooth(
            (x - 90, y - 20),
            (x - 20, y - 24),
            (x + 90, y - 4),
            (x + 84, y + 16),
            (x - 30, y + 30),
            (x - 90, y + 20),
        ),
        saddle.rgb,
        shades.lying(0.5),
    )
    canvas.stroke(polygon((rear[0], rear[1] - 14), (crank[0], crank[1] - 48)), 7, GRAPHITE)
    canvas.stroke(polygon((rear[0], rear[1] + 14), (crank[0], crank[1] + 48)), 7, GRAPHITE)
    canvas.ring(oval(*crank, 48), 12, GRAPHITE)
    canvas.tube(polygon(crank, (crank[0] + 66, crank[1] + 66)), 16, STEEL)
    canvas.fill(box(crank[0] + 36, crank[1] + 64, crank[0] + 112, crank[1] + 86, 6), INK)
    details = [f"{bars} handlebars", f"{saddle.name} saddle"]
    if chance(rng, 0.45):
        for (x, y), end in ((rear, 330), (front, 345)):
            canvas.stroke(arc(x, y, radius + 18, radius + 18, 195, end), 16, base.rgb)
        details.append("Mudguards")
    if chance(rng, 0.4):
        tone = any_colour(rng, "brown", "beige", "black", "red", "white")
        canvas.fill(
            rounded(polygon((750, 400), (930, 400), (905, 520), (775, 520)), 12),
            tone.rgb,
            shades.sheen(0.3),
        )
        for y in (425, 455, 485):
            canvas.stitches(polygon((770, y), (915, y)), darker(tone.rgb, 0.45), 7, 18)
        details.append("Basket on the front")
    style = "step-through bicycle" if step_through else "bicycle"
    return Article(canvas.picture(), f"{base.name} {style}", tuple(details))
