"""Commands that change something are recorded in the audit log: who, what, when, how it ended.

What can't be recorded is done all the same, with a warning: on the machine itself, whoever may run
commands may change the database, too.
"""

import logging
import os
import pwd
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Final

import typer
from pydantic import JsonValue

from command_line.lazy import Audit
from command_line.resources import database_exists, database_of
from db.access.audit_log import DONE, begin_entry, end_entry
from models.domain.clock import utc_now
from models.domain.errors import ExitCode, MarketlensError, SetupError, sentence_of
from models.domain.types import AuditSource
from settings import Settings

log = logging.getLogger(__name__)

DRY_RUN: Final = "dry_run"

Function = Callable[..., ExitCode | None]


def recorded(function: Function, action: str, audit: Audit) -> Function:
    """The command, recorded under the name `action` whenever it is about to change something."""

    @wraps(function)
    def command(**values: object) -> ExitCode | None:
        only_with = audit.only_with
        if values.get(DRY_RUN) or (only_with is not None and not values.get(only_with)):
            return function(**values)
        details = {name: shown(values[name]) for name in audit.details if values.get(name)}
        begun_at = utc_now()
        entry_id = _begin(action, details, begun_at)
        try:
            ended = function(**values)
        except BaseException as error:
            _end(entry_id, action, details, begun_at, result_of(error))
            raise
        is_done = ended in {None, ExitCode.DONE, ExitCode.LOOK_AT_IT}
        result = DONE if is_done else ExitCode(ended or 0).name.lower()
        _end(entry_id, action, details, begun_at, result)
        return ended

    return command


def result_of(error: BaseException) -> str:
    """How a command ended that raised this."""
    cause = error.__cause__
    if isinstance(cause, MarketlensError) and not isinstance(error, MarketlensError):
        error = cause
    if isinstance(error, MarketlensError):
        return error.code
    if isinstance(error, typer.Exit):
        return DONE if error.exit_code in {ExitCode.DONE, ExitCode.LOOK_AT_IT} else "not_done"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def shown(value: object) -> JsonValue:
    """An option's value as the log has it; of a path or URL only the last part."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Path | str):
        return str(value).rstrip("/").rpartition("/")[2]
    if isinstance(value, timedelta):
        return f"{value.total_seconds() / 86_400:g} days"
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return value if isinstance(value, bool | int | float) else str(value)


def operator() -> str:
    """The operating system's user that runs this process."""
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return f"uid {os.getuid()}"


def _begin(action: str, details: Mapping[str, JsonValue], now: datetime) -> int | None:
    """Record the command before it changes anything; None where there is nothing to record in."""
    with suppress(MarketlensError, OSError):
        settings = Settings()
        if database_exists(settings):
            with database_of(settings) as database, database.write() as session:
                return begin_entry(session, AuditSource.COMMAND, operator(), action, details, now)
    return None


def _end(
    entry_id: int | None,
    action: str,
    details: Mapping[str, JsonValue],
    begun_at: datetime,
    result: str,
) -> None:
    """Record how it ended; where it has made or replaced the database, all of it only now."""
    try:
        settings = Settings()
        if not database_exists(settings):
            return
        with database_of(settings) as database, database.write() as session:
            if entry_id is not None and end_entry(
                session, entry_id, result, utc_now(), begun_at=begun_at
            ):
                return
            entry = (AuditSource.COMMAND, operator(), action, details, begun_at)
            end_entry(session, begin_entry(session, *entry), result, utc_now())
    except (SetupError, OSError):
        # A database without tables: the command has said so.
        return
    except MarketlensError as error:
        # A command that has failed says itself what is away.
        if result == DONE:
            log.warning("%s is not in the audit log: %s", action, sentence_of(error))
