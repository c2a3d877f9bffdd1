"""Which listings were listed at some moment. Pure."""

from dataclasses import dataclass

from models.evaluation.recommendations.events import Integers, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Lifetimes:
    """When each of n listings was listed, and when that ended, (n,) each, in milliseconds.

    What was not known to end has an end that no moment reaches.
    """

    listed_at: Integers
    ended_at: Integers

    def at(self, moment: int) -> Mask:
        """Which listings (n,) were listed before a moment and had not ended by then."""
        return (self.listed_at < moment) & (self.ended_at >= moment)

    def of(self, listings: Integers, moments: Integers) -> Mask:
        """Whether each of these listings (k,) was listed at its moment (k,)."""
        return (self.listed_at[listings] < moments) & (self.ended_at[listings] >= moments)
