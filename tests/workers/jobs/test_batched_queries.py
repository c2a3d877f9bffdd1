"""Questions that wait together are embedded together, and answered each by itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Barrier, current_thread
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from db.jobs import attempts, cancelling, claiming, relaying
from db.jobs.claiming import Claim
from db.tables import Job
from models.domain.types import JobStatus, JobType
from models.photo_decoding import decode, standardise
from tests.support.pictures import grey, jpeg
from tests.support.workers import LEASE, WorkerHarness
from workers import tasks
from workers.jobs.queries import Answered, answer_queries
from workers.runtime import Runtime
from workers.search import query_encoder
from workers.tasks import run_job


@pytest.fixture
def calls(worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photos the network was given, each time it ran; it takes four at once.

    One thread answers.
    """
    given: list[int] = []
    embed = worker.encoder.embed

    def counted(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        if photos:
            given.append(len(photos))
        return embed(photos)

    for seed in (1, 2, 3):
        _, photo_ids = worker.list_photos(jpeg(seed))
        worker.embed(photo_ids)
    monkeypatch.setattr(worker.encoder, "embed", counted)
    monkeypatch.setattr(tasks, "TOGETHER", 4)
    monkeypatch.setattr(tasks, "THREADS", 1)
    worker.engine._held = replace(worker.engine._held, batch=4)
    return given


def stored(worker: WorkerHarness, data: bytes) -> str:
    return worker.runtime.store.put(standardise(data).data)


def asked(worker: WorkerHarness, *seeds: int) -> list[UUID]:
    """Searches by drawn pictures that the catalogue does not have."""
    return [
        worker.accept(JobType.SEARCH, {"photo": stored(worker, jpeg(seed)), "limit": 2})
        for seed in seeds
    ]


def statuses(worker: WorkerHarness, job_ids: Sequence[UUID]) -> list[JobStatus]:
    return [worker.job(job_id).status for job_id in job_ids]


def test_waiting_searches_are_embedded_together(worker: WorkerHarness, calls: list[int]) -> None:
    waiting = asked(worker, 11, 12, 13, 14, 15)
    run_job(worker.runtime, waiting[0])
    # One message leads to all of them.
    assert calls == [4, 1]
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 5
    for job_id in waiting:
        run_job(worker.runtime, job_id)
    assert len(calls) == 2
    assert {worker.job(job_id).attempt for job_id in waiting} == {1}


def test_each_gets_the_answer_that_it_would_have_got_alone(
    worker: WorkerHarness, calls: list[int]
) -> None:
    together, alone = asked(worker, 11, 12, 13), asked(worker, 11, 12, 13)
    with worker.database.write() as session:
        for job_id in alone:
            cancelling.cancel(session, job_id, worker.now())
    run_job(worker.runtime, together[0])
    with worker.database.write() as session:
        for job_id in alone:
            cancelling.retry(session, job_id, worker.now())
    worker.engine._held = replace(worker.engine._held, batch=1)
    for one, other in zip(together, alone, strict=True):
        run_job(worker.runtime, other)
        results = [worker.job(job_id).result for job_id in (one, other)]
        assert results[0]
        assert results[1]
        assert results[0]["results"] == results[1]["results"]
    assert calls == [3, 1, 1, 1]


def test_questions_of_all_kinds_wait_together(worker: WorkerHarness, calls: list[int]) -> None:
    photo = {"photo": stored(worker, jpeg(21))}
    waiting = [
        *asked(worker, 20),
        worker.accept(JobType.EMBEDDING, photo),
        worker.accept(JobType.PREDICTION, {**photo, "top": 3}),
    ]
    run_job(worker.runtime, waiting[0])
    assert calls == [2]
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 3


def test_what_can_not_be_answered_fails_alone(worker: WorkerHarness, calls: list[int]) -> None:
    good = asked(worker, 11)
    broken = worker.runtime.store.put(b"not a photo at all")
    bad = [
        worker.accept(JobType.SEARCH, {"photo": broken, "limit": 2}),
        worker.accept(JobType.SEARCH, {"listing_id": str(uuid4()), "limit": 2}),
        worker.accept(JobType.SEARCH, {"photo": stored(worker, grey()), "limit": 2}),
    ]
    run_job(worker.runtime, good[0])
    assert calls == [2]
    assert statuses(worker, good) == [JobStatus.SUCCEEDED]
    assert [worker.job(job_id).error_code for job_id in bad] == [
        "unsupported_photo",
        "not_found",
        "invalid_photo",
    ]


def test_a_photo_that_breaks_the_network_fails_alone(
    worker: WorkerHarness, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = worker.encoder.embed

    def breaking(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        if any(photo.size == (31, 33) for photo in photos):
            raise RuntimeError("a kernel gave up")
        return embed(photos)

    monkeypatch.setattr(worker.encoder, "embed", breaking)
    poison = worker.accept(JobType.SEARCH, {"photo": stored(worker, jpeg(9, (31, 33))), "limit": 2})
    waiting = asked(worker, 11, 12)
    run_job(worker.runtime, waiting[0])
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 2
    assert worker.job(poison).status is JobStatus.QUEUED
    assert calls == [1, 1]


def test_what_may_have_ended_a_worker_is_tried_alone(
    worker: WorkerHarness, calls: list[int]
) -> None:
    waiting = asked(worker, 11, 12, 13)
    with worker.database.write() as session:
        # Its first attempt was never heard of again.
        assert claiming.claim(session, waiting[0], worker.now() - 2 * LEASE, LEASE)
        assert relaying.release_expired(session, worker.now(), 3) == 1
    run_job(worker.runtime, waiting[1])
    assert calls == [2]
    assert worker.job(waiting[0]).status is JobStatus.QUEUED
    waiting += asked(worker, 14)
    run_job(worker.runtime, waiting[0])
    assert calls == [2, 1, 1]
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 4


def test_photos_of_listings_are_not_embedded_with_questions(
    worker: WorkerHarness, calls: list[int]
) -> None:
    _, photo_ids = worker.list_photos(jpeg(31))
    embed_job = worker.accept(JobType.EMBED, {"photo_ids": photo_ids})
    run_job(worker.runtime, asked(worker, 11)[0])
    assert calls == [1]
    assert worker.job(embed_job).status is JobStatus.QUEUED


def test_the_oldest_come_first_and_the_rest_has_a_message(
    worker: WorkerHarness, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    led_on: list[UUID] = []
    monkeypatch.setattr(tasks, "ANSWER_FOR_S", 0.0)
    monkeypatch.setattr(
        worker.runtime.publisher, "publish", lambda some: led_on.extend(job.id for job in some)
    )
    waiting = asked(worker, 11, 12, 13, 14, 15, 16)
    with worker.database.write() as session:
        for place, job_id in enumerate(waiting):
            later = worker.now() + place * LEASE
            # However often it was published again meanwhile.
            published = worker.now() - place * LEASE
            values = {"created_at": later, "publish_after": published}
            session.execute(update(Job).where(Job.id == job_id).values(values))
    run_job(worker.runtime, waiting[5])
    assert calls == [4]
    done = [worker.job(job_id).status is JobStatus.SUCCEEDED for job_id in waiting]
    assert done == [True, True, True, False, False, True]
    assert led_on == [waiting[3]]


def test_what_somebody_retries_is_tried_alone(worker: WorkerHarness, calls: list[int]) -> None:
    waiting = asked(worker, 11, 12)
    with worker.database.write() as session:
        owned = claiming.claim(session, waiting[0], worker.now(), LEASE)
        assert owned
        attempts.fail(session, owned, worker.now(), code="attempts_exhausted", detail="It died.")
        cancelling.retry(session, waiting[0], worker.now())
    run_job(worker.runtime, waiting[0])
    assert calls == [1, 1]
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 2


def test_few_photos_are_in_memory_at_the_same_time(
    worker: WorkerHarness, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []

    def counted(data: bytes) -> Image.Image:
        decoded.append(data)
        assert len(decoded) - sum(calls) <= 2
        return decode(data)

    monkeypatch.setattr(query_encoder, "DECODED_AT_ONCE", 2)
    monkeypatch.setattr(query_encoder, "decode", counted)
    worker.engine._held = replace(worker.engine._held, batch=1)
    photos = [stored(worker, jpeg(seed)) for seed in (11, 12, 13, 14, 15)]
    search = {"positive": photos[:4], "negative": photos[4:], "limit": 2}
    assert worker.do(JobType.SEARCH, search).status is JobStatus.SUCCEEDED
    assert calls == [1] * 5


def test_every_way_of_asking_is_prepared(worker: WorkerHarness, calls: list[int]) -> None:
    photos = [stored(worker, jpeg(seed)) for seed in (11, 12, 13)]
    whole = {"positive": [photos[0]], "negative": [photos[1]], "limit": 2}
    part = {**whole, "region": {"x": 0, "y": 0, "w": 0.5, "h": 0.5}}
    old = {"photo": photos[2], "limit": 2}
    waiting = [worker.accept(JobType.SEARCH, payload) for payload in (whole, part, old)]
    run_job(worker.runtime, waiting[0])
    # Two whole photos of the first, the third one, and the first one's part.
    assert calls == [4]
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 3
    whole_result, part_result = (worker.job(job_id).result for job_id in waiting[:2])
    assert whole_result
    assert part_result
    assert whole_result["results"] != part_result["results"]


@pytest.fixture
def one_by_one(worker: WorkerHarness, calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The network gains nothing by more photos at once, but jobs are ended together."""
    del calls
    monkeypatch.setattr(tasks, "TOGETHER", 8)
    worker.engine._held = replace(worker.engine._held, batch=1)


@pytest.mark.usefixtures("one_by_one")
def test_what_waits_is_claimed_and_ended_together(
    worker: WorkerHarness, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = asked(worker, 11, 12, 13, 14, 15)
    transactions: list[int] = []
    write = worker.database.write

    @contextmanager
    def counted() -> Iterator[Session]:
        transactions.append(1)
        with write() as session:
            yield session

    monkeypatch.setattr(worker.database, "write", counted)
    note, consumption = tasks._note_consumption, 0

    def noted(runtime: Runtime) -> None:
        nonlocal consumption
        before = len(transactions)
        note(runtime)
        consumption += len(transactions) - before

    monkeypatch.setattr(tasks, "_note_consumption", noted)
    run_job(worker.runtime, waiting[0])
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 5
    assert calls == [1] * 5
    # The claims, and the ends; and who consumes the queue, as often as that is due.
    assert len(transactions) - consumption == 2
    assert {worker.job(job_id).attempt for job_id in waiting} == {1}


@pytest.mark.usefixtures("one_by_one")
def test_one_whose_claim_is_lost_ends_alone(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = asked(worker, 11, 12, 13)

    def answered(claims: Sequence[Claim], *given: Any) -> Answered:
        with worker.database.write() as session:
            cancelling.cancel(session, waiting[1], worker.now())
        return answer_queries(claims, *given)

    monkeypatch.setattr(tasks, "answer_queries", answered)
    run_job(worker.runtime, waiting[0])
    done = [JobStatus.SUCCEEDED, JobStatus.CANCELLED, JobStatus.SUCCEEDED]
    assert statuses(worker, waiting) == done


@pytest.mark.usefixtures("one_by_one")
def test_one_whose_answer_can_not_be_stored_is_tried_again_alone(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = asked(worker, 11, 12, 13)
    finish = attempts.finish

    def finished(session: Session, owned: Claim, *given: Any, **named: Any) -> None:
        if owned.job_id == waiting[1]:
            session.execute(text("INSERT INTO jobs (id) VALUES (NULL)"))
        finish(session, owned, *given, **named)

    with monkeypatch.context() as broken:
        broken.setattr(attempts, "finish", finished)
        run_job(worker.runtime, waiting[0])
    done = [JobStatus.SUCCEEDED, JobStatus.QUEUED, JobStatus.SUCCEEDED]
    assert statuses(worker, waiting) == done
    run_job(worker.runtime, waiting[1])
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 3


def test_two_threads_share_what_waits(
    worker: WorkerHarness, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    both, embed = Barrier(2), worker.encoder.embed

    def meeting(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        if len(photos) > 1:
            both.wait(20)
        return embed(photos)

    monkeypatch.setattr(tasks, "THREADS", 2)
    monkeypatch.setattr(worker.encoder, "embed", meeting)
    waiting = asked(worker, 11, 12, 13, 14, 15, 16, 17)
    run_job(worker.runtime, waiting[0])
    # Of the six others, half with the first; of those that are left, half and then one by one.
    assert sorted(calls) == [1, 2, 4]
    assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 7
    assert {worker.job(job_id).attempt for job_id in waiting} == {1}


def test_what_encodes_nothing_is_answered_by_one_thread(
    worker: WorkerHarness, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    answer = tasks._answer_all

    def noted(*given: Any) -> None:
        threads.append(current_thread().name)
        answer(*given)

    monkeypatch.setattr(tasks, "THREADS", 2)
    monkeypatch.setattr(tasks, "_answer_all", noted)
    listing = worker.list_pictures(1)
    calls.clear()
    for _ in range(2):
        threads.clear()
        waiting = [
            worker.accept(JobType.SEARCH, {"listing_id": str(listing), "limit": 2})
            for _ in range(8)
        ]
        run_job(worker.runtime, waiting[0])
        assert statuses(worker, waiting) == [JobStatus.SUCCEEDED] * 8
    # It is known from the answers before.
    assert threads == [current_thread().name] * 2
    assert not calls
    asked_for = asked(worker, 11, 12)
    run_job(worker.runtime, asked_for[0])
    assert worker.engine.encodes


def test_a_message_leads_to_others_although_its_own_was_cancelled(
    worker: WorkerHarness, calls: list[int]
) -> None:
    waiting = asked(worker, 11, 12, 13)
    with worker.database.write() as session:
        cancelling.cancel(session, waiting[0], worker.now())
    run_job(worker.runtime, waiting[0])
    assert statuses(worker, waiting) == [JobStatus.CANCELLED, *[JobStatus.SUCCEEDED] * 2]
    assert calls == [2]
