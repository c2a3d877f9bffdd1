"""Counts that the API's processes share, over a real Redis; and what is done without one."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from uuid import uuid4

import pytest
from redis import Redis

from api.limits import sharing
from api.limits.limiter import RateLimiter
from api.limits.rates import Kind, Rates
from api.limits.sharing import SharedCounts
from tests.support.redis import KnownBroker

HOST = "203.0.113.7"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are shared, and tried again, soon."""
    monkeypatch.setattr(sharing, "SHARE_EVERY_S", 0.02)
    monkeypatch.setattr(sharing, "RETRY_AFTER_S", 0.1)


class Process:
    """What an API process counts with."""

    def __init__(self, broker_url: str, prefix: str, rate: str = "100/minute") -> None:
        self.limiter = RateLimiter(Rates.stated(dict.fromkeys(Kind, rate), "off"))
        self.shared = SharedCounts(KnownBroker(broker_url, prefix), self.limiter)

    def take(self, times: int = 1) -> int:
        """How many of so many requests were taken."""
        return sum(self.limiter.take(Kind.READS, "a", HOST).refusal is None for _ in range(times))

    def left_of_reads(self) -> int:
        """How many reads are left, as its next request would be told, which is not counted."""
        (window,) = self.limiter._of_keys.values()
        return window.item.amount - window.count


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    """Wait until it holds."""
    deadline = monotonic() + within_s
    while not condition():
        assert monotonic() < deadline
        await asyncio.sleep(0.01)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run it in an event loop of its own."""
    asyncio.run(test())  # type: ignore[arg-type] # it is a coroutine function


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid4()}:"


def test_processes_share_a_rate(redis_url: str, prefix: str) -> None:
    async def test() -> None:
        one, two = Process(redis_url, prefix), Process(redis_url, prefix)
        async with one.shared.sharing(), two.shared.sharing():
            assert one.take(60) == 60
            await until(lambda: not one.limiter._due)
            assert two.take(30) == 30
            await until(lambda: two.left_of_reads() == 10)
            assert two.take(30) == 10
            await until(lambda: one.take(5) < 5)
            assert one.take() == 0
            # Both are told the same end of the window.
            ends = [next(iter(each.limiter._of_keys.values())).ends_at for each in (one, two)]
            assert abs(ends[0] - ends[1]) <= 1.5

    run(test)


def test_what_is_far_from_a_limit_is_not_shared(redis_url: str, prefix: str) -> None:
    async def test() -> None:
        process = Process(redis_url, prefix, rate="1000/minute")
        async with process.shared.sharing():
            process.take(49)
            assert not process.limiter.due()
            process.take(1)
            await until(lambda: not process.limiter._due)
            await until(lambda: bool(keys_of(redis_url, prefix)))

    run(test)


def keys_of(redis_url: str, prefix: str) -> list[bytes]:
    with Redis(unix_socket_path=redis_url.partition("://")[2]) as redis:
        found: list[bytes] = redis.keys(f"{prefix}*")
    return found


def test_keys_in_redis_expire(redis_url: str, prefix: str) -> None:
    async def test() -> None:
        process = Process(redis_url, prefix)
        async with process.shared.sharing():
            process.take(50)
            await until(lambda: bool(keys_of(redis_url, prefix)))
        with Redis(unix_socket_path=redis_url.partition("://")[2]) as redis:
            (name,) = keys_of(redis_url, prefix)
            assert 0 < int(redis.ttl(name)) <= 60

    run(test)


def test_without_redis_each_process_limits_by_itself(tmp_path: object) -> None:
    async def test() -> None:
        process = Process(f"redis+socket://{tmp_path}/nobody.sock", "test:")
        async with process.shared.sharing():
            assert process.take(60) == 60
            await asyncio.sleep(0.1)
            assert process.take(60) == 40

    run(test)


@contextmanager
def frozen(redis_url: str) -> Iterator[None]:
    """Redis takes connections, and answers nothing."""
    with Redis(unix_socket_path=redis_url.partition("://")[2]) as redis:
        process_id = int(redis.info("server")["process_id"])
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


def test_a_frozen_redis_holds_up_no_request(redis_url: str, prefix: str) -> None:
    async def test() -> None:
        process = Process(redis_url, prefix)
        async with process.shared.sharing():
            process.take(10)
            await until(lambda: bool(keys_of(redis_url, prefix)))
            with frozen(redis_url):
                taken = 0
                for _ in range(200):
                    taken += process.take()
                    await asyncio.sleep(0.01)
            assert taken == 90
            # What is counted next is told again; nothing of what was has been counted twice.
            process.limiter._of_keys.clear()
            assert process.take(5) == 5
            await until(lambda: not process.limiter._due)
            assert 15 <= total_of(redis_url, prefix) <= 105

    run(test)


def total_of(redis_url: str, prefix: str) -> int:
    with Redis(unix_socket_path=redis_url.partition("://")[2]) as redis:
        return sum(int(redis.get(name) or 0) for name in keys_of(redis_url, prefix))
