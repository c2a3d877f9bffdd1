"""The results of a comparison as one self-contained HTML page, without scripts."""

import io
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import Final

from models.evaluation.compare import Comparison, Figures
from models.evaluation.examples import Examples, choose_examples
from models.evaluation.html import HUES, difference, document, figure, plot, section
from models.evaluation.retrieval_metrics import Retrieval
from models.evaluation.summary import TITLES, described
from models.labels import LabelledPhotos
from models.photo_decoding import decode

# Shown at 80 pixels: sharp enough on dense screens, and a few kilobytes each.
THUMBNAIL_SIDE: Final = 120
THUMBNAIL_QUALITY: Final = 70

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

    Raises what `LabelledPhotos.read` and `models.photo_decoding.decode` do.
    """
    body = "\n".join(
        [
            _heading(comparison),
            _metrics(comparison),
            _by_category(comparison),
            *(_examples(examples, comparison, photos) for examples in choose_examples(comparison)),
        ]
    )
    return document(_title(comparison), body)


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
            *(difference(more) for more in figures.to_first),
            plot(figures.micro),
        ]
        for metric, figures in comparison.metrics.items()
    ]
    return section("All queries", _METRICS_NOTE, [*heads, "0 to 1"], rows)


def _micro_and_macro(figures: Figures, number: int) -> str:
    macro = figures.macro[number]
    return f'{figure(figures.micro[number])}<span class="soft">by category {macro.value:.3f}</span>'


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
                figure(comparison.of_category(category, metric, number))
                for number in encoders
                for metric in shown
            ),
        ]
        for category, queries in comparison.queries_in.items()
    ]
    return section("By category", _CATEGORIES_NOTE, ["Category", "Queries", *heads], rows)


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
