"""The listings of a search's results."""

from collections.abc import Collection

from db.catalogue.listing_photos import photo_hashes
from db.catalogue.listings import views_of
from db.session import Database
from models.domain.job_results import FoundListing
from models.domain.types import ListingMatch

SIMILARITY_DECIMALS = 6


def found_listings(found: Collection[ListingMatch], database: Database) -> tuple[FoundListing, ...]:
    """The details of the listings found, in their order; without those deleted meanwhile."""
    with database.read() as session:
        views = views_of(session, [match.listing_id for match in found])
        hashes = photo_hashes(session, [match.photo_id for match in found])
    return tuple(
        FoundListing(
            listing_id=match.listing_id,
            title=view.listing.title,
            price=view.listing.price,
            currency=view.listing.currency,
            category=view.category,
            location=view.listing.location,
            photo=hashes[match.photo_id],
            similarity=round(match.similarity, SIMILARITY_DECIMALS),
        )
        for match in found
        if (view := views.get(match.listing_id)) is not None
    )
