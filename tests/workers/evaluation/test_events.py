import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from db.events.store import NewEvent
from db.session import Database
from models.domain.errors import InvalidInput
from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.events import KINDS
from tests.support.events import add_listings, store
from tests.support.replayed_events import bare_catalogue
from workers.evaluation.catalogue import StoredCatalogue
from workers.evaluation.events import ReadEvents, events_of_file, stored_events

NOW = datetime(2030, 6, 1, tzinfo=UTC)
LISTINGS = 4

HEAD = "event_id,user,type,listing_id,at"


def catalogue(names: Sequence[str] | None = None) -> StoredCatalogue:
    """The listings of `add_listings`, but the first: rows are two numbers less."""
    return bare_catalogue(LISTINGS - 1, names, first=2)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., ReadEvents]:
    def read(text: str, names: Sequence[str] | None = None) -> ReadEvents:
        path = tmp_path / "events"
        path.write_text(text, encoding="utf-8")
        return events_of_file(path, catalogue(names))

    return read


def told(read: ReadEvents) -> list[tuple[int, int, str, int]]:
    events = read.events
    return [
        (user, listing, KINDS[kind].value, at)
        for user, listing, kind, at in zip(
            events.users.tolist(),
            events.listings.tolist(),
            events.kinds.tolist(),
            events.at.tolist(),
            strict=True,
        )
    ]


def test_a_file_is_read_as_what_it_says(read: Callable[..., ReadEvents]) -> None:
    found = read(
        f"{HEAD},search_id,position,other\n"
        f"e1,bob,purchased,{UUID(int=3)},1970-01-02T00:00:00Z,,,x\n"
        f"e2,ann,viewed,{UUID(int=2)},1970-01-01T01:00:00.250+01:00,,7,\n"
        f"e3,bob,hidden,{UUID(int=4)},1970-01-03,,,\n"
    )
    assert told(found) == [
        (0, 0, "viewed", 250),
        (1, 1, "purchased", 86_400_000),
        (1, 2, "hidden", 2 * 86_400_000),
    ]
    assert (found.unknown, found.invalid, found.repeated) == (0, 0, 0)


def test_lines_of_json_are_read_as_well(read: Callable[..., ReadEvents]) -> None:
    first = {"listing_id": str(UUID(int=2)), "type": "saved", "at": "1970-01-01T00:00:01Z"}
    second = {"type": "viewed", "at": "1970-01-01T00:00:02Z", "listing_id": str(UUID(int=3))}
    lines = [{"user": "7", "event_id": "1", "position": 3, **first}, {**second, "user": "7"}]
    found = read("\n".join(json.dumps(line) for line in lines))
    assert told(found) == [(0, 0, "saved", 1000), (0, 1, "viewed", 2000)]


def test_names_and_delimiters_are_those_of_any_table(read: Callable[..., ReadEvents]) -> None:
    found = read(f'At;"User";Type;Listing_ID;more\n1970-01-02;ann;Saved;{UUID(int=2)};1;2\n'
                 f'1970-01-03;ann; SAVED ; {UUID(int=3)};x\n')  # fmt: skip
    assert told(found) == [(0, 1, "saved", 2 * 86_400_000)]
    assert found.invalid == 1


def test_ids_in_json_may_be_numbers_and_what_is_no_object_is_counted(
    read: Callable[..., ReadEvents],
) -> None:
    event = '{"user": %s, "type": "saved", "listing_id": %s, "at": "1970-01-01"}'
    found = read(
        "\n".join([event % (7, 12), "", "{", "[1]", event % ('"7"', '"12"')]), ["12", "a", "b"]
    )
    assert [one[:2] for one in told(found)] == [(0, 0), (0, 0)]
    assert found.invalid == 2


def test_a_listing_of_a_feed_may_be_named_by_its_id(read: Callable[..., ReadEvents]) -> None:
    found = read(f"{HEAD}\n1,ann,saved,{UUID(int=3)},1970-01-01\n", ["x", "y", "z"])
    assert [one[1] for one in told(found)] == [1]


