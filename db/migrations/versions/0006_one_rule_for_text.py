"""Text is by one rule: rows that are not are written anew, categories that become equal merged.

The rule is a copy of `models.domain.text` as it is with this revision, so that this migration does
the same for ever. A test compares the two: it fails when the living rule is changed, which takes
another migration.
"""

import re
import sys
import unicodedata
from collections.abc import Collection, Mapping
from itertools import chain, groupby
from time import monotonic

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SEPARATOR = " / "
# The limits of a path: names, and characters.
MAX_DEPTH, MAX_PATH = 10, 1_000

ROWS_AT_ONCE = 2_000
SAY_AFTER_S, SAY_EVERY_S = 2.0, 10.0
"""Seconds until progress is told, and until it is told again."""

COLUMNS = ("title", "description", "category_id", "location", "place", "county", "seller")
LISTINGS = sa.table("listings", sa.column("id", sa.Uuid()), *map(sa.column, COLUMNS))
CATEGORIES = sa.table("categories", *map(sa.column, ("id", "path", "name", "parent_id")))
PLACES = sa.table("places", *map(sa.column, ("name", "latitude")))

INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def clean_line(text: str) -> str:
    """A title, a seller, a place: NFC, single spaces, nothing invisible."""
    if not text.isprintable():
        text = INVISIBLE.sub("", text)
    if not text.isascii():
        # Long runs of marks are sorted first: `normalize` takes quadratic time for them.
        text = unicodedata.normalize("NFC", re.sub(r"[^\x00-\x7f]{64,}", _sorted_marks, text))
    return " ".join(text.split())


def clean_text(text: str) -> str:
    """A description: the same line by line, with at most one blank line in a row."""
    lines = "\n".join(map(clean_line, text.splitlines())).strip()
    return re.sub(r"\n{3,}", "\n\n", lines)


def clean_category(text: str) -> str:
    """A path: names are parted by a slash beside a space, or by a greater-than sign."""
    names = [name.strip("/ ") for name in re.split(" /|/ |>", clean_line(text))]
    return SEPARATOR.join(filter(None, names))


def _sorted_marks(run: re.Match[str]) -> str:
    characters = "".join(unicodedata.normalize("NFD", character) for character in run[0])
    runs = groupby(characters, key=lambda character: unicodedata.combining(character) > 0)
    return "".join(
        chain.from_iterable(sorted(marks, key=unicodedata.combining) for _, marks in runs)
    )


def upgrade() -> None:
    connection = op.get_bind()
    lock_writers_out(connection)
    merged = _rewrite_categories(connection)
    rewrite_listings(connection, merged)
    _delete_categories(connection, merged)
    _rewrite_places(connection)


def downgrade() -> None:
    # Rows stay as they are: nothing remembers how they were spelt, and earlier releases read them.
    pass


def lock_writers_out(connection: sa.Connection) -> None:
    """Keep other writers out: what they wrote after it was read here would be written over."""
    if connection.dialect.name == "postgresql":
        tables = "categories, listings, places"
        connection.execute(sa.text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))
    else:
        # SQLite has one lock for all; a statement that writes nothing takes it, too.
        connection.execute(sa.delete(CATEGORIES).where(sa.false()))


def _rewrite_categories(connection: sa.Connection) -> dict[int, int | None]:
    """Spell all paths by the rule; returns what replaces categories whose path another one has.

    A category that has the path already keeps it, else the one with the smallest integer gets it.
    None replaces a category of whose path nothing remains.
    """
    rows = connection.execute(sa.select(CATEGORIES).order_by(CATEGORIES.c.id)).all()
    wanted = {row.id: _within_limits(clean_category(row.path)) for row in rows}
    ids = {row.path: row.id for row in rows if wanted[row.id] == row.path}
    for row in rows:
        if wanted[row.id]:
            ids.setdefault(wanted[row.id], row.id)
    _insert_parents(connection, ids, last=max(wanted, default=0))
    stored = {row.id: (row.path, row.name, row.parent_id) for row in rows}
    one = CATEGORIES.c.id == sa.bindparam("its_id")
    for path, number in ids.items():
        above, _, name = path.rpartition(SEPARATOR)
        if stored.get(number) != (path, name, ids.get(above)):
            values = {"path": path, "name": name, "parent_id": ids.get(above)}
            connection.execute(sa.update(CATEGORIES).where(one).values(values), {"its_id": number})
    replaced = {row.id: ids.get(wanted[row.id]) for row in rows}
    return {number: other for number, other in replaced.items() if number != other}


