"""`marketlens recommend`: reasons in words. All of it is run in tests/e2e."""

from uuid import UUID

import pytest

from models.domain.job_results.recommendations import Because, RecommendedListing
from models.domain.recommendations.events import EventKind
from models.domain.searches.options import RankPart
from workers.commands.ask.recommend import DID, reason_of

ITS, OTHER = UUID(int=1), UUID(int=2)


def recommended(because: Because | None) -> RecommendedListing:
    return RecommendedListing(
        listing_id=ITS,
        title="A kettle",
        price=None,
        currency=None,
        category=None,
        location=None,
        photo=None,
        similarity=None,
        score=0.5,
        reasons={RankPart.FRESHNESS: 0.9, RankPart.POPULARITY: 0.0, RankPart.INTEREST: 0.25},
        because=because,
    )


@pytest.mark.parametrize(
    ("because", "words"),
    [
        (None, ""),
        (
            Because(listing_id=OTHER, kind=EventKind.SAVED, title="A pot"),
            "because you saved A pot; ",
        ),
        (
            Because(listing_id=OTHER, kind=EventKind.PURCHASED, title=None),
            "because you bought a listing that is gone; ",
        ),
        (Because(listing_id=ITS, kind=EventKind.VIEWED, title="A kettle"), "you looked at it; "),
        (Because(listing_id=OTHER, kind=None, title="A pot"), "it is like A pot; "),
    ],
)
def test_reasons_in_words(because: Because | None, words: str) -> None:
    assert reason_of(recommended(because)) == f"{words}freshness 0.90, interest 0.25"


def test_whatever_leads_to_others_has_its_word() -> None:
    assert set(DID) == set(EventKind) - {EventKind.IMPRESSION, EventKind.HIDDEN}