def test_what_can_not_be_used_is_counted(read: Callable[..., ReadEvents]) -> None:
    known = f"{UUID(int=2)}"
    found = read(
        f"{HEAD}\n"
        f"1,ann,saved,{known},1970-01-01\n"
        f"1,bob,saved,{known},1970-01-02\n"
        f",ann,viewed,{known},1970-01-03\n"
        f",ann,viewed,{known},1970-01-04\n"
        f"2,ann,saved,{UUID(int=1)},1970-01-01\n"
        f"3,ann,bought,{known},1970-01-01\n"
        f"4,ann,saved,{known},yesterday\n"
        f"5,,saved,{known},1970-01-01\n"
        f"6,ann,saved,,1970-01-01\n"
    )
    assert [one[2] for one in told(found)] == ["saved", "viewed", "viewed"]
    assert (found.unknown, found.invalid, found.repeated) == (2, 3, 1)


def test_listings_may_be_named_as_a_feed_does(read: Callable[..., ReadEvents]) -> None:
    found = read(
        f"{HEAD}\n1,ann,saved,0012,1970-01-01\n2,ann,saved,12,1970-01-02\n", ["12", "a", "0012"]
    )
    assert [one[1] for one in told(found)] == [2, 0]


def test_ids_may_be_spelt_in_capitals(tmp_path: Path) -> None:
    listing = str(UUID(int=0xABC)).upper()
    (tmp_path / "events").write_text(f"{HEAD}\n1,ann,saved,{listing},1970-01-01\n")
    found = events_of_file(tmp_path / "events", bare_catalogue(1, first=0xABC))
    assert [one[1] for one in told(found)] == [0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,type,at\nann,saved,1970-01-01\n", "no column listing_id"),
        ("", "no column user, type, listing_id, at"),
        ("\xff\xfe", "no column"),
    ],
)
def test_what_is_no_file_of_events_is_said_in_a_line(
    read: Callable[..., ReadEvents], text: str, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        read(text)
    assert "\n" not in str(refused.value)


def test_stored_events_are_those_of_the_file(any_database: Database, tmp_path: Path) -> None:
    add_listings(any_database, LISTINGS, NOW)
    rng = np.random.default_rng(0)
    kinds = list(EventKind)
    events = [
        NewEvent(
            str(number),
            f"user {rng.integers(5)}",
            kinds[rng.integers(len(kinds))],
            UUID(int=int(rng.integers(1, LISTINGS + 1))),
            NOW - timedelta(seconds=int(rng.integers(9)) + 0.25),
        )
        for number in range(60)
    ]
    store(any_database, events, NOW)
    with any_database.read() as session:
        stored = stored_events(session, catalogue())
    path = tmp_path / "events.csv"
    lines = [
        f"{one.event_id},{one.user},{one.kind.value},{one.listing_id},{one.at.isoformat()}"
        for one in events
    ]
    path.write_text("\n".join([HEAD, *lines]))
    of_file = events_of_file(path, catalogue())
    assert stored.unknown == of_file.unknown == sum(one.listing_id.int == 1 for one in events)
    assert len(stored.events) == 60 - stored.unknown
    # Users are numbered by what they are known by, which differs.
    pairs = {(a[0], b[0]) for a, b in zip(_by_rest(stored), _by_rest(of_file), strict=True)}
    assert len(pairs) >= 5
    assert [one[1:] for one in _by_rest(stored)] == [one[1:] for one in _by_rest(of_file)]
    by_user = [
        sorted(np.unique(read.events.users, return_counts=True)[1].tolist())
        for read in (stored, of_file)
    ]
    assert by_user[0] == by_user[1]


def _by_rest(read: ReadEvents) -> list[tuple[int, int, str, int]]:
    return sorted(told(read), key=lambda one: (*one[1:], one[0]))


def test_no_events_are_stored(database: Database) -> None:
    add_listings(database, LISTINGS, NOW)
    with database.read() as session:
        assert len(stored_events(session, catalogue()).events) == 0
