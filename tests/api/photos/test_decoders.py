"""Costly photos are decoded apart, searches before listings, and memory is shared out."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from anyio import CapacityLimiter

from api.photos import decoders
from api.photos.decoders import Decode, Decoders, LargeTurn, MemoryBudget, PixelBudget
from api.uploads.spool import Spool, Upload, UploadSpace
from models.domain.errors import InvalidPhoto, Overloaded
from models.photo_decoding import LARGE, Cost, StandardPhoto, standardise
from tests.support.hostile_photos import tiny_webp
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until

COSTLY = tiny_webp(2_000, 1_500)


def upload(data: bytes) -> Upload:
    spool = Spool(UploadSpace())
    anyio.run(spool.write, data)
    return Upload(spool, 0, len(data))


@pytest.fixture
def both() -> Iterator[Decoders]:
    both = Decoders(cores=2, niceness=0)
    yield both
    both.close()


def processes_of(both: Decoders) -> list[bool]:
    """Which processes run: that of listings first."""
    return [process._process is not None for process in both._processes]


def decoded(both: Decoders, photo: bytes) -> StandardPhoto:
    given = upload(photo)

    async def run() -> StandardPhoto:
        return await both.run(lambda decode: decode(given), CapacityLimiter(1))

    return anyio.run(run)


def test_only_what_is_costly_needs_a_process(both: Decoders) -> None:
    assert decoded(both, jpeg(1)) == standardise(jpeg(1))
    assert both.of_listings()(upload(jpeg(1))) == standardise(jpeg(1))
    assert processes_of(both) == [False, False, False]
    assert decoded(both, COSTLY) == standardise(COSTLY)
    assert processes_of(both) == [False, True, False]
    assert both.of_listings()(upload(COSTLY)) == standardise(COSTLY)
    assert processes_of(both) == [True, True, False]


def test_large_photos_of_one_request_are_bounded_together(
    both: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = tiny_webp(5_000, 3_400)
    monkeypatch.setattr(decoders, "LARGE_PIXELS_OF_BATCH", 40_000_000)
    decode = both.of_listings()
    for _ in range(2):
        decode(upload(large))
    with pytest.raises(InvalidPhoto, match="together"):
        decode(upload(large))
    assert decode(upload(COSTLY))
    assert both.of_listings()(upload(large))


def test_small_photos_are_not_counted() -> None:
    budget = PixelBudget(2 * LARGE)
    for _ in range(10):
        budget.spend(Cost(LARGE, 0))
    budget.spend(Cost(LARGE + 1, 0))
    with pytest.raises(InvalidPhoto):
        budget.spend(Cost(LARGE + 1, 0))


def test_more_than_may_wait_for_a_process_are_refused(
    both: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "MOST_WAITING", 1)
    ready, go_on = threading.Semaphore(0), threading.Event()

    def work(decode: Decode) -> StandardPhoto:
        found = decode(upload(COSTLY))
        ready.release()
        go_on.wait(20)
        return found

    async def run() -> list[str]:
        ended: list[str] = []

        async def one() -> None:
            try:
                await both.run(work, CapacityLimiter(5))
                ended.append("done")
            except Overloaded as error:
                ended.append("refused" if error.retry_after_s > 0 else "refused for ever")

        async with anyio.create_task_group() as tasks:
            for _ in range(decoders.QUERY_PROCESSES):
                tasks.start_soon(one)
            for _ in range(decoders.QUERY_PROCESSES):
                await anyio.to_thread.run_sync(ready.acquire)
            tasks.start_soon(one)
            while not both._waiting.statistics().tasks_waiting:
                await anyio.sleep(0.01)
            await one()
            go_on.set()
        return ended

    assert anyio.run(run) == ["refused", "done", "done", "done"]


def test_a_query_comes_before_the_listings_that_wait() -> None:
    turn, order = LargeTurn(), list[str]()
    begun = threading.Semaphore(0)

    def take(name: str, *, by_query: bool) -> None:
        begun.release()
        with turn.taken(by_query=by_query):
            order.append(name)

    with ThreadPoolExecutor(4) as threads, turn.taken(by_query=False):
        for name in ("listing", "another"):
            threads.submit(take, name, by_query=False)
        threads.submit(take, "query", by_query=True)
        for _ in range(3):
            begun.acquire()
        wait_until(lambda: turn._queries == 1)
    assert order[0] == "query"
    assert sorted(order) == ["another", "listing", "query"]


def test_memory_is_never_taken_beyond_the_budget() -> None:
    budget, lock, held, most = MemoryBudget(100), threading.Lock(), [0], [0]

    def take(number: int) -> None:
        with budget.taken(number):
            with lock:
                held[0] += min(number, 100)
                most[0] = max(most[0], held[0])
            with lock:
                held[0] -= min(number, 100)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(take, [30, 60, 100, 250, 10] * 40))
    assert most[0] <= 100
    assert budget._left == 100
