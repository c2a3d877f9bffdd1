"""What listings a search may find. Standard library only."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Self

from models.domain.types import ListingStatus


@dataclass(frozen=True, slots=True)
class Near:
    """Within `km` kilometres of a point, along the earth's surface; degrees are WGS 84."""

    latitude: float
    longitude: float
    km: float


@dataclass(frozen=True, slots=True)
class ListingFilter:
    """What a listing must be to be found; as it stands without arguments, it must be active.

    `category` is a path such as `Bottoms / Trousers`: the categories below it count too. A listing
    without a price passes no bound of prices, and one without degrees is near nothing; one without
    a seller is not by `exclude_seller`. Bounds are inclusive.
    """

    category: str | None = None
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    currency: str | None = None
    near: Near | None = None
    exclude_seller: str | None = None
    status: tuple[ListingStatus, ...] = (ListingStatus.ACTIVE,)

    @property
    def narrows(self) -> bool:
        """Whether some active listings may not pass."""
        return ListingStatus.ACTIVE not in self.status or self != ListingFilter(status=self.status)

    def to_payload(self) -> dict[str, Any]:
        """The filter as values that JSON can hold; what it does not ask for is left out."""
        stated = {
            "category": self.category,
            "price_min": None if self.price_min is None else str(self.price_min),
            "price_max": None if self.price_max is None else str(self.price_max),
            "currency": self.currency,
            "near": self.near and asdict(self.near),
            "exclude_seller": self.exclude_seller,
            "status": [status.value for status in self.status],
        }
        return {name: value for name, value in stated.items() if value is not None}

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """The filter that `to_payload` gave."""
        stated = dict(payload)
        for name in ("price_min", "price_max"):
            if name in stated:
                stated[name] = Decimal(stated[name])
        if "near" in stated:
            stated["near"] = Near(**stated["near"])
        stated["status"] = tuple(map(ListingStatus, stated["status"]))
        return cls(**stated)
