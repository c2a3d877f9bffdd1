"""How much leaves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """So many rows or files, and about how many bytes they take."""

    count: int = 0
    bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.count + other.count, self.bytes + other.bytes)
