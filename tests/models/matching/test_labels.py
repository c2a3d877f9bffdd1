"""A label follows from a similarity; a nearer result of one search never has a weaker one."""

import json

from hypothesis import given
from hypothesis import strategies as st

from models.domain.types import MatchLabel
from models.matching.labels import (
    Calibration,
    SameItem,
    label_of,
    stored_calibration,
    withheld_labels,
)

COSINES = st.floats(-1, 1)
MAYBE = st.none() | COSINES
AGREEMENTS = st.none() | st.floats(0, 1)
ORDER = list(MatchLabel)

CALIBRATIONS = st.builds(
    Calibration,
    photos=st.just(10),
    listings=st.just(5),
    same_item=st.none() | st.builds(SameItem, similarity=COSINES, ratio=st.floats(0, 2)),
    same_item_alone=MAYBE,
    very_similar=st.none() | st.floats(0, 1),
    very_similar_alone=MAYBE,
    related=COSINES,
    stranger=COSINES,
)
SOME = Calibration(
    photos=1_000,
    listings=500,
    same_item=SameItem(similarity=0.85, ratio=0.5),
    same_item_alone=0.95,
    very_similar=0.7,
    very_similar_alone=0.8,
    related=0.6,
    stranger=0.6,
)


@given(CALIBRATIONS, COSINES, COSINES, MAYBE, AGREEMENTS)
def test_a_nearer_result_never_has_a_weaker_label(
    calibration: Calibration,
    one: float,
    other: float,
    reference: float | None,
    agreement: float | None,
) -> None:
    farther, nearer = (
        label_of(similarity, calibration, reference=reference, agreement=agreement)
        for similarity in sorted((one, other))
    )
    assert ORDER.index(nearer) <= ORDER.index(farther)


@given(CALIBRATIONS, COSINES, AGREEMENTS, AGREEMENTS)
def test_more_agreement_never_gives_a_weaker_label(
    calibration: Calibration, similarity: float, one: float | None, other: float | None
) -> None:
    if one is not None and other is not None:
        less, more = (
            label_of(similarity, calibration, agreement=agreement)
            for agreement in sorted((one, other))
        )
        assert ORDER.index(more) <= ORDER.index(less)


@given(CALIBRATIONS, COSINES, MAYBE)
def test_for_a_stranger_nothing_is_alike(
    calibration: Calibration, similarity: float, reference: float | None
) -> None:
    label = label_of(similarity, calibration, reference=reference, is_stranger=True)
    assert label is MatchLabel.NONE


@given(CALIBRATIONS, COSINES, MAYBE)
def test_a_label_that_is_withheld_is_never_given(
    calibration: Calibration, similarity: float, reference: float | None
) -> None:
    label = label_of(similarity, calibration, reference=reference)
    assert label not in withheld_labels(calibration)


@given(CALIBRATIONS)
def test_a_calibration_comes_back_from_the_database_as_it_was(calibration: Calibration) -> None:
    assert stored_calibration(json.loads(json.dumps(calibration.to_json()))) == calibration


def test_what_stands_out_from_its_neighbourhood_is_the_same_item() -> None:
    assert label_of(0.9, SOME, reference=0.79) is MatchLabel.SAME_ITEM
    # As near, but so are ten others.
    assert label_of(0.9, SOME, reference=0.81) is MatchLabel.VERY_SIMILAR
    assert label_of(0.9, SOME, reference=0.81, agreement=0.7) is MatchLabel.VERY_SIMILAR
    # The nearest photos are of another category, and it is not that near.
    assert label_of(0.79, SOME, reference=0.7, agreement=0.65) is MatchLabel.RELATED
    assert label_of(0.79, SOME, reference=0.7, agreement=0.7) is MatchLabel.VERY_SIMILAR
    # Standing out, but not near enough.
    assert label_of(0.84, SOME, reference=0.2) is MatchLabel.VERY_SIMILAR
    # With ten copies, nothing stands out.
    assert label_of(1.0, SOME, reference=1.0) is MatchLabel.VERY_SIMILAR


def test_without_a_neighbourhood_more_is_asked_for() -> None:
    assert label_of(0.94, SOME) is MatchLabel.VERY_SIMILAR
    assert label_of(0.95, SOME) is MatchLabel.SAME_ITEM
    assert label_of(0.7, SOME) is MatchLabel.RELATED
    assert label_of(0.59, SOME) is MatchLabel.NONE


def test_what_another_release_stored_is_not_used() -> None:
    stored = SOME.to_json()
    assert stored_calibration(None) is None
    assert stored_calibration({}) is None
    assert stored_calibration({**stored, "format": 2}) is None
    assert stored_calibration({**stored, "related": "very"}) is None
    assert stored_calibration({**stored, "invented later": 1}) == SOME
