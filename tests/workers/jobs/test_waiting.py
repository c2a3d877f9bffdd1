"""Questions that wait together are embedded together, and answered each by itself."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import update

from db import jobs
from db.tables import Job
from models.domain.types import JobStatus, JobType
from models.photos import standardise
from tests.support.pictures import jpeg
from tests.workers.conftest import LEASE, Workshop
from tests.workers.jobs.test_search import grey
from workers.search import query_encoder as query
from workers.tasks import run_job


@pytest.fixture
def calls(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photos the network was given, each time it ran; it takes four at once."""
    given: list[int] = []
    embed = workshop.encoder.embed

    def counted(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        if photos:
            given.append(len(photos))
        return embed(photos)

    for seed in (1, 2, 3):
        _, photo_ids = workshop.list_photos(jpeg(seed))
        workshop.embed(photo_ids)
    monkeypatch.setattr(workshop.encoder, "embed", counted)
    workshop.searcher._held = replace(workshop.searcher._held, batch=4)
    return given


def stored(workshop: Workshop, data: bytes) -> str:
    return workshop.runtime.store.put(standardise(data).data)


def asked(workshop: Workshop, *seeds: int) -> list[UUID]:
    """Searches by drawn pictures that the catalogue does not have."""
    return [
        workshop.accept(JobType.SEARCH, {"photo": stored(workshop, jpeg(seed)), "limit": 2})
        for seed in seeds
    ]


def statuses(workshop: Workshop, job_ids: Sequence[UUID]) -> list[JobStatus]:
    return [workshop.job(job_id).status for job_id in job_ids]


def test_waiting_searches_are_embedded_together(workshop: Workshop, calls: list[int]) -> None:
    waiting = asked(workshop, 11, 12, 13, 14, 15)
    run_job(workshop.runtime, waiting[0])
    assert calls == [4]
    assert workshop.job(waiting[0]).status is JobStatus.SUCCEEDED
    assert sorted(statuses(workshop, waiting)) == [JobStatus.QUEUED] + [JobStatus.SUCCEEDED] * 4
    for job_id in waiting[1:]:
        run_job(workshop.runtime, job_id)
    assert calls == [4, 1]
    assert {workshop.job(job_id).attempt for job_id in waiting} == {1}


def test_each_gets_the_answer_that_it_would_have_got_alone(
    workshop: Workshop, calls: list[int]
) -> None:
    together, alone = asked(workshop, 11, 12, 13), asked(workshop, 11, 12, 13)
    with workshop.database.write() as session:
        for job_id in alone:
            jobs.cancel(session, job_id, workshop.now())
    run_job(workshop.runtime, together[0])
    with workshop.database.write() as session:
        for job_id in alone:
            jobs.retry(session, job_id, workshop.now())
    workshop.searcher._held = replace(workshop.searcher._held, batch=1)
    for one, other in zip(together, alone, strict=True):
        run_job(workshop.runtime, other)
        results = [workshop.job(job_id).result for job_id in (one, other)]
        assert results[0]
        assert results[1]
        assert results[0]["results"] == results[1]["results"]
    assert calls == [3, 1, 1, 1]


def test_questions_of_all_kinds_wait_together(workshop: Workshop, calls: list[int]) -> None:
    photo = {"photo": stored(workshop, jpeg(21))}
    waiting = [
        *asked(workshop, 20),
        workshop.accept(JobType.EMBEDDING, photo),
        workshop.accept(JobType.PREDICTION, {**photo, "top": 3}),
    ]
    run_job(workshop.runtime, waiting[0])
    assert calls == [2]
    assert statuses(workshop, waiting) == [JobStatus.SUCCEEDED] * 3


def test_what_can_not_be_answered_fails_alone(workshop: Workshop, calls: list[int]) -> None:
    good = asked(workshop, 11)
    broken = workshop.runtime.store.put(b"not a photo at all")
    bad = [
        workshop.accept(JobType.SEARCH, {"photo": broken, "limit": 2}),
        workshop.accept(JobType.SEARCH, {"listing_id": str(uuid4()), "limit": 2}),
        workshop.accept(JobType.SEARCH, {"photo": stored(workshop, grey()), "limit": 2}),
    ]
    run_job(workshop.runtime, good[0])
    assert calls == [2]
    assert statuses(workshop, good) == [JobStatus.SUCCEEDED]
    assert [workshop.job(job_id).error_code for job_id in bad] == [
        "unsupported_photo",
        "not_found",
        "invalid_photo",
    ]


def test_a_photo_that_breaks_the_network_fails_alone(
    workshop: Workshop, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = workshop.encoder.embed

    def breaking(photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        if any(photo.size == (31, 33) for photo in photos):
            raise RuntimeError("a kernel gave up")
        return embed(photos)

    monkeypatch.setattr(workshop.encoder, "embed", breaking)
    poison = workshop.accept(
        JobType.SEARCH, {"photo": stored(workshop, jpeg(9, (31, 33))), "limit": 2}
    )
    waiting = asked(workshop, 11, 12)
    run_job(workshop.runtime, waiting[0])
    assert statuses(workshop, waiting) == [JobStatus.SUCCEEDED] * 2
    assert workshop.job(poison).status is JobStatus.QUEUED
    assert calls == [1, 1]


def test_what_may_have_ended_a_worker_is_tried_alone(workshop: Workshop, calls: list[int]) -> None:
    waiting = asked(workshop, 11, 12, 13)
    with workshop.database.write() as session:
        # Its first attempt was never heard of again.
        assert jobs.claim(session, waiting[0], workshop.now() - 2 * LEASE, LEASE)
        assert jobs.release_expired(session, workshop.now(), 3) == 1
    run_job(workshop.runtime, waiting[1])
    assert calls == [2]
    assert workshop.job(waiting[0]).status is JobStatus.QUEUED
    waiting += asked(workshop, 14)
    run_job(workshop.runtime, waiting[0])
    assert calls == [2, 1]
    assert workshop.job(waiting[3]).status is JobStatus.QUEUED


def test_photos_of_listings_are_not_embedded_with_questions(
    workshop: Workshop, calls: list[int]
) -> None:
    _, photo_ids = workshop.list_photos(jpeg(31))
    embed_job = workshop.accept(JobType.EMBED, {"photo_ids": photo_ids})
    run_job(workshop.runtime, asked(workshop, 11)[0])
    assert calls == [1]
    assert workshop.job(embed_job).status is JobStatus.QUEUED


def test_the_oldest_come_first(workshop: Workshop, calls: list[int]) -> None:
    waiting = asked(workshop, 11, 12, 13, 14, 15, 16)
    with workshop.database.write() as session:
        for place, job_id in enumerate(waiting):
            later = workshop.now() + place * LEASE
            # However often it was published again meanwhile.
            published = workshop.now() - place * LEASE
            values = {"created_at": later, "publish_after": published}
            session.execute(update(Job).where(Job.id == job_id).values(values))
    run_job(workshop.runtime, waiting[5])
    assert calls == [4]
    done = [workshop.job(job_id).status is JobStatus.SUCCEEDED for job_id in waiting]
    assert done == [True, True, True, False, False, True]


def test_what_somebody_retries_is_tried_alone(workshop: Workshop, calls: list[int]) -> None:
    waiting = asked(workshop, 11, 12)
    with workshop.database.write() as session:
        owned = jobs.claim(session, waiting[0], workshop.now(), LEASE)
        assert owned
        jobs.fail(session, owned, workshop.now(), code="attempts_exhausted", detail="It died.")
        jobs.retry(session, waiting[0], workshop.now())
    run_job(workshop.runtime, waiting[0])
    assert calls == [1]
    assert workshop.job(waiting[1]).status is JobStatus.QUEUED


def test_a_listing_of_many_photos_keeps_nobody_waiting(
    workshop: Workshop, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "MAX_PREPARED", 2)
    waiting = asked(workshop, 11, 12, 13)
    run_job(workshop.runtime, waiting[0])
    assert sorted(calls) == [1, 2]
    assert statuses(workshop, waiting) == [JobStatus.SUCCEEDED] * 3


def test_every_way_of_asking_is_prepared(workshop: Workshop, calls: list[int]) -> None:
    photos = [stored(workshop, jpeg(seed)) for seed in (11, 12, 13)]
    whole = {"positive": [photos[0]], "negative": [photos[1]], "limit": 2}
    part = {**whole, "region": {"x": 0, "y": 0, "w": 0.5, "h": 0.5}}
    old = {"photo": photos[2], "limit": 2}
    waiting = [workshop.accept(JobType.SEARCH, payload) for payload in (whole, part, old)]
    run_job(workshop.runtime, waiting[0])
    # Two whole photos of the first, the third one, and the first one's part.
    assert calls == [4]
    assert statuses(workshop, waiting) == [JobStatus.SUCCEEDED] * 3
    whole_result, part_result = (workshop.job(job_id).result for job_id in waiting[:2])
    assert whole_result
    assert part_result
    assert whole_result["results"] != part_result["results"]
