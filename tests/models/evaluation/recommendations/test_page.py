from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from models.evaluation.intervals import Estimate
from models.evaluation.recommendations.compare import contestants
from models.evaluation.recommendations.metrics import Answers, Metric, padded
from models.evaluation.recommendations.page import as_page
from models.evaluation.recommendations.results import (
    COMPARED,
    Evaluation,
    Setup,
    as_json,
    as_tables,
)
from models.evaluation.recommendations.targets import Target
from tests.support.evaluation_page import Page

HOSTILE = "<script>alert('x')</script> [bold]any[/bold]"

SETUP = Setup(
    kinds=["purchased", "saved"],
    first_day="2030-01-01",
    last_day="2030-06-30",
    min_history=3,
    all_listed=False,
    encoder="hog-123",
    catalogue=1_234,
    events=56_789,
    targets=4,
    users=2,
    to_find=5,
    never_sold=4,
    unlisted=1,
    unknown=2,
    seed=0,
)


def answers(*tops: list[int]) -> Answers:
    rows = np.stack([padded(np.array(top, np.int64)) for top in tops])
    return Answers(rows, np.array([3.0 if top else np.nan for top in tops]))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """One that finds something, two baselines of which one does, and an ablation."""
    targets = [
        Target(user, 10 + user, np.array(listings), np.array(first))
        for user, listings, first in [
            (0, [1, 2], [True, True]),
            (0, [3], [True]),
            (1, [4], [False]),
            (1, [5], [True]),
        ]
    ]
    found = contestants(
        {
            "recommendations": answers([1, 2], [8], [4], []),
            HOSTILE: answers([9], [3], [], []),
            "nothing": answers([], [], [], []),
            "no recency": answers([2], [8], [4], [9]),
        },
        targets,
        catalogue=10,
        seed=0,
    )
    return Evaluation(SETUP, found[0], found[1:3], found[3:], [f"Left out: {HOSTILE}."])


def test_the_first_is_compared_with_all_others(evaluation: Evaluation) -> None:
    first, baseline = evaluation.evaluated, evaluation.baselines[0]
    assert first.more == {}
    recall, other = first.figures[Metric.RECALL], baseline.figures[Metric.RECALL]
    more = baseline.more[Metric.RECALL]
    assert recall is not None
    assert other is not None
    assert more is not None
    assert (recall.value, other.value, more.value) == (0.5, 0.25, 0.25)


def test_json_has_every_figure_with_its_interval(evaluation: Evaluation) -> None:
    told = as_json(evaluation)
    assert told["kinds"] == ["purchased", "saved"]
    assert (told["events"], told["never_sold"], told["seed"]) == (56_789, 4, 0)
    assert told["recommender"] == {
        "name": "recommendations",
        "metrics": {metric.value: shown(evaluation.evaluated.figures[metric]) for metric in Metric},
    }
    baselines = told["baselines"]
    assert isinstance(baselines, list)
    assert [one["name"] for one in baselines] == [HOSTILE, "nothing"]
    assert list(baselines[0]["recommender_more"]) == [metric.value for metric in COMPARED]
    assert baselines[1]["metrics"]["novelty"] is None


def shown(estimate: Estimate | None) -> dict[str, float] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def test_the_terminal_shows_names_as_they_are(evaluation: Evaluation) -> None:
    console = Console(width=250, record=True)
    console.print(as_tables(evaluation))
    text = console.export_text()
    assert text.count(HOSTILE) == 4  # two tables of figures, differences, the note
    assert "4 targets (purchased, saved) of 2 users from 2030-01-01 to 2030-06-30" in text
    assert "+0.2500" in text
    assert "no recency" in text


def test_the_page_is_whole_and_needs_nothing_else(evaluation: Evaluation) -> None:
    text = as_page(evaluation)
    page = Page(text)
    assert page.addresses == []
    assert not page.tags.keys() & {"script", "link", "iframe", "object"}
    assert "default-src 'none'" in text
    assert page.tags["h1"] == page.tags["main"] == page.tags["title"] == 1
    assert text.count('scope="row"') == page.tags["tr"] - page.tags["table"]
    # All figures; one for each metric that is compared; baselines; ablations.
    assert page.tags["table"] == 1 + len(COMPARED) + 2
    assert "0.5000" in page.texts
    assert f"Left out: {HOSTILE}." in page.texts


def test_axes_hold_all_intervals(evaluation: Evaluation) -> None:
    text = as_page(evaluation)
    ends = [float(part.split('"')[0]) for part in text.split("H")[1:] if part[0].isdigit()]
    assert ends
    assert all(-0.1 <= end <= 240.1 for end in ends)


def test_without_ablations_nothing_is_said_of_them(evaluation: Evaluation) -> None:
    alone = replace(evaluation, ablations=(), notes=())
    assert "Without its parts" not in as_page(alone)
    assert as_json(alone)["ablations"] == []


def test_nothing_found_by_anybody_has_a_page() -> None:
    targets = [Target(0, 10, np.array([1]), np.array([False]))]
    found = contestants({"a": answers([]), "b": answers([])}, targets, catalogue=10, seed=0)
    page = Page(as_page(Evaluation(SETUP, found[0], found[1:])))
    assert page.tags["table"] == 1 + len(COMPARED) + 1
