"""One encoder is active; others are kept up to date, or are not."""

from collections.abc import Callable
from threading import Barrier, Thread
from uuid import uuid4

import numpy as np
import pytest

from db.catalogue.listings import delete_listing
from db.jobs import accepting
from db.session import Database
from db.vectors import generations
from db.vectors.embeddings import add_embeddings, photos_to_queue
from db.vectors.encoders import (
    activate_encoder,
    activate_initial_encoder,
    active_encoder,
    all_encoders,
    count_lacking,
    encoder_named,
    follow_encoder,
    followed_encoders,
    previous_encoder,
    register_encoder,
    retire_encoder,
    summarise_encoders,
)
from models.domain.errors import Conflict, NotFound
from models.domain.job_payloads import BatchPayload, ReindexPayload
from models.domain.types import EncoderSpec, EncoderStatus, Precision
from tests.support.catalogue import add_listing, numbered_photos
from tests.support.clock import Clock

FIRST = EncoderSpec("hog", 4, "a" * 64)
SECOND = EncoderSpec("resnet50", 4, "b" * 64, Precision.INT8)
VECTOR = np.array([0, 1, 0, 0], np.float32)


def list_photos(database: Database, *numbers: int) -> list[int]:
    """A listing with these photos; gives their ids."""
    with database.write() as session:
        return add_listing(session, numbered_photos(*numbers))[1]


def register(database: Database, spec: EncoderSpec) -> int:
    with database.write() as session:
        return register_encoder(session, spec, Clock()())


def embed(database: Database, encoder_id: int, photo_ids: list[int]) -> None:
    with database.write() as session:
        add_embeddings(session, encoder_id, dict.fromkeys(photo_ids, VECTOR))


def index(database: Database, encoder_id: int) -> int:
    """A live generation, without any files."""
    now = Clock()()
    with database.write() as session:
        job = accepting.accept(session, BatchPayload(), job_id=uuid4(), now=now)
        generation = generations.begin(session, encoder_id, job.id, now)
        return generations.activate(session, generation.id, now, rows=0).id


def statuses(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row.name: row.status.value for row in all_encoders(session)}


@pytest.fixture
def settled(any_database: Database, clock: Clock) -> tuple[Database, int, int]:
    """Two photos embedded by the active encoder, and another encoder that is only registered."""
    with any_database.write() as session:
        first = activate_initial_encoder(session, FIRST, clock()).id
    embed(any_database, first, list_photos(any_database, 1, 2))
    index(any_database, first)
    return any_database, first, register(any_database, SECOND)


def test_the_settings_decide_until_something_is_embedded(
    any_database: Database, clock: Clock
) -> None:
    with any_database.write() as session:
        assert active_encoder(session) is None
        assert activate_initial_encoder(session, FIRST, clock()).spec == FIRST
        assert activate_initial_encoder(session, SECOND, clock()).spec == SECOND
        # Nothing was ever found with the first: it is none to roll back to.
        assert [row.activated_at for row in all_encoders(session) if row.spec == FIRST] == [None]
    assert statuses(any_database) == {"hog": "registered", "resnet50": "active"}
    second = register(any_database, SECOND)
    embed(any_database, second, list_photos(any_database, 1))
    with any_database.write() as session:
        assert activate_initial_encoder(session, FIRST, clock()).spec == SECOND
    assert statuses(any_database) == {"hog": "registered", "resnet50": "active"}


def test_a_spec_comes_back_as_it_was_registered(any_database: Database) -> None:
    ids = [register(any_database, spec) for spec in (FIRST, SECOND, SECOND)]
    assert ids[1] == ids[2]
    with any_database.read() as session:
        assert [row.spec for row in all_encoders(session)] == [FIRST, SECOND]


def test_only_what_is_complete_can_be_activated(
    settled: tuple[Database, int, int], clock: Clock
) -> None:
    database, first, second = settled

    def activate() -> None:
        with database.write() as session:
            activate_encoder(session, second, clock())

    with pytest.raises(Conflict, match="2 photos are not embedded by resnet50-int8-bbbbbbbb"):
        activate()
    # One more that neither has embedded: it can't be found now, so nothing is lost by changing.
    new, one, two = *list_photos(database, 3), *list_photos(database, 1, 2)
    embed(database, second, [one])
    with pytest.raises(Conflict, match="1 photos are not"):
        activate()
    embed(database, second, [two])
    with pytest.raises(Conflict, match="no index"):
        activate()
    index(database, second)
    activate()
    assert statuses(database) == {"hog": "followed", "resnet50": "active"}
    with database.read() as session:
        assert set(photos_to_queue(session)) == {new}
        assert [row.id for row in followed_encoders(session)] == [second, first]


def test_photos_that_nobody_shows_need_no_vector(settled: tuple[Database, int, int]) -> None:
    database, first, second = settled
    with database.read() as session:
        assert count_lacking(session, second, first) == 2
    with database.write() as session:
        listing_id, photo_ids = add_listing(session, numbered_photos(9))
        delete_listing(session, listing_id, Clock()())
    embed(database, first, photo_ids)
    with database.read() as session:
        assert count_lacking(session, second, first) == 2


