"""Who decodes an uploaded photo, and how many are decoded at once, so that memory is bounded.

Most photos cost little and are decoded by threads of this process. The others are decoded by
processes of their own (`models.decoder_process`): those that searches wait for by other processes
than those of listings.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from queue import SimpleQueue
from threading import Condition, Semaphore
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread

from api.uploads.spool import Upload
from models.decoder_process import DecoderProcess
from models.domain.errors import InvalidPhoto, Overloaded
from models.photo_decoding import FILE_COPIES, LARGE, Cost, StandardPhoto, standardise

LIGHT_BYTES: Final = 32_000_000
"""Memory of a photo that is decoded in this process: JPEGs of up to 8 MB, PNGs of 5 megapixels."""
ALL_LIGHT_BYTES: Final = 2 * LIGHT_BYTES
"""Of all photos that are decoded in this process at once."""
QUERY_PROCESSES: Final = 2
MOST_WAITING: Final = 4
"""Requests that wait for a process; more are refused, so that those that wait are answered soon."""
WAIT_S: Final = 4
LARGE_PIXELS_OF_QUERY: Final = 150_000_000
LARGE_PIXELS_OF_BATCH: Final = 500_000_000
"""Of the large photos (over `LARGE` pixels) of one request together."""

Decode = Callable[[Upload], StandardPhoto]
"""Decodes a photo. Raises InvalidPhoto, UnsupportedPhoto, and `NeedsProcess`."""
T = TypeVar("T")


class NeedsProcess(Exception):
    """A photo that is not decoded here: it costs too much."""

    def __init__(self, cost: Cost) -> None:
        super().__init__()
        self.cost = cost


class MemoryBudget:
    """Bytes that threads share: who wants more than there are waits."""

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._changed = Condition()

    @contextmanager
    def taken(self, number: int) -> Iterator[None]:
        """Hold so many bytes; all if that is more than there can be."""
        number = min(number, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= number)
            self._left -= number
        try:
            yield
        finally:
            with self._changed:
                self._left += number
                self._changed.notify_all()


class LargeTurn:
    """One large photo is decoded at a time; those of queries come before those of listings."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._is_taken = False
        self._queries = 0

    @contextmanager
    def taken(self, *, by_query: bool) -> Iterator[None]:
        """Wait for the turn, and hold it."""
        with self._changed:
            self._queries += by_query
            self._changed.wait_for(lambda: not self._is_taken and (by_query or not self._queries))
            self._queries -= by_query
            self._is_taken = True
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()


class PixelBudget:
    """The pixels that large photos of one request may have together."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def spend(self, cost: Cost) -> None:
        """Count a photo. Raises InvalidPhoto if it is too much."""
        if cost.pixels <= LARGE:
            return
        self._left -= cost.pixels
        if self._left < 0:
            raise InvalidPhoto(
                f"The photos of over {LARGE:,} pixels in one request have at most "
                f"{self._most:,} pixels together: send them in several."
            )


class Decoders:
    """The decoders of one API process. `cores` photos of queries are decoded here at once."""

    def __init__(self, cores: int, niceness: int) -> None:
        self._slots = Semaphore(cores)
        self._files = MemoryBudget(ALL_LIGHT_BYTES)
        self._memory = MemoryBudget(ALL_LIGHT_BYTES)
        self._turn = LargeTurn()
        self._of_queries: SimpleQueue[DecoderProcess] = SimpleQueue()
        self._of_listings = DecoderProcess(niceness)
        self._processes = [self._of_listings]
        for _ in range(QUERY_PROCESSES):
            self._processes.append(DecoderProcess())
            self._of_queries.put(self._processes[-1])
        self._waiting = CapacityLimiter(QUERY_PROCESSES)

    async def run(self, work: Callable[[Decode], T], threads: CapacityLimiter) -> T:
        """Do what needs photos of a query decoded, in a thread.

        It is done again, by a process, where a photo costs too much: so threads never wait for
        those. Raises Overloaded if too many wait for a process.
        """
        try:
            return await to_thread.run_sync(work, self._light_of_query, limiter=threads)
        except NeedsProcess:
            pass
        waiting = self._waiting.statistics().tasks_waiting
        if waiting >= MOST_WAITING:
            raise Overloaded(
                "Too many photos wait that take long to decode: send smaller ones, or try later.",
                retry_after_s=WAIT_S,
            )
        return await to_thread.run_sync(work, self._costly_of_query(), limiter=self._waiting)

    def of_listings(self) -> Decode:
        """Decodes the photos of one request that stores listings."""
        budget = PixelBudget(LARGE_PIXELS_OF_BATCH)

        def decode(upload: Upload) -> StandardPhoto:
            try:
                return self._light(upload, nullcontext())
            except NeedsProcess as needed:
                budget.spend(needed.cost)
                with self._turn_for(needed.cost, by_query=False):
                    return self._of_listings.standardise(upload.read())

        return decode

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()

    def _light_of_query(self, upload: Upload) -> StandardPhoto:
        return self._light(upload, self._slots)

    def _costly_of_query(self) -> Decode:
        budget = PixelBudget(LARGE_PIXELS_OF_QUERY)

        def decode(upload: Upload) -> StandardPhoto:
            try:
                return self._light_of_query(upload)
            except NeedsProcess as needed:
                budget.spend(needed.cost)
                process = self._of_queries.get()
                try:
                    with self._turn_for(needed.cost, by_query=True):
                        return process.standardise(upload.read())
                finally:
                    self._of_queries.put(process)

        return decode

    def _light(self, upload: Upload, slot: AbstractContextManager[object]) -> StandardPhoto:
        file_bytes = FILE_COPIES * upload.size
        if file_bytes > LIGHT_BYTES:
            raise NeedsProcess(Cost(0, file_bytes))
        with self._files.taken(file_bytes), slot:
            return standardise(upload.read(), admit=self._admit)

    def _admit(self, cost: Cost) -> AbstractContextManager[object]:
        if cost.memory_bytes > LIGHT_BYTES:
            raise NeedsProcess(cost)
        return self._memory.taken(cost.memory_bytes)

    def _turn_for(self, cost: Cost, *, by_query: bool) -> AbstractContextManager[None]:
        return self._turn.taken(by_query=by_query) if cost.pixels > LARGE else nullcontext()
