"""Duplicates are asked for by admins, and read as a job."""

from collections.abc import Callable

from fastapi.testclient import TestClient

from db.jobs import attempts
from db.session import Database
from models.domain.job_results.duplicates import DuplicatesResult
from models.domain.types import JobType, Scope
from tests.support.clock import Clock
from tests.support.embedding import claim_queued
from tests.support.http import assert_problem

Key = Callable[..., dict[str, str]]

NOTHING_FOUND = DuplicatesResult(
    encoder="hog-1a2b3c4d",
    generation=None,
    exact=True,
    photos=3,
    unreadable=0,
    clusters_total={},
    clusters=(),
)


def test_only_admins_ask(client: TestClient, key: Key) -> None:
    assert_problem(client.post("/v1/admin/duplicates"), 401, "unauthenticated")
    writer = key(Scope.WRITE)
    assert_problem(client.post("/v1/admin/duplicates", headers=writer), 403, "forbidden")


def test_they_are_a_job(client: TestClient, key: Key, database: Database, clock: Clock) -> None:
    admin = key(Scope.ADMIN)
    accepted = client.post("/v1/admin/duplicates", headers=admin)
    assert accepted.status_code == 202
    assert (accepted.json()["type"], accepted.json()["status"]) == ("duplicates", "queued")
    with database.write() as session:
        (claim,) = claim_queued(session, JobType.DUPLICATES, clock())
        attempts.finish(session, claim, clock(), result=NOTHING_FOUND, done=3)
    read = client.get(accepted.headers["location"], headers=admin).json()
    assert (read["status"], read["result"], read["progress"]["done"]) == (
        "succeeded",
        NOTHING_FOUND.to_json(),
        3,
    )
