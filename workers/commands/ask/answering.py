"""A question of the command line, answered by a search worker or by this process."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID, uuid4

import typer
from rich.text import Text

from command_line.resources import check_database_exists, database_of
from db.consumption import consumed_lately
from db.jobs import accepting, reading
from db.session import Database
from models.domain.errors import SetupError
from models.domain.job_payloads import JobPayload
from models.domain.job_results.base import JobResult
from settings import Settings
from workers.commands.job_executor import job_executor
from workers.queue.executors import JobExecutor, run_to_end
from workers.queue.messages import Queue

WIDTH_OF_ID: Final = 36
"""Characters of a listing's id."""

Result = TypeVar("Result", bound=JobResult)


@contextmanager
def answering(settings: Settings, *, inline: bool) -> Generator[tuple[Database, JobExecutor]]:
    """The database, and what answers: search workers or, where none runs, this process."""
    check_database_exists(settings)
    with database_of(settings) as database:
        alone = inline or not _is_consumed(database)
        if alone and not inline:
            _say("No search worker runs: it is answered here, which first loads what that needs.")
        with job_executor(database, settings, _say, inline=alone) as executor:
            yield database, executor


def answered(
    database: Database, executor: JobExecutor, payload: JobPayload, read: Callable[[object], Result]
) -> Result:
    """What comes of a question; `read` makes it of JSON. Raises SetupError with why it has none."""
    with database.write() as session:
        job = accepting.accept(session, payload, job_id=uuid4(), now=database.now(), total=1)
    executor.submit([job])
    run_to_end(executor, database, Queue.SEARCH, [job.id], lambda _: None)
    with database.read() as session:
        done = reading.get(session, job.id)
    if done.result is None:
        raise SetupError(done.error_detail or "It was cancelled.")
    return read(done.result)


def amount(price: Decimal | None, currency: str | None) -> str:
    """A price as tables show it; nothing if there is none."""
    return "" if price is None else f"{price} {currency or ''}".strip()


def named(title: str, category: str | None, listing_id: UUID) -> Text:
    """How tables name a listing: its title, and below it what finds it again, whole."""
    text = Text(title, overflow="fold")
    if category:
        text.append(f"\n{category}", style="dim")
    return text.append(f"\n{listing_id}", style="dim")


def _is_consumed(database: Database) -> bool:
    with database.read() as session:
        return Queue.SEARCH in consumed_lately(session, database.now())


def _say(message: str) -> None:
    typer.echo(message, err=True)
