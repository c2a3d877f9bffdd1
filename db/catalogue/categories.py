"""The category tree. The integer of a path never changes: it is the class that models learn."""

from collections.abc import Iterable, Mapping
from typing import TypedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.advisory_locks import hold_lock
from db.statements import chunks, insert_rows
from db.tables import Category
from models.domain.text import CATEGORY_SEPARATOR

# An arbitrary key; no other lock in the same database may use it.
APPENDING_LOCK = 0x4D4C_4354


class ExportedCategories(TypedDict):
    """The category tree as JSON.

    `ids` gives the integer of each path, `paths` the path of each integer, and `parents` the
    integer of its parent, null at a root. JSON's keys are strings: so are those integers.
    """

    ids: dict[str, int]
    paths: dict[str, str]
    parents: dict[str, int | None]


def ensure_categories(session: Session, paths: Iterable[str]) -> dict[str, int]:
    """The integer of every category path and of its parents, adding those not known yet.

    New ones get the next integers, without gaps and in the order given.
    """
    wanted = with_parents(paths)
    ids = category_ids(session, wanted)
    if len(ids) == len(wanted):
        return ids
    # One transaction at a time appends.
    if hold_lock(session, APPENDING_LOCK):
        ids = category_ids(session, wanted)
    # Not the database's sequence, which would leave gaps after rollbacks.
    last = session.scalar(select(func.max(Category.id))) or 0
    new = [path for path in wanted if path not in ids]
    ids |= {path: number for number, path in enumerate(new, start=last + 1)}
    insert_rows(session, Category, [_category(path, ids) for path in new])
    return ids


def with_parents(paths: Iterable[str]) -> list[str]:
    """The paths and all those above them, each once, parents first."""
    found: dict[str, None] = {}
    for path in paths:
        parts = path.split(CATEGORY_SEPARATOR)
        for depth in range(1, len(parts) + 1):
            found[CATEGORY_SEPARATOR.join(parts[:depth])] = None
    return list(found)


def _category(path: str, ids: Mapping[str, int]) -> dict[str, object]:
    parent, _, name = path.rpartition(CATEGORY_SEPARATOR)
    return {"id": ids[path], "path": path, "name": name, "parent_id": ids.get(parent)}


def category_ids(session: Session, paths: Iterable[str]) -> dict[str, int]:
    """The integers of those paths that are known."""
    found: dict[str, int] = {}
    for chunk in chunks(paths):
        rows = session.execute(select(Category.path, Category.id).where(Category.path.in_(chunk)))
        found.update(dict(rows.all()))
    return found


def category_paths(session: Session) -> dict[int, str]:
    """The path of every category, by its integer."""
    return dict(session.execute(select(Category.id, Category.path)).all())


def paths_of(session: Session, numbers: Iterable[int]) -> dict[int, str]:
    """The paths of these categories, by their integers."""
    found: dict[int, str] = {}
    for chunk in chunks(numbers):
        rows = session.execute(select(Category.id, Category.path).where(Category.id.in_(chunk)))
        found.update(dict(rows.all()))
    return found


def export_categories(session: Session) -> ExportedCategories:
    """Every category, in order of its integer."""
    rows = session.execute(
        select(Category.id, Category.path, Category.parent_id).order_by(Category.id)
    ).all()
    return {
        "ids": {row.path: row.id for row in rows},
        "paths": {str(row.id): row.path for row in rows},
        "parents": {str(row.id): row.parent_id for row in rows},
    }
