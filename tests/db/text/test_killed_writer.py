"""A process that writes listings is killed: words are those of what it has committed."""

import sys
import time
from random import Random
from subprocess import PIPE, Popen
from typing import Final

from sqlalchemy.orm import Session

from db.session import Database
from db.statements import is_postgresql
from tests.support.text_writes import write_words
from tests.support.texts import assert_found, assert_in_step

WRITER = (
    "import sys; from tests.support.text_writes import write_words_for_ever as w;"
    "w(sys.argv[1], int(sys.argv[2]))"
)
KILLS: Final = 4
LONGEST_S: Final = 0.1
"""A process writes no longer than this after its first transaction: some ten transactions."""
QUERIES = ("oak ", "oak table ", '"red lamp"', "cafe -brass ", "東京", "mens ", "re", "home lamp ")


def check(session: Session) -> None:
    """Compare words and what they find with the listings, all as of one moment."""
    if is_postgresql(session):
        # Its server may still commit what it was told before the process was killed.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    assert_found(session, assert_in_step(session), QUERIES, "english")


def test_words_are_those_of_what_was_committed(any_database: Database) -> None:
    url, rng = any_database.engine.url.render_as_string(hide_password=False), Random(5)
    for kill in range(KILLS):
        with Popen([sys.executable, "-c", WRITER, url, str(kill)], stdout=PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"begun\n"
            time.sleep(rng.random() * LONGEST_S)
            writer.kill()
        with any_database.read() as session:
            check(session)
        write_words(any_database, rng)
        with any_database.read() as session:
            check(session)
