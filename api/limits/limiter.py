"""Counts requests in fixed windows of time, in memory, and refuses what is over a rate.

Nothing here waits: other processes' requests are added in the background (`api.limits.sharing`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import ceil
from time import monotonic
from typing import Final, NamedTuple

from limits import RateLimitItem

from api.limits.rates import ADDRESS, Kind, Rates
from models.domain.errors import RateLimited

MAX_ADDRESSES: Final = 20_000
"""Addresses that are counted at the same time; for more, the one counted longest is forgotten."""
SHARED_FROM: Final = 0.05
"""The share of a rate from which on other processes are told: less is far from any limit."""
IPV6_NETWORK_BITS: Final = 64
"""Who has one IPv6 address has a network of so many bits (RFC 6177)."""
_PHRASES: Final = {
    ADDRESS: "requests",
    Kind.READS: "reads",
    Kind.SEARCHES: "searches",
    Kind.WRITES: "writes",
    Kind.BULK: "bulk requests",
}


@dataclass(slots=True)
class Window:
    """What was counted until it ends; `unsent` is what other processes do not know of yet."""

    name: str
    item: RateLimitItem
    ends_at: float
    count: int = 0
    unsent: int = 0

    def standing(self, now: float) -> "Standing":
        """What is left of it."""
        left = max(0, self.item.amount - self.count)
        window_s = self.item.get_expiry()
        return Standing(self.name, self.item.amount, window_s, left, ceil(self.ends_at - now))


class Standing(NamedTuple):
    """How a caller stands with one limit: `remaining` of `limit` until `reset_s` from now."""

    name: str
    limit: int
    window_s: int
    remaining: int
    reset_s: int


class Taken(NamedTuple):
    """How a caller stands after a request, and why that is refused, if it is."""

    standings: Sequence[Standing]
    refusal: RateLimited | None


@dataclass(slots=True)
class RateLimiter:
    """Of one process; used in its event loop only. `refused` counts refusals by their limit."""

    rates: Rates
    clock: Callable[[], float] = monotonic
    refused: Counter[str] = field(default_factory=Counter)
    _of_keys: dict[str, Window] = field(default_factory=dict)
    _of_addresses: dict[str, Window] = field(default_factory=dict)
    _due: dict[str, Window] = field(default_factory=dict)

    def take(self, kind: Kind, key: str | None, host: str) -> Taken:
        """Count a request of a key's holder from a host, or of a host without a key.

        Those with and without a key are counted apart, so that nobody without one uses up what an
        address's keys may do. What is refused is not counted.
        """
        address, now = network_of(host), self.clock()
        windows = list(self._windows(kind, key, address, now))
        refusal = None
        for at, window in windows:
            if window.count >= window.item.amount:
                self.refused[window.name] += 1
                who = "This key" if at.startswith("key/") else f"The address {address}"
                refusal = _refusal(who, window, now)
                break
        else:
            for at, window in windows:
                window.count += 1
                window.unsent += 1
                if window.count >= SHARED_FROM * window.item.amount:
                    self._due[at] = window
        return Taken([window.standing(now) for _, window in windows], refusal)

    def due(self) -> dict[str, Window]:
        """What other processes are to be told of since this was last asked, by names for all."""
        due, self._due = self._due, {}
        return due

    def postpone(self, due: dict[str, Window]) -> None:
        """Tell of it later: they can't be told now."""
        self._due = due | self._due

    def _windows(
        self, kind: Kind, key: str | None, address: str, now: float
    ) -> Iterator[tuple[str, Window]]:
        of_key, of_address = self.rates.of_key[kind], self.rates.of_address
        if key is not None and of_key is not None:
            at = f"key/{kind}/{key}"
            yield at, self._window(self._of_keys, at, kind, of_key, now)
        if of_address is not None:
            at = f"{'address' if key is None else 'keys'}/{address}"
            yield at, self._window(self._of_addresses, at, ADDRESS, of_address, now)

    def _window(
        self, among: dict[str, Window], at: str, name: str, item: RateLimitItem, now: float
    ) -> Window:
        window = among.get(at)
        if window is None or window.ends_at <= now:
            # Last in the order is what was begun last.
            among.pop(at, None)
            window = among[at] = Window(name, item, now + item.get_expiry())
            if among is self._of_addresses and len(among) > MAX_ADDRESSES:
                del among[next(iter(among))]
        return window


def network_of(host: str) -> str:
    """The address that a host's requests are counted for: of IPv6, the network of its holder."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = int(address) >> IPV6_NETWORK_BITS << IPV6_NETWORK_BITS
    return f"{IPv6Address(network)}/{IPV6_NETWORK_BITS}"


def _refusal(who: str, window: Window, now: float) -> RateLimited:
    wait_s = max(1, ceil(window.ends_at - now))
    return RateLimited(
        f"{who} has made {window.item.amount:,} {_PHRASES[window.name]} in "
        f"{window.item.get_expiry()} s, as many as it may: try again in {wait_s} s.",
        retry_after_s=wait_s,
    )
