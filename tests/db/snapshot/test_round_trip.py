"""A snapshot has every row as it was, whichever database it is of and is restored to."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from db.session import Database
from db.snapshot.load import holds_something, is_restored, load_snapshot
from db.snapshot.read import is_sound
from db.snapshot.write import write_snapshot
from tests.support.any_rows import fill, rows_in

# PostgreSQL stores neither NUL nor lone surrogates; the product refuses both.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)

Databases = Callable[[str], str]
"""Makes an empty, migrated database of this kind; gives its URL."""


def silent(*_: object) -> None:
    """Draws no bar."""


@pytest.fixture
def databases(tmp_path: Path, request: pytest.FixtureRequest) -> Databases:
    made = 0

    def make(kind: str) -> str:
        nonlocal made
        made += 1
        if kind == "sqlite":
            template = request.getfixturevalue("migrated_sqlite")
            (tmp_path / f"{made}.db").write_bytes(template.read_bytes())
            return f"sqlite:///{tmp_path}/{made}.db"
        url: str = request.getfixturevalue("new_postgres_url")()
        return url

    return make


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
@given(text=TEXTS, number=st.integers(1, 10**11))
@example(text="Ünïcode 'quoted\" \\N \t\r\n {} \x7f \ufeff ", number=99_999_999_999)
@example(text="12", number=1)
@settings(
    max_examples=1, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_row_is_as_it_was(
    databases: Databases, tmp_path: Path, source: str, target: str, text: str, number: int
) -> None:
    into, file = databases(target), tmp_path / "snapshot.sqlite"
    file.unlink(missing_ok=True)
    with closing(Database(databases(source))) as database:
        fill(database, text, number)
        expected = rows_in(database)
        url = database.engine.url.render_as_string(hide_password=False)
    written = write_snapshot(url, file, silent)
    assert is_sound(file)
    assert not holds_something(into)
    load_snapshot(
        file,
        kind=written.kind,
        revision=written.revision,
        into=into,
        on_progress=silent,
    )
    with closing(Database(into)) as database:
        assert rows_in(database) == expected
    assert is_restored(into, file)
