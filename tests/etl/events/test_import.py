"""`marketlens events import`: each event once, and each row that is none with its reason."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from typer.testing import CliRunner

from db.catalogue.listings import ListingData, upsert_listings
from db.events.tables import Event
from db.schema_migration import upgrade
from db.session import Database
from etl.clean.rejects import Rejects
from etl.clean.uuids import Ids
from etl.events.importing import EventImport
from etl.events.reading import COLUMNS, read_events
from marketlens import app
from models.domain.clock import utc_now
from models.domain.errors import InvalidFeed
from models.domain.recommendations.events import EventKind
from tests.support.commands import invoke, last_line
from tests.support.event_model import assert_is_as_counted, rows_of
from tests.support.events import add_listings

AT: Final = "2030-01-02T03:04:05Z"


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "var"
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(folder))
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(f"MARKETLENS_{name}", raising=False)
    return folder


@pytest.fixture
def here(data_dir: Path) -> Database:
    """The database that commands find, with three listings."""
    data_dir.mkdir()
    url = f"sqlite:///{data_dir / 'marketlens.db'}"
    upgrade(url)
    database = Database(url)
    add_listings(database, 3, utc_now())
    return database


def row(event_id: str, listing: int = 1, **changes: object) -> dict[str, object]:
    return {
        "event_id": event_id,
        "user": "ann",
        "type": "viewed",
        "listing_id": str(UUID(int=listing)),
        "at": utc_now().isoformat(),
        **changes,
    }


def as_csv(rows: list[dict[str, object]], delimiter: str = ",") -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for one in rows for name in one))
    writer = csv.DictWriter(text, columns, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_ndjson(rows: list[dict[str, object]]) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in rows)


WRITERS: Final[dict[str, Callable[[list[dict[str, object]]], str]]] = {
    "csv": as_csv,
    "semicolons": lambda rows: as_csv(rows, ";"),
    "tabs": lambda rows: as_csv(rows, "\t"),
    "marked": lambda rows: "\ufeff" + as_csv(rows),
    "ndjson": as_ndjson,
    "blank lines": lambda rows: "\n" + as_ndjson(rows).replace("\n", "\r\n\r\n"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_table_is_imported_once(tmp_path: Path, here: Database, kind: str) -> None:
    rows = [row(f"e{n}", n % 3 + 1, user=f"user {n % 2}", position=n) for n in range(5)]
    file = tmp_path / "events"
    file.write_text(WRITERS[kind]([*rows, rows[0]]), encoding="utf-8")
    first = last_line(invoke("events", "import", file, "--json"))
    again = last_line(invoke("events", "import", file, "--json"))
    assert (first["read"], first["stored"], first["duplicates"]) == (6, 5, 1)
    assert (again["read"], again["stored"], again["duplicates"]) == (6, 0, 6)
    assert [stored.listing for stored in rows_of(here)] == [1, 2, 3, 1, 2]
    assert_is_as_counted(here)


def test_rows_without_an_id_are_events_by_what_they_say(tmp_path: Path, here: Database) -> None:
    rows = [row("", 1), row("", 2), row("", 1, type="saved"), row("", 1, user="bob")]
    # Other spellings of the same.
    again = {**rows[0], "listing_id": str(rows[0]["listing_id"]).upper()}
    for one in rows:
        del one["event_id"]
    del again["event_id"]
    at = datetime.fromisoformat(str(again["at"]))
    again["at"] = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    file = tmp_path / "events.csv"
    file.write_text(as_csv([*rows, again]))
    told = last_line(invoke("events", "import", file, "--json"))
    assert (told["stored"], told["duplicates"]) == (4, 1)
    assert len(rows_of(here)) == 4


def test_standard_input_is_read(here: Database, data_dir: Path) -> None:
    result = CliRunner().invoke(app, ["events", "import", "-"], input=as_ndjson([row("a")]))
    assert result.exit_code == 0, result.output
    assert "1 stored" in result.stdout
    assert len(rows_of(here)) == 1
    del data_dir


def test_each_row_that_is_no_event_is_listed_with_its_reason(
    tmp_path: Path, here: Database, data_dir: Path
) -> None:
    now = utc_now()
    good = row("good")
    wrong: list[tuple[dict[str, object], str]] = [
        (row("a", 9), "is no listing here"),
        (row("b", at=(now + timedelta(days=2)).isoformat()), "is in the future"),
        (row("c", at=(now - timedelta(days=181)).isoformat()), "is older than events are kept"),
        (row("d", type="liked"), "is none of impression"),
        (row("e", user=""), "is not stated"),
        (row("f", user="u" * 201), "has more than 200 characters"),
        (row("g", listing_id="sku-7"), "is no UUID"),
        (row("h", at="2030-01-02"), "has no time zone"),
        (row("i", at="yesterday"), "is no time"),
        (row("j", position="-1"), "is no whole number"),
        (row("k", position="1000001"), "is over 1,000,000"),
        (row("l", search_id="7"), "is no UUID"),
        (row("m\0"), "has characters that no text has"),
    ]
    lines = as_ndjson([one for one, _ in wrong]) + '{"user": \n[1]\n' + as_ndjson([good])
    file = tmp_path / "events.ndjson"
    file.write_text(lines)
    result = invoke("events", "import", file, "--json")
    assert result.exit_code == 1
    told = last_line(result)
    assert (told["stored"], told["rejected"]) == (1, len(wrong) + 2)
    with (data_dir / "reports" / "events-rejects.csv").open(newline="") as written:
        rejects = sorted(csv.DictReader(written), key=lambda one: int(one["row"]))
    reasons = [*(reason for _, reason in wrong), "is not valid JSON", "is no JSON object"]
    assert [int(one["row"]) for one in rejects] == list(range(1, len(reasons) + 1))
    for reject, reason in zip(rejects, reasons, strict=True):
        assert reject["reason"].startswith(reason)
        assert "ann" not in reject.values()
    assert len(rows_of(here)) == 1


def test_a_line_that_is_broken_costs_itself_only(tmp_path: Path, here: Database) -> None:
    good = as_csv([row("a"), row("b", 2), row("c", 3)]).splitlines()
    good.insert(2, 'd,"ann,viewed')
    good.insert(4, "e,ann")
    file = tmp_path / "events.csv"
    content = "\n".join(good).encode() + b"\nf,\xff,viewed,x,y\n" + b"x" * 200_001 + b"\n"
    file.write_bytes(content + as_csv([row("g")]).splitlines()[1].encode())
    told = last_line(invoke("events", "import", file, "--json"))
    assert (told["stored"], told["rejected"]) == (4, 4)
    assert len(rows_of(here)) == 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"[{}]", "is a JSON array"),
        (b"PK\x03\x04", "is an archive"),
        (b"\x1f\x8b", "is compressed by gzip"),
        (b"\xff\xfee\0", "is in UTF-16"),
        (b"user,type,at\n", "has no column listing_id"),
        (b"user,type,listing,at\n", "Is it 'listing'?"),
        (b"user,user,type,listing_id,at\n", "has the column user twice"),
    ],
)
def test_what_is_no_table_of_events_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(InvalidFeed, match=sentence.replace("?", r"\?")):
        read_events(io.BytesIO(content), "events")


def test_other_columns_are_not_read_and_that_is_said(tmp_path: Path, here: Database) -> None:
    file = tmp_path / "events.csv"
    file.write_text(as_csv([row("a", colour="red")]))
    result = invoke("events", "import", file)
    assert "The column 'colour' is not read." in result.stderr
    assert len(rows_of(here)) == 1


def test_a_feed_s_own_ids_are_those_that_it_was_seeded_with(tmp_path: Path, here: Database) -> None:
    with here.write() as session:
        session.execute(delete(Event))
    add = UUID(Ids("shop")("sku 7"))
    with here.write() as session:
        upsert_listings(session, [ListingData(add, "Thing", external_id="sku 7")], utc_now())
    file = tmp_path / "events.csv"
    file.write_text(as_csv([row("a", listing_id=" sku  7 "), row("b", 1)]))
    told = last_line(invoke("events", "import", file, "--feed", "shop", "--json"))
    assert told["stored"] == 2
    assert [stored.listing for stored in rows_of(here)] == [4, 1]


def test_a_dry_run_stores_nothing(tmp_path: Path, here: Database, data_dir: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(as_csv([row("a"), row("b", type="liked")]))
    told = last_line(invoke("events", "import", file, "--dry-run", "--json"))
    assert (told["read"], told["rejected"], told["stored"]) == (2, 1, 0)
    assert rows_of(here) == []
    assert not (data_dir / "reports").exists()


FIELDS = st.fixed_dictionaries(
    {
        "event_id": st.one_of(st.none(), st.text(max_size=4), st.integers()),
        "user": st.one_of(st.text(max_size=3), st.integers(), st.none(), st.lists(st.text())),
        "type": st.one_of(st.sampled_from([*EventKind, "VIEWED", "x"]), st.booleans()),
        "listing_id": st.one_of(
            st.integers(1, 4).map(lambda n: str(UUID(int=n))), st.text(max_size=3)
        ),
        "at": st.one_of(
            st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
            st.sampled_from([AT, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]),
            st.floats(),
        ),
        "position": st.one_of(st.none(), st.integers(), st.floats(), st.booleans()),
    }
)


def test_whatever_is_in_a_row_it_is_stored_or_rejected(any_database: Database) -> None:
    """And what is stored is what plain Python makes of the same rows."""
    add_listings(any_database, 3, utc_now())
    now = datetime(2030, 6, 1, tzinfo=UTC)

    @settings(
        max_examples=40,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(FIELDS, min_size=1, max_size=8))
    def check(rows: list[dict[str, Any]]) -> None:
        with any_database.write() as session:
            session.execute(delete(Event))
        table = read_events(io.BytesIO(as_ndjson(rows).encode()), "events")
        with Rejects(None) as rejects:
            importing = EventImport(
                any_database, rejects, "events", Ids(), timedelta(days=99_999), lambda: now
            )
            told = importing.run(table.rows, print)
        assert told.read == len(rows)
        assert told.stored + told.duplicates + told.rejected == len(rows)
        assert told.rejected == rejects.reasons.total()
        assert len(rows_of(any_database)) == told.stored

    check()


@given(st.lists(st.tuples(*[st.text(max_size=5)] * len(COLUMNS)), max_size=5))
def test_any_text_in_csv_is_a_row(rows: list[tuple[str, ...]]) -> None:
    """In one line, for a text with a line break in it is none."""
    lines: list[dict[str, object]] = [
        {name: "".join(cell.splitlines()) for name, cell in zip(COLUMNS, row, strict=True)}
        for row in rows
    ]
    text = as_csv([dict.fromkeys(COLUMNS, "x"), *lines])
    table = read_events(io.BytesIO(text.encode()), "events")
    read = [one.fields for one in table.rows][1:]
    assert read == [{name: cell for name, cell in one.items() if cell} for one in lines]
