"""What listings a search may find. Standard library only."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.domain.searches.attributes import AttributeCondition
from models.domain.text import clean_category, clean_line
from models.domain.types import ListingStatus


@dataclass(frozen=True, slots=True)
class Near:
    """Within `km` kilometres of a point, along the earth's surface; degrees are WGS 84."""

    latitude: float
    longitude: float
    km: float


@dataclass(frozen=True, slots=True)
class ListingFilter:
    """The conditions of a search; by default a listing must be active.

    `category` is a path such as `Bottoms / Trousers`: the categories below it count too. A listing
    without a price fails every price bound, one without coordinates every `near`; one without a
    seller passes `exclude_seller` and fails `seller`. Bounds are inclusive, but `created_after`:
    a listing passes that was created later. All of `attributes` must be met. Text is taken by the
    rules of `models.domain.text`, also that of a job which an earlier release has stored; text that
    has nothing to show states nothing.
    """

    category: str | None = None
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    currency: str | None = None
    near: Near | None = None
    exclude_seller: str | None = None
    status: tuple[ListingStatus, ...] = (ListingStatus.ACTIVE,)
    seller: str | None = None
    created_after: datetime | None = None
    attributes: tuple[AttributeCondition, ...] = ()

    def __post_init__(self) -> None:
        category, seller, excluded = self.category, self.seller, self.exclude_seller
        # The dataclass is frozen: its fields can't be assigned to.
        object.__setattr__(self, "category", (category and clean_category(category)) or None)
        object.__setattr__(self, "seller", (seller and clean_line(seller)) or None)
        object.__setattr__(self, "exclude_seller", (excluded and clean_line(excluded)) or None)

    @property
    def narrows(self) -> bool:
        """Whether it may exclude active listings."""
        return ListingStatus.ACTIVE not in self.status or self != ListingFilter(status=self.status)