def test_force_activates_whatever_is_lacking(
    settled: tuple[Database, int, int], clock: Clock
) -> None:
    database, _, second = settled
    with database.write() as session:
        activate_encoder(session, second, clock(), force=True)
    assert statuses(database) == {"hog": "followed", "resnet50": "active"}
    with database.read() as session:
        assert len(photos_to_queue(session)) == 2


def test_the_way_back_is_to_the_encoder_that_was_active_before(
    settled: tuple[Database, int, int], clock: Clock
) -> None:
    database, first, second = settled
    third = register(database, EncoderSpec("third", 4, "c" * 64))
    with database.write() as session:
        assert previous_encoder(session) is None
        follow_encoder(session, third)
        # Never active, it is nothing to go back to.
        assert previous_encoder(session) is None
    for encoder_id in (second, third):
        clock.advance(seconds=1)
        with database.write() as session:
            activate_encoder(session, encoder_id, clock(), force=True)
    with database.write() as session:
        previous = previous_encoder(session)
        assert previous
        assert previous.id == second
        retire_encoder(session, second)
        previous = previous_encoder(session)
        assert previous
        assert previous.id == first
        # Up to date and indexed, it needs no force.
        activate_encoder(session, first, clock())
    assert statuses(database) == {"hog": "active", "resnet50": "retired", "third": "followed"}


def test_what_is_active_or_being_indexed_can_not_be_retired(
    settled: tuple[Database, int, int], clock: Clock
) -> None:
    database, first, second = settled
    with pytest.raises(Conflict, match="is active"), database.write() as session:
        retire_encoder(session, first)
    with database.write() as session:
        job = accepting.accept(session, ReindexPayload(), job_id=uuid4(), now=clock())
        generations.begin(session, second, job.id, clock())
    with pytest.raises(Conflict, match="being built"), database.write() as session:
        retire_encoder(session, second)
    assert statuses(database) == {"hog": "active", "resnet50": "registered"}


def test_following_the_active_one_leaves_it_active(
    settled: tuple[Database, int, int], clock: Clock
) -> None:
    database, first, _ = settled
    with database.write() as session:
        follow_encoder(session, first)
        activate_encoder(session, first, clock())
    assert statuses(database)["hog"] == "active"


def at_once(*actions: Callable[[], object]) -> list[Exception]:
    """Do all of these in threads that start together; gives what they raised."""
    start, raised = Barrier(len(actions)), list[Exception]()

    def run(action: Callable[[], object]) -> None:
        start.wait()
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
            raised.append(error)

    threads = [Thread(target=run, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_whoever_chooses_at_once_one_is_active(any_database: Database, clock: Clock) -> None:
    specs = [EncoderSpec(f"encoder{number}", 4, f"{number:064x}") for number in range(4)]

    def adopt(spec: EncoderSpec) -> None:
        with any_database.write() as session:
            activate_initial_encoder(session, spec, clock())

    assert at_once(*[lambda spec=spec: adopt(spec) for spec in specs]) == []
    assert sorted(statuses(any_database).values()) == ["active", *["registered"] * 3]
    embed(any_database, register(any_database, specs[0]), list_photos(any_database, 1))

    def activate(spec: EncoderSpec) -> None:
        with any_database.write() as session:
            encoder_id = register_encoder(session, spec, clock())
            activate_encoder(session, encoder_id, clock(), force=True)

    for _ in range(3):
        assert at_once(*[lambda spec=spec: activate(spec) for spec in specs]) == []
        assert list(statuses(any_database).values()).count("active") == 1


def test_encoders_are_named_by_how_their_label_or_fingerprint_begins(
    any_database: Database,
) -> None:
    for spec in (FIRST, SECOND, EncoderSpec("resnet50", 4, "b" * 63 + "c")):
        register(any_database, spec)
    with any_database.read() as session:
        for reference in ("hog", "hog-aaaa", "aaa", FIRST.label, FIRST.fingerprint):
            assert encoder_named(session, reference).spec == FIRST
        assert encoder_named(session, "resnet50-int8").spec == SECOND
        with pytest.raises(NotFound, match="More than one encoder"):
            encoder_named(session, "resnet50")
        for reference in ("vgg", "", "og"):
            with pytest.raises(NotFound, match="No encoder that is registered"):
                encoder_named(session, reference)


def test_the_summary_counts_photos_that_are_shown(settled: tuple[Database, int, int]) -> None:
    database, first, second = settled
    list_photos(database, 3)
    with database.read() as session:
        summaries = {row.encoder.id: row for row in summarise_encoders(session)}
    assert (summaries[first].embedded, summaries[first].missing) == (2, 1)
    assert summaries[first].generation_id is not None
    assert summaries[first].encoder.status is EncoderStatus.ACTIVE
    assert (summaries[second].embedded, summaries[second].missing) == (0, 3)
    assert summaries[second].generation_id is None
