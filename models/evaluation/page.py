"""The results of a comparison as one self-contained HTML page, without scripts."""

import io
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from models.evaluation.compare import Comparison, Figures
from models.evaluation.examples import Examples, choose_examples
from models.evaluation.intervals import Estimate
from models.evaluation.retrieval_metrics import Retrieval
from models.evaluation.summary import TITLES, described, span
from models.labels import LabelledPhotos
from models.photos import decode

# Shown at 80 pixels: sharp enough on dense screens, and a few kilobytes each.
THUMBNAIL_SIDE: Final = 120
THUMBNAIL_QUALITY: Final = 70

PLOT_WIDTH: Final = 240
PLOT_ROW: Final = 16
HUES: Final = 6
"""The number of distinct colours for encoders."""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #f7f7f5; --surface: #fff; --sunken: #efefec; --line: #e0e0dc; --edge: #8a8a84;
  --ink: #1c1c1a; --soft: #62625d; --right: #0f766e; --wrong: #a3261b;
  --hue0: #0f766e; --hue1: #b45309; --hue2: #6d28d9; --hue3: #1d4ed8; --hue4: #be185d;
  --hue5: #4d7c0f;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #161615; --surface: #20201e; --sunken: #2a2a27; --line: #363632; --edge: #85857e;
    --ink: #ededea; --soft: #a6a69f; --right: #5ec9bd; --wrong: #ff9c91;
    --hue0: #5ec9bd; --hue1: #f5b261; --hue2: #b9a2ff; --hue3: #8ab4ff; --hue4: #ff9ccb;
    --hue5: #b5d56a;
  }
}
*, ::before, ::after { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
h1, h2, h3, h4, p, ol { margin: 0; padding: 0; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -0.02em; text-wrap: balance; }
h2 { margin: 2.5rem 0 0.25rem; font-size: 1.25rem; line-height: 1.35; }
h3 { font-size: 1rem; }
h4 { font-size: 0.875rem; }
h1, h2, h3, h4, code { overflow-wrap: anywhere; }
code { font: 0.8125rem ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.soft { color: var(--soft); font-size: 0.875rem; font-weight: 400; }
.wide { overflow-x: auto; margin-top: 0.75rem; border: 1px solid var(--line);
  border-radius: 12px; background: var(--surface); }
.wide:focus-visible { outline: 3px solid var(--right); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.5rem 0.9rem; text-align: left; vertical-align: top; }
thead th { background: var(--sunken); font-size: 0.875rem; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { min-width: 12rem; max-width: 24rem; font-weight: 600; overflow-wrap: break-word; }
td { white-space: nowrap; }
td .soft { display: block; }
.name { white-space: nowrap; }
.name::before { content: ""; display: inline-block; width: 0.65em; height: 0.65em;
  margin-right: 0.45em; border-radius: 50%; background: var(--hue); }
.hue0 { --hue: var(--hue0); } .hue1 { --hue: var(--hue1); } .hue2 { --hue: var(--hue2); }
.hue3 { --hue: var(--hue3); } .hue4 { --hue: var(--hue4); } .hue5 { --hue: var(--hue5); }
svg { display: block; overflow: visible; }
svg .axis { stroke: var(--line); }
svg .span { stroke: var(--hue); stroke-width: 2; }
svg .value { stroke: var(--hue); stroke-width: 3; }
article { display: grid; grid-template-columns: 9rem minmax(0, 1fr); gap: 1rem; margin-top: 0.75rem;
  padding: 1rem; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); }
article img { display: block; background: var(--sunken); object-fit: contain; border-radius: 6px; }
.query img { width: 100%; height: auto; aspect-ratio: 1; margin-bottom: 0.4rem; }
.found + .found { margin-top: 0.75rem; }
ol { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-top: 0.3rem; list-style: none; }
li { position: relative; width: 80px; font-size: 0.6875rem; line-height: 1.25; }
li img { width: 80px; height: 80px; border: 3px solid var(--right); }
li.miss img { border: 3px dashed var(--wrong); }
.mark { position: absolute; top: 0; left: 0; width: 1.3rem; border-radius: 6px 0;
  background: var(--right); color: var(--surface); font-size: 0.8125rem; font-weight: 700;
  line-height: 1.3rem; text-align: center; }
li.miss .mark { background: var(--wrong); }
li p { margin-top: 0.15rem; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 40rem) { article { grid-template-columns: minmax(0, 1fr); }
  .query img { width: 9rem; } }
"""

_METRICS_NOTE: Final = (
    "The mean over queries, with its 95% interval; under it the mean over categories, each "
    "counting the same. A query is a photo, searched among the photos of all other listings; those "
    "of its category are right. Recall@k: how often a held-out photo's own listing is among the "
    "first k listings. Intervals come from drawing listings with replacement, the same ones for "
    "every encoder."
)
_CATEGORIES_NOTE: Final = "Right are photos of the same category, of other listings."
_EXAMPLES_NOTE: Final = "The nearest photos of other listings: ✓ of the query's category, ✗ not."


def as_page(comparison: Comparison, photos: LabelledPhotos) -> str:
    """A comparison of these photos, as the text of a page.

    Raises what `LabelledPhotos.read` and `models.photos.decode` do.
    """
    body = "\n".join(
        [
            _heading(comparison),
            _metrics(comparison),
            _by_category(comparison),
            *(_examples(examples, comparison, photos) for examples in choose_examples(comparison)),
        ]
    )
    return _PAGE.format(title=escape(_title(comparison)), style=_STYLE, body=body)


def _title(comparison: Comparison) -> str:
    labels = [encoder.label for encoder in comparison.encoders]
    return f"What {' and '.join(labels)} find{'' if len(labels) > 1 else 's'}"


def _heading(comparison: Comparison) -> str:
    encoders = "".join(
        f'<p class="soft">{_name(comparison, number)} {encoder.dimension:,} numbers in '
        f"{escape(encoder.precision)}, <code>{escape(encoder.fingerprint)}</code></p>"
        for number, encoder in enumerate(comparison.encoders)
    )
    return (
        f"<h1>{escape(_title(comparison))}</h1>\n<p>{escape(described(comparison))}.</p>{encoders}"
    )


def _name(comparison: Comparison, number: int) -> str:
    return (
        f'<span class="name hue{number % HUES}">{escape(comparison.encoders[number].label)}</span>'
    )


def _metrics(comparison: Comparison) -> str:
    encoders = range(len(comparison.encoders))
    heads = ["Metric", *(_name(comparison, number) for number in encoders)]
    heads += [f"{_name(comparison, number)} more than the first" for number in encoders[1:]]
    rows = [
        [
            escape(TITLES[metric]),
            *(_micro_and_macro(figures, number) for number in encoders),
            *(_difference(more) for more in figures.to_first),
            _plot(figures.micro),
        ]
        for metric, figures in comparison.metrics.items()
    ]
    return _section("All queries", _METRICS_NOTE, [*heads, "0 to 1"], rows)


def _micro_and_macro(figures: Figures, number: int) -> str:
    macro = figures.macro[number]
    return (
        f'{_figure(figures.micro[number])}<span class="soft">by category {macro.value:.3f}</span>'
    )


def _figure(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f'{estimate.value:.3f}<span class="soft">{span(estimate)}</span>'


def _difference(estimate: Estimate) -> str:
    return f'{estimate.value:+.3f}<span class="soft">{span(estimate, "+")}</span>'


def _plot(estimates: Sequence[Estimate]) -> str:
    """An SVG plot of values and their intervals on an axis from 0 to 1."""
    height = PLOT_ROW * len(estimates)
    axes = "".join(
        f'<path class="axis" d="M{x * PLOT_WIDTH} 0V{height}"/>' for x in (0, 0.25, 0.5, 0.75, 1)
    )
    marks = "".join(
        f'<g class="hue{number % HUES}">'
        f'<path class="span" d="M{e.low * PLOT_WIDTH:.1f} {middle}H{e.high * PLOT_WIDTH:.1f}"/>'
        f'<path class="value" d="M{e.value * PLOT_WIDTH:.1f} {middle - 5}v10"/></g>'
        for number, e in enumerate(estimates)
        for middle in [number * PLOT_ROW + PLOT_ROW // 2]
    )
    return (
        f'<svg aria-hidden="true" width="{PLOT_WIDTH}" height="{height}" '
        f'viewBox="0 0 {PLOT_WIDTH} {height}">{axes}{marks}</svg>'
    )


def _by_category(comparison: Comparison) -> str:
    shown = ("precision_at_1", "map")
    encoders = range(len(comparison.encoders))
    heads = [
        f"{_name(comparison, number)} {TITLES[metric]}" for number in encoders for metric in shown
    ]
    rows = [
        [
            escape(category),
            f"{queries:,}",
            *(
                _figure(comparison.of_category(category, metric, number))
                for number in encoders
                for metric in shown
            ),
        ]
        for category, queries in comparison.queries_in.items()
    ]
    return _section("By category", _CATEGORIES_NOTE, ["Category", "Queries", *heads], rows)


def _section(title: str, note: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A titled table, scrollable if it is too wide; cells are HTML."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for first, *cells in rows
    )
    return (
        f'<h2>{title}</h2>\n<p class="soft">{note}</p>\n'
        f'<div class="wide" role="region" aria-label="{title}" tabindex="0"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def _examples(examples: Examples, comparison: Comparison, photos: LabelledPhotos) -> str:
    articles = [_example(row, comparison, photos) for row in examples.rows]
    note = _EXAMPLES_NOTE if articles else "None."
    return "\n".join([f'<h2>{escape(examples.title)}</h2>\n<p class="soft">{note}</p>', *articles])


def _example(row: int, comparison: Comparison, photos: LabelledPhotos) -> str:
    query = int(comparison.searches[0].queries[row])
    category = photos.categories[query]
    found = "\n".join(
        f'<div class="found"><h4>{_name(comparison, number)} '
        f'<span class="soft">average precision {search.average_precision[row]:.3f}</span></h4>'
        f"<ol>{''.join(_neighbours(row, search, category, photos))}</ol></div>"
        for number, search in enumerate(comparison.searches)
    )
    return (
        f'<article>\n<div class="query">{_image(photos.read(query), f"Query: {category}")}'
        f"<h3>{escape(category)}</h3></div>\n<div>{found}</div>\n</article>"
    )


def _neighbours(
    row: int, search: Retrieval, category: str, photos: LabelledPhotos
) -> Iterable[str]:
    for photo in search.neighbours[row].tolist():
        if photo < 0:
            return
        shown = photos.categories[photo]
        if shown == category:
            yield f'<li><span class="mark">✓</span>{_image(photos.read(photo), shown)}</li>'
        else:
            yield (
                f'<li class="miss"><span class="mark">✗</span>{_image(photos.read(photo), shown)}'
                f"<p>{escape(shown)}</p></li>"
            )


def _image(data: bytes, alternative: str) -> str:
    """An inline thumbnail with its alternative text."""
    thumbnail = decode(data)
    thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    file = io.BytesIO()
    thumbnail.save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    source = b64encode(file.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{source}" alt="{escape(alternative)}">'
