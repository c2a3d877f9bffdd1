"""Entries of the audit log: begun, ended, read newest first, pruned oldest first."""

from datetime import timedelta

from db.access.audit_log import DONE, begin_entry, end_entry, list_entries, prune_entries
from db.session import Database
from models.domain.types import AuditSource
from tests.support.clock import Clock


def test_an_entry_has_no_result_until_it_has_ended(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        first = begin_entry(session, AuditSource.API, "ops", "POST /v1/x", {"id": 3}, clock())
        second = begin_entry(session, AuditSource.COMMAND, "a" * 300, "keys create", {}, clock())
    clock.advance(seconds=5)
    with any_database.write() as session:
        end_entry(session, first, DONE, clock())
    with any_database.read() as session:
        begun, ended = list_entries(session, 10)
        assert (begun.id, begun.result, begun.ended_at) == (second, None, None)
        assert begun.actor == "a" * 200
        assert (ended.source, ended.actor, ended.action) == (AuditSource.API, "ops", "POST /v1/x")
        assert (ended.details, ended.result, ended.ended_at) == ({"id": 3}, DONE, clock())


def test_pages_and_pruning_leave_nothing_out(any_database: Database, clock: Clock) -> None:
    with any_database.write() as session:
        for _ in range(10):
            begin_entry(session, AuditSource.API, "ops", "POST /v1/x", {}, clock())
            clock.advance(hours=1)
    with any_database.read() as session:
        ids = [entry.id for entry in list_entries(session, 100)]
        first = [entry.id for entry in list_entries(session, 4)]
        assert first == ids[:4]
        assert [entry.id for entry in list_entries(session, 100, before=first[-1])] == ids[4:]
        since = clock() - timedelta(hours=3)
        assert [entry.id for entry in list_entries(session, 100, since=since)] == ids[:3]
    pruned: list[int] = []
    while not pruned or pruned[-1] == 3:
        with any_database.write() as session:
            pruned.append(prune_entries(session, clock() - timedelta(hours=2), 3))
    assert pruned == [3, 3, 2]
    with any_database.write() as session:
        assert [entry.id for entry in list_entries(session, 100)] == ids[:2]
        # Ended after it was pruned: nothing comes back.
        end_entry(session, ids[-1], DONE, clock())
        assert [entry.id for entry in list_entries(session, 100)] == ids[:2]
