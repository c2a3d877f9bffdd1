"""Fetches the photos of jobs that name URLs, while the process embeds the photos of other jobs."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Semaphore
from typing import Final
from uuid import UUID, uuid4

from db.catalogue.listing_photos import PhotoData
from db.jobs import attempts
from db.jobs.attempts import ClaimLost
from db.jobs.claiming import Claim
from db.jobs.fetch import Fetched, Recorded, record_fetched, renew_leases
from db.session import Database
from db.store.photo_store import PhotoStore
from db.store.photo_urls import NOT_ALLOWED, PhotoUrls
from db.tables import Job
from models.domain.errors import InvalidInput, MarketlensError, Unavailable
from models.domain.job_payloads import EmbedPayload, FailedUrl
from models.domain.processes import be_nice
from models.photo_decoding import StandardPhoto, standardise
from workers.fetching.host_queues import HostQueues

log = logging.getLogger(__name__)

MAX_JOBS: Final = 2_000
"""Jobs whose photos are being fetched by one process; more are left to wait, or to others."""
RENEWALS_IN_A_LEASE: Final = 6
NICENESS: Final = 15


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The most bytes of a photo; how long a claim lasts, and how many there are of a job."""

    max_bytes: int
    lease: timedelta
    max_attempts: int


@dataclass
class _Open:
    """A job, and what has become of its URLs so far."""

    claim: Claim
    payload: EmbedPayload
    waiting: set[str]
    photos: dict[str, PhotoData] = field(default_factory=dict)
    failed: list[FailedUrl] = field(default_factory=list)
    unavailable: list[FailedUrl] = field(default_factory=list)


class PhotoFetcher:
    """Fetches, standardises and stores the photos of claimed jobs in threads of its own.

    `start` returns at once. When all URLs of a job have been tried, what there is is recorded
    (`db.fetch_jobs.record_fetched`), `publish` is called with the jobs that are due, and `announce`
    with those that have ended. Until then its lease is renewed. Without `urls`, no URL is fetched.
    `decode` standardises what was fetched.
    """

    def __init__(
        self,
        database: Database,
        store: PhotoStore,
        urls: PhotoUrls | None,
        *,
        limits: FetchLimits,
        clock: Callable[[], datetime],
        publish: Callable[[Sequence[Job]], object],
        announce: Callable[[Sequence[UUID]], object],
        decode: Callable[[bytes], StandardPhoto] = standardise,
    ) -> None:
        self._database = database
        self._store = store
        self._urls = urls
        self._limits = limits
        self._clock = clock
        self._publish = publish
        self._announce = announce
        self._decode = decode
        self._lock = threading.Lock()
        self._open: dict[UUID, _Open] = {}
        self._stopped = threading.Event()
        self._renewing: threading.Thread | None = None
        # One at a time: the network needs the cores, and a photo may need hundreds of megabytes.
        self._decoding = Semaphore(1)
        self._hosts = HostQueues(self._stored_photo)

    def start(self, claim: Claim, payload: EmbedPayload) -> bool:
        """Begin to fetch the photos of a job; False, having done nothing, if there are too many."""
        job = _Open(claim, payload, set(payload.urls))
        with self._lock:
            if len(self._open) >= MAX_JOBS or self._stopped.is_set():
                return False
            self._open[claim.job_id] = job
            if self._renewing is None:
                self._renewing = threading.Thread(target=self._renew, name="renew", daemon=True)
                self._renewing.start()
        for url in payload.urls:
            self._hosts.submit(
                url, partial(self._take, job, url), is_wanted=partial(self._is_open, job)
            )
        return True

    def stop(self) -> None:
        """Hand back the jobs that are open. What was fetched of them is fetched again."""
        self._stopped.set()
        self._hosts.stop()
        with self._lock:
            left, self._open = list(self._open.values()), {}
        if self._urls is not None:
            # What is under way breaks off.
            self._urls.close()
        if left:
            self._hand_back(left)

    def _hand_back(self, left: Sequence[_Open]) -> None:
        try:
            with self._database.write() as session:
                for job in left:
                    # One that has been cancelled is nobody's any more, and nothing is written.
                    with suppress(ClaimLost):
                        attempts.hand_back(session, job.claim, self._clock())
        except Unavailable as error:
            log.warning("%s jobs are left to the relay: %s", len(left), error)

    def _is_open(self, job: _Open) -> bool:
        return self._open.get(job.claim.job_id) is job

    def _stored_photo(self, url: str) -> PhotoData:
        be_nice(NICENESS)
        if self._urls is None:
            raise InvalidInput(NOT_ALLOWED)
        data = self._urls.fetch(url, self._limits.max_bytes)
        with self._decoding:
            photo = self._decode(data)
        sha256 = self._store.put(photo.data)
        return PhotoData(sha256, photo.width, photo.height, photo.incomplete)

    def _take(self, job: _Open, url: str, result: PhotoData | Exception | None) -> None:
        """Note what became of a URL; the last one of a job records it."""
        with self._lock:
            if not self._is_open(job):
                return
            if isinstance(result, PhotoData):
                job.photos[url] = result
            elif result is not None:
                where = job.failed if isinstance(result, InvalidInput) else job.unavailable
                where.append(_failed(url, result))
            job.waiting.discard(url)
            if job.waiting:
                return
        self._record(job)

    def _record(self, job: _Open) -> None:
        job_id = job.claim.job_id
        fetched = Fetched(job.photos, job.failed, job.unavailable)
        recorded: Recorded | None = None
        try:
            with self._database.write() as session:
                recorded = record_fetched(
                    session,
                    job.claim,
                    job.payload,
                    fetched,
                    now=self._clock(),
                    new_id=uuid4,
                    max_attempts=self._limits.max_attempts,
                )
        except ClaimLost:
            log.warning("job %s: its claim was lost while its photos were fetched", job_id)
        except Exception:  # its lease ends, and the relay queues it again
            log.exception("job %s: what was fetched can't be recorded", job_id)
        finally:
            self._close([job])
        if recorded is None:
            return
        log.info("job %s: %s photos fetched", job_id, len(job.photos))
        if recorded.due:
            self._publish(recorded.due)
        if recorded.ended:
            self._announce([job_id])

    def _renew(self) -> None:
        while not self._stopped.wait(self._limits.lease.total_seconds() / RENEWALS_IN_A_LEASE):
            with self._lock:
                held = list(self._open.values())
            if not held:
                continue
            claims = [job.claim for job in held]
            try:
                with self._database.write() as session:
                    kept = renew_leases(session, claims, self._clock(), self._limits.lease)
            except Exception as error:  # noqa: BLE001 - the lease outlives a few missed renewals
                log.warning("leases can't be renewed: %s", error)
                continue
            # Others were cancelled, or have been recorded meanwhile.
            self._close([job for job in held if job.claim.job_id not in kept])

    def _close(self, done: Sequence[_Open]) -> None:
        with self._lock:
            for job in done:
                # It may have been claimed anew.
                if self._is_open(job):
                    del self._open[job.claim.job_id]


def _failed(url: str, error: Exception) -> FailedUrl:
    if isinstance(error, InvalidInput):
        return FailedUrl(url=url, code=error.code, detail=str(error))
    detail = str(error)
    if not isinstance(error, MarketlensError):
        log.error("a photo can't be fetched", exc_info=error)
        detail = "Something broke; it has been logged."
    return FailedUrl(url=url, code=Unavailable.code, detail=detail)
