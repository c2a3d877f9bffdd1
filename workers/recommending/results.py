"""What is recommended, as it is in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlalchemy.orm import Session

from models.domain.job_results.recommendations import Because, RecommendedListing
from workers.recommending.page import Led, RecommendedPage
from workers.search.results import Details, all_rounded, rounded


@dataclass(frozen=True, slots=True)
class RecommendedDetails:
    """Listings that are recommended, and those that led to them."""

    _details: Details

    @classmethod
    def of(cls, session: Session, pages: Iterable[RecommendedPage]) -> "RecommendedDetails":
        """Read what is needed to show them; those deleted meanwhile are not there."""
        listings = list(chain.from_iterable(page.listings for page in pages))
        named = {one.recommended.listing_id for one in listings}
        named |= {one.because.listing_id for one in listings if one.because is not None}
        photos = {one.photo_id for one in listings if one.photo_id is not None}
        return cls(Details.of_ids(session, named, photos))

    def shown(self, listings: Sequence[Led]) -> tuple[RecommendedListing, ...]:
        """Those that are there, in their order."""
        shown: list[RecommendedListing] = []
        for one in listings:
            its = self._details.fields_of(one.recommended.listing_id)
            if its is None:
                continue
            photo = None if one.photo_id is None else self._details.hashes.get(one.photo_id)
            shown.append(
                RecommendedListing(
                    **its,
                    photo=photo,
                    similarity=rounded(one.similarity),
                    score=rounded(one.recommended.score),
                    reasons=all_rounded(one.recommended.reasons),
                    because=self._because(one),
                )
            )
        return tuple(shown)

    def _because(self, one: Led) -> Because | None:
        if one.because is None:
            return None
        its = self._details.fields_of(one.because.listing_id)
        title = None if its is None else its["title"]
        return Because(listing_id=one.because.listing_id, kind=one.because.kind, title=title)
