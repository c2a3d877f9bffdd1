"""What callers see of keys that expire, and what the audit log has of admin calls."""

from collections.abc import Callable
from datetime import timedelta

from fastapi.testclient import TestClient
from sqlalchemy import select

from api.access.key_uses import KeyUses
from db.access.audit_log import DONE
from db.access.tables import AuditEntry
from db.keys import all_keys, create_key, rotate_key
from db.session import Database
from db.statements import table_of
from models.domain.clock import utc_now
from models.domain.types import JobType, Scope
from tests.support.http import UNKNOWN_ID, MakeClient, assert_problem

Key = Callable[..., dict[str, str]]
HOUR = timedelta(hours=1)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def entries(database: Database) -> list[tuple[str, str, str | None]]:
    with database.read() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        return [(row.actor, row.action, row.result) for row in rows]


def test_an_expired_key_is_refused_in_words(make_client: MakeClient, database: Database) -> None:
    client = make_client(host="0.0.0.0")  # noqa: S104 - nothing is bound
    with database.write() as session:
        expired = create_key(session, "a", [Scope.SEARCH], utc_now() - 2 * HOUR, lifetime=HOUR)
        valid = create_key(session, "a", [Scope.SEARCH], utc_now(), lifetime=HOUR)
    refused = client.get("/v1/listings", headers=bearer(expired))
    assert_problem(refused, 401, "key_expired")
    assert "expired" in refused.json()["detail"]
    assert refused.headers["www-authenticate"] == "Bearer"
    assert client.get("/v1/listings", headers=bearer(valid)).status_code == 200
    with database.write() as session:
        rotated = rotate_key(session, "a", utc_now(), timedelta(0))
    assert client.get("/v1/listings", headers=bearer(valid)).status_code == 401
    assert client.get("/v1/listings", headers=bearer(rotated.key)).status_code == 200


def test_the_last_use_is_written_beside_the_calls(
    make_client: MakeClient, database: Database
) -> None:
    client = make_client(host="0.0.0.0")  # noqa: S104 - nothing is bound
    with database.write() as session:
        key = create_key(session, "used", [Scope.SEARCH], utc_now())
        create_key(session, "unused", [Scope.SEARCH], utc_now())
    for _ in range(3):
        assert client.get("/v1/listings", headers=bearer(key)).status_code == 200
    with database.read() as session:
        assert [row.last_used_at for row in all_keys(session)] == [None, None]
    client.__exit__(None, None, None)
    with database.read() as session:
        used = {row.name: row.last_used_at is not None for row in all_keys(session)}
    client.__enter__()
    assert used == {"used": True, "unused": False}


def test_what_could_not_be_written_is_written_later(database: Database) -> None:
    with database.write() as session:
        create_key(session, "used", [Scope.SEARCH], utc_now())
    reached = KeyUses(database, utc_now)
    unreachable = KeyUses(Database("postgresql://nobody@127.0.0.1:1/nothing"), utc_now)
    for uses in (reached, unreachable):
        uses.note(1)
        uses._write()
    assert (reached._used, unreachable._used) == (set(), {1})


def test_admin_calls_are_recorded_with_how_they_ended(
    client: TestClient, database: Database, key: Key
) -> None:
    admin = key(Scope.ADMIN)
    assert client.post("/v1/admin/reindex", headers=admin).status_code == 202
    assert client.post("/v1/admin/reindex", headers=admin).status_code == 409
    assert client.post("/v1/admin/generations/7:activate", headers=admin).status_code == 404
    assert client.post("/v1/admin/generations/x:activate", headers=admin).status_code == 422
    # What reads, and what is refused before it does anything, is not recorded.
    assert client.get("/v1/admin/generations", headers=admin).status_code == 200
    assert client.post("/v1/admin/reindex").status_code == 401
    assert client.post("/v1/admin/reindex", headers=key(Scope.SEARCH)).status_code == 403
    activate = "POST /v1/admin/generations/{generation_id}:activate"
    assert entries(database) == [
        ("test", "POST /v1/admin/reindex", DONE),
        ("test", "POST /v1/admin/reindex", "reindex_running"),
        ("test", activate, "not_found"),
        ("test", activate, "invalid_input"),
    ]


def test_what_is_done_to_jobs_of_admins_is_recorded(client: TestClient, key: Key) -> None:
    admin = key(Scope.ADMIN)
    job_id = client.post("/v1/admin/reindex", headers=admin).json()["id"]
    assert client.post(f"/v1/jobs/{job_id}:cancel").status_code == 401
    assert client.post(f"/v1/jobs/{job_id}:cancel", headers=admin).status_code == 200
    assert client.post(f"/v1/jobs/{UNKNOWN_ID}:cancel", headers=admin).status_code == 404
    listed = client.get("/v1/admin/audit", headers=admin).json()["items"]
    assert [item["action"] for item in listed] == [
        "POST /v1/jobs/{job_id}:cancel",
        "POST /v1/admin/reindex",
    ]
    assert listed[0]["details"] == {"job_id": job_id, "type": JobType.REINDEX}


def test_an_entry_of_a_forgotten_user_does_not_name_them(
    client: TestClient, database: Database, key: Key
) -> None:
    path, action = "/v1/users/buyer-4711", "DELETE /v1/users/{user:path}"
    assert client.delete(path).status_code == 204
    # What needs no key needs no valid one either.
    assert client.delete(path, headers=bearer("mk_unknown")).status_code == 204
    assert client.delete(path, headers=key(Scope.WRITE)).status_code == 204
    assert entries(database) == [(who, action, DONE) for who in ("anonymous", "anonymous", "test")]
    with database.read() as session:
        assert "4711" not in str([vars(row) for row in session.scalars(select(AuditEntry))])


def test_the_log_is_paged_and_only_admins_read_it(client: TestClient, key: Key) -> None:
    admin = key(Scope.ADMIN)
    for _ in range(5):
        client.post("/v1/admin/duplicates", headers=admin)
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = client.get("/v1/admin/audit", headers=admin, params=params).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5
    assert client.get("/v1/admin/audit").status_code == 401
    assert client.get("/v1/admin/audit", headers=key(Scope.WRITE)).status_code == 403


def test_a_call_that_cannot_be_recorded_is_not_made(
    client: TestClient, database: Database, key: Key
) -> None:
    admin = key(Scope.ADMIN)
    with database.write() as session:
        table_of(AuditEntry).drop(session.connection())
    assert client.post("/v1/admin/reindex", headers=admin).status_code == 500
    with database.read() as session:
        assert client.get("/v1/jobs", headers=admin).json()["items"] == []
