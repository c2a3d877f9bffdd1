"""The category tree as a dictionary both ways, for whoever reads what models have learnt."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Category


def export_categories(session: Session) -> dict[str, Any]:
    """Every category there ever was, in order of its integer, as values that JSON can hold.

    `ids` gives the integer of each path, `paths` the path of each integer, and `parents` the
    integer of its parent, null at a root. JSON's keys are strings: so are those integers.
    """
    rows = session.execute(
        select(Category.id, Category.path, Category.parent_id).order_by(Category.id)
    ).all()
    return {
        "ids": {row.path: row.id for row in rows},
        "paths": {str(row.id): row.path for row in rows},
        "parents": {str(row.id): row.parent_id for row in rows},
    }
