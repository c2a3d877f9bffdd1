"""Rates: how many requests a key and an address may make in a window of time."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.limits import limiter as limiters
from api.limits.limiter import RateLimiter, network_of
from api.limits.rates import Kind, Rates, kind_of, rate_of

HOST, OTHER = "203.0.113.7", "203.0.113.8"


@dataclass
class Ticks:
    """A clock that is set by hand."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def limiter_of(
    ticks: Ticks, *, key: str = "3/minute", address: str = "off", **kinds: str
) -> RateLimiter:
    """A limiter with the same rate for each kind that has none of its own."""
    of_key = {kind: kinds.get(kind, key) for kind in Kind}
    return RateLimiter(Rates.stated(of_key, address), clock=ticks)


def is_taken(limiter: RateLimiter, kind: Kind, key: str | None, host: str = HOST) -> bool:
    return limiter.take(kind, key, host).refusal is None


def test_a_key_is_refused_after_as_many_as_it_may_until_the_window_ends(ticks: Ticks) -> None:
    limiter = limiter_of(ticks)
    assert [is_taken(limiter, Kind.READS, "a") for _ in range(5)] == [True] * 3 + [False] * 2
    ticks.now += 59.2
    taken = limiter.take(Kind.READS, "a", HOST)
    assert taken.refusal is not None
    assert taken.refusal.retry_after_s == 1
    assert str(taken.refusal) == (
        "This key has made 3 reads in 60 s, as many as it may: try again in 1 s."
    )
    ticks.now += taken.refusal.retry_after_s
    assert is_taken(limiter, Kind.READS, "a"), "what Retry-After says is true"
    assert limiter.refused == Counter(reads=3)


def test_kinds_and_keys_are_counted_apart(ticks: Ticks) -> None:
    limiter = limiter_of(ticks, searches="1/minute", bulk="off")
    assert is_taken(limiter, Kind.SEARCHES, "a")
    assert not is_taken(limiter, Kind.SEARCHES, "a")
    assert is_taken(limiter, Kind.SEARCHES, "b")
    assert is_taken(limiter, Kind.READS, "a")
    assert all(is_taken(limiter, Kind.BULK, "a") for _ in range(50))


def test_an_address_is_limited_over_its_keys_and_kinds(ticks: Ticks) -> None:
    limiter = limiter_of(ticks, key="2/minute", address="3/minute")
    assert is_taken(limiter, Kind.READS, "a")
    assert is_taken(limiter, Kind.SEARCHES, "a")
    assert is_taken(limiter, Kind.READS, "b")
    refused = limiter.take(Kind.READS, "c", HOST).refusal
    assert str(refused).startswith(f"The address {HOST} has made 3 requests in 60 s")
    assert is_taken(limiter, Kind.READS, "c", OTHER)
    assert limiter.refused == Counter(address=1)


def test_who_has_no_key_uses_up_nothing_of_those_who_have(ticks: Ticks) -> None:
    limiter = limiter_of(ticks, address="2/minute")
    assert [is_taken(limiter, Kind.READS, None) for _ in range(3)] == [True, True, False]
    assert is_taken(limiter, Kind.READS, "a")


def test_what_is_refused_is_not_counted(ticks: Ticks) -> None:
    limiter = limiter_of(ticks, key="1/minute", address="2/minute")
    assert is_taken(limiter, Kind.READS, "a")
    assert not is_taken(limiter, Kind.READS, "a")
    assert is_taken(limiter, Kind.READS, "b"), "the refused one took nothing of the address"


def test_standings_say_what_is_left(ticks: Ticks) -> None:
    limiter = limiter_of(ticks, address="10/second")
    limiter.take(Kind.WRITES, "a", HOST)
    ticks.now += 0.5
    taken = limiter.take(Kind.WRITES, "a", HOST)
    assert [tuple(standing) for standing in taken.standings] == [
        ("writes", 3, 60, 1, 60),
        ("address", 10, 1, 8, 1),
    ]


def test_addresses_that_are_counted_are_bounded(
    ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiters, "MAX_ADDRESSES", 3)
    limiter = limiter_of(ticks, address="1/minute")
    for number in range(10):
        assert is_taken(limiter, Kind.READS, None, f"192.0.2.{number}")
    assert not is_taken(limiter, Kind.READS, None, "192.0.2.9")
    assert is_taken(limiter, Kind.READS, None, "192.0.2.1"), "it was forgotten"


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_of_ipv6_a_network_is_counted(host: str, network: str) -> None:
    assert network_of(host) == network


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/v1/searches/x", Kind.READS),
        ("GET", "/v1/listings:batch", Kind.READS),
        ("POST", "/v1/searches", Kind.SEARCHES),
        ("POST", "/v1/recommendations", Kind.SEARCHES),
        ("POST", "/v1/embeddings", Kind.SEARCHES),
        ("POST", "/v1/predictions", Kind.SEARCHES),
        ("POST", "/v1/saved-searches", Kind.WRITES),
        ("POST", "/v1/events", Kind.WRITES),
        ("POST", "/v1/listings:batch", Kind.BULK),
        ("PUT", "/v1/listings/x", Kind.WRITES),
        ("DELETE", "/v1/searches/x", Kind.WRITES),
    ],
)
def test_kinds_of_requests(method: str, path: str, kind: Kind) -> None:
    assert kind_of(method, path) is kind


def test_rates_as_they_are_stated() -> None:
    rate = rate_of("600/minute")
    assert rate is not None
    assert (rate.amount, rate.get_expiry()) == (600, 60)
    assert rate_of("off") is None


@given(
    amount=st.integers(1, 5),
    requests=st.lists(st.tuples(st.floats(0, 30), st.sampled_from("ab")), max_size=60),
)
def test_no_window_takes_more_than_it_may(amount: int, requests: list[tuple[float, str]]) -> None:
    """And a key that has not used its window up is never refused."""
    ticks = Ticks()
    limiter = limiter_of(ticks, key=f"{amount}/minute")
    windows: dict[str, tuple[float, int]] = {}
    for pause, key in requests:
        ticks.now += pause
        began, count = windows.get(key, (float("-inf"), 0))
        if began + 60 <= ticks.now:
            began, count = ticks.now, 0
        expected = count < amount
        taken = limiter.take(Kind.READS, key, HOST)
        assert (taken.refusal is None) == expected
        windows[key] = began, count + expected
        assert taken.standings[0].remaining == amount - windows[key][1]
