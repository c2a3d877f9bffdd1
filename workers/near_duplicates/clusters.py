"""Clusters of listings that show the same photo or the same item."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.catalogue.perceptual_hashes import Offer, offers_showing
from db.session import Database
from models.connected_components import Links
from models.domain.job_results.duplicates import (
    ClusteredListing,
    DuplicateCluster,
    DuplicatesResult,
)
from models.domain.types import Relation

MAX_CLUSTERS: Final = 100
MAX_LISTINGS: Final = 20
"""The most clusters of each relation, and listings of a cluster, in a job's result."""


class Member(NamedTuple):
    """A listing in a cluster, by the photo that links it best; `similarity` is that link's."""

    offer: Offer
    similarity: float

    def to_result(self) -> ClusteredListing:
        """The listing, as a job's result has it."""
        offer = self.offer
        return ClusteredListing(
            listing_id=offer.listing_id,
            title=offer.title,
            seller=offer.seller,
            status=offer.status,
            photo=offer.sha256,
            similarity=round(self.similarity, 6),
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connected component of linked listings, those with the most similar link first.

    All links of a same-photo cluster are between copies; a same-item cluster has links of either
    relation.
    """

    relation: Relation
    members: list[Member]

    @property
    def sellers(self) -> int:
        """How many sellers are named."""
        return len({member.offer.seller for member in self.members} - {None})

    def to_result(self) -> DuplicateCluster:
        """The cluster, as a job's result has it: with its first `MAX_LISTINGS` listings."""
        return DuplicateCluster(
            relation=self.relation,
            sellers=self.sellers,
            listings_total=len(self.members),
            listings=tuple(member.to_result() for member in self.members[:MAX_LISTINGS]),
        )


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found in a catalogue.

    Clusters of the same photo come first, then those of the same item; of each relation those of
    the most sellers, then of the most listings. `exact` says whether no neighbour can have been
    missed; `unreadable` photos were not compared by their hash.
    """

    encoder: str
    generation: int | None
    exact: bool
    photos: int
    unreadable: int
    clusters: list[Cluster]

    def to_result(self) -> DuplicatesResult:
        """What was found, as a job's result has it: the first `MAX_CLUSTERS` of each relation."""
        totals = self.totals()
        return DuplicatesResult(
            encoder=self.encoder,
            generation=self.generation,
            exact=self.exact,
            photos=self.photos,
            unreadable=self.unreadable,
            clusters_total={relation: totals[relation] for relation in Relation},
            clusters=tuple(
                cluster.to_result()
                for relation in Relation
                for cluster in islice(self._of(relation), MAX_CLUSTERS)
            ),
        )

    def totals(self) -> Counter[Relation]:
        """How many clusters there are of each relation."""
        return Counter(cluster.relation for cluster in self.clusters)

    def _of(self, relation: Relation) -> Iterator[Cluster]:
        return (cluster for cluster in self.clusters if cluster.relation is relation)


def clusters_of(
    database: Database, photo_ids: NDArray[np.int64], copies: Links, items: Links
) -> list[Cluster]:
    """The clusters of listings that links between photos (n,) make, in the order of a report.

    `items` are all links, of which `copies` are those between copies. A component
    that copies alone connect is no cluster of the same item.
    """
    by_copies = copies.groups()
    roots = copies.sets.roots()
    by_items = [group for group in items.groups() if len(np.unique(roots[group])) > 1]
    linked = np.unique(np.concatenate([np.empty(0, np.intp), *by_copies, *by_items]))
    with database.read() as session:
        offers = offers_showing(session, photo_ids[linked].tolist())
    found = [
        Cluster(relation, _members(group, links, photo_ids, offers))
        for relation, links, groups in (
            (Relation.SAME_PHOTO, copies, by_copies),
            (Relation.SAME_ITEM, items, by_items),
        )
        for group in groups
    ]
    # Listings may have been deleted meanwhile.
    return sorted((cluster for cluster in found if len(cluster.members) > 1), key=_sort_key)


def _members(
    group: NDArray[np.intp],
    links: Links,
    photo_ids: NDArray[np.int64],
    offers: Mapping[int, Sequence[Offer]],
) -> list[Member]:
    best: dict[UUID, Member] = {}
    for position in group.tolist():
        similarity = float(min(links.similarities[position], 1))
        for offer in offers.get(int(photo_ids[position]), ()):
            before = best.get(offer.listing_id)
            if before is None or before.similarity < similarity:
                best[offer.listing_id] = Member(offer, similarity)
    return sorted(best.values(), key=lambda member: (-member.similarity, member.offer.listing_id))


def _sort_key(cluster: Cluster) -> tuple[int, int, int, UUID]:
    first = min(member.offer.listing_id for member in cluster.members)
    return list(Relation).index(cluster.relation), -cluster.sellers, -len(cluster.members), first