def _insert_parents(connection: sa.Connection, ids: dict[str, int], last: int) -> None:
    """Add the categories above those of `ids` that are not there, with the next integers."""
    for path in list(ids):
        names = path.split(SEPARATOR)
        for depth in range(1, len(names)):
            above = SEPARATOR.join(names[:depth])
            if above not in ids:
                last += 1
                ids[above] = last
                values = {"id": last, "path": above, "name": names[depth - 1]}
                connection.execute(sa.insert(CATEGORIES).values(values))


def _within_limits(path: str) -> str:
    """The path without its last names as far as it is over the limits: `>` did not part any."""
    names = path.split(SEPARATOR)[:MAX_DEPTH]
    while len(names) > 1 and len(SEPARATOR.join(names)) > MAX_PATH:
        names.pop()
    return SEPARATOR.join(names)


def _delete_categories(connection: sa.Connection, ids: Collection[int]) -> None:
    """Delete categories that no listing has any more, nor one that stays as its parent."""
    if ids:
        one = CATEGORIES.c.id == sa.bindparam("its_id")
        rows = [{"its_id": number} for number in ids]
        # They may be each other's parents.
        connection.execute(sa.update(CATEGORIES).where(one).values(parent_id=None), rows)
        connection.execute(sa.delete(CATEGORIES).where(one), rows)


def rewrite_listings(connection: sa.Connection, merged: Mapping[int, int | None]) -> None:
    """Write the listings that are not by the rule; says how far it is if it takes long."""
    values = {name: sa.bindparam(f"new_{name}") for name in COLUMNS}
    update = sa.update(LISTINGS).where(LISTINGS.c.id == sa.bindparam("its_id")).values(values)
    rows = connection.execute(sa.select(LISTINGS).execution_options(yield_per=ROWS_AT_ONCE))
    done, total, due = 0, None, monotonic() + SAY_AFTER_S
    for part in rows.partitions():
        changed = [new for row in part if (new := _changed(row, merged)) is not None]
        if changed:
            connection.execute(update, changed)
        done += len(part)
        if monotonic() > due:
            # Counted only here: most databases are done before.
            total = total or connection.scalar(sa.select(sa.func.count()).select_from(LISTINGS))
            sys.stderr.write(f"Text by one rule: {done:,} of {total:,} listings.\n")
            due = monotonic() + SAY_EVERY_S


def _changed(row: sa.Row, merged: Mapping[int, int | None]) -> dict[str, object] | None:
    """The new values of a listing, None if all are as they were."""
    location, place, county = row.location, row.place, row.county
    if location is not None and location != clean_line(location):
        location = clean_line(location) or None
        place, county = split_location(location or "")
    new = (
        # A title that shows nothing stays: a listing has to have one.
        clean_line(row.title) or row.title,
        clean_text(row.description),
        merged.get(row.category_id, row.category_id),
        location,
        place,
        county,
        row.seller and (clean_line(row.seller) or None),
    )
    if new == row[1:]:
        return None
    return {"its_id": row.id} | {
        f"new_{name}": value for name, value in zip(COLUMNS, new, strict=True)
    }


def split_location(location: str) -> tuple[str | None, str | None]:
    """Place and county, as `models.domain.limits` has them."""
    parts = [part for part in map(str.strip, location.split(",")) if part]
    if len(parts) == 1:
        return parts[0], None
    if not parts:
        return None, None
    return ", ".join(parts[:-1]), parts[-1]


def _rewrite_places(connection: sa.Connection) -> None:
    """Spell geocoded names by the rule. Of names that become equal, one that is by it stays, else
    one of a place that was found.
    """
    rows = connection.execute(sa.select(PLACES)).all()
    rows.sort(key=lambda row: (row.latitude is None, row.name))
    names = {row.name for row in rows}
    for row in rows:
        name = clean_line(row.name)
        if name == row.name:
            continue
        this = PLACES.c.name == row.name
        if name and name not in names:
            names.add(name)
            connection.execute(sa.update(PLACES).where(this).values(name=name))
        else:
            connection.execute(sa.delete(PLACES).where(this))
