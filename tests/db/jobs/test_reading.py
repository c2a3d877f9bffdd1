"""Jobs as they are stored."""

from uuid import uuid4

import pytest

from db.jobs import reading
from db.session import Database
from models.domain.errors import NotFound


def test_unknown_job(any_database: Database) -> None:
    with pytest.raises(NotFound), any_database.read() as session:
        reading.get(session, uuid4())
