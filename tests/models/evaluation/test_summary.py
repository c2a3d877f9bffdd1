import io
import json
from dataclasses import replace

from rich.console import Console

from models.evaluation.compare import METRICS, Comparison, compare
from models.evaluation.summary import as_json, as_tables
from models.labels import LabelledPhotos
from tests.support.evaluation import BAD, CATEGORIES, GOOD, HOSTILE, Vectors


def printed(comparison: Comparison, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(as_tables(comparison))
    return file.getvalue()


def test_programs_are_told_every_figure(comparison: Comparison) -> None:
    told = json.loads(json.dumps(as_json(comparison), allow_nan=False))
    assert told["photos"] == comparison.photos
    good, bad = told["encoders"]
    assert (good["encoder"], bad["fingerprint"]) == (GOOD.label, BAD.fingerprint)
    assert list(good["metrics"]) == list(METRICS)
    for metric, figures in comparison.metrics.items():
        micro = bad["metrics"][metric]
        estimate = figures.micro[1]
        assert (micro["value"], micro["low"], micro["high"]) == (
            estimate.value,
            estimate.low,
            estimate.high,
        )
        assert micro["macro"]["value"] == figures.macro[1].value
        (difference,) = told["differences"]
        assert difference["baseline"] == GOOD.label
        assert difference["metrics"][metric]["low"] == figures.to_first[0].low
    by_name = {row["category"]: row for row in bad["categories"]}
    assert set(by_name) == set(CATEGORIES)
    assert by_name[HOSTILE]["queries"] == comparison.queries_in[HOSTILE]
    found = comparison.of_category(HOSTILE, "map", 1)
    assert found
    assert by_name[HOSTILE]["metrics"]["map"]["high"] == found.high


def test_what_could_not_be_measured_is_null(photos: LabelledPhotos, vectors: Vectors) -> None:
    single = compare({GOOD: vectors(0.1)}, replace(photos, listings=photos.hashes))
    told = json.loads(json.dumps(as_json(single)))
    assert told["differences"] == []
    (encoder,) = told["encoders"]
    assert encoder["metrics"]["recall_at_1"] is None
    assert encoder["categories"][0]["metrics"]["recall_at_1"] is None


def test_a_narrow_terminal_shows_all_figures(photos: LabelledPhotos, vectors: Vectors) -> None:
    comparison = compare({BAD: vectors(2.0), GOOD: vectors(0.1)}, photos)
    lines = printed(comparison, width=80).splitlines()
    row = next(index for index, line in enumerate(lines) if "mAP " in line)
    bad, good, difference = lines[row : row + 3]
    figures = comparison.metrics["map"]
    assert BAD.label in bad
    assert f"{figures.micro[0].value:.3f}" in bad
    assert GOOD.label in good
    assert f"{figures.macro[1].value:.3f}" in good
    assert f"{figures.to_first[0].value:+.3f}" in difference
    assert f"{figures.to_first[0].low:+.3f} … {figures.to_first[0].high:+.3f}" in difference


def test_names_of_categories_are_no_markup(comparison: Comparison) -> None:
    assert HOSTILE in printed(comparison, width=200)


def test_a_category_without_queries_is_shown_without_figures(
    photos: LabelledPhotos, vectors: Vectors
) -> None:
    rare = replace(photos, categories=(*photos.categories[:-3], "Rare", "Rare", "Rare"))
    lines = printed(compare({GOOD: vectors(0.1)}, rare), width=80).splitlines()
    (line,) = [line for line in lines if "Rare" in line]
    assert line.split("│")[2:4] == ["       0 ", " -, -              "]
