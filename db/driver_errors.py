"""What the drivers of the databases raise, as errors of the product.

Their sentences are for callers of the API, too; notes name servers and files, for the operator.
"""

from typing import Final

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.domain.errors import MarketlensError, Misconfigured, SetupError, Unavailable

REFUSING_STATES: Final = frozenset({"25006", "28000", "28P01", "3D000", "42501"})
"""PostgreSQL's codes for read-only, not authorised, wrong password, no such database, no right."""

ABANDONED: Final = "25P03"
"""PostgreSQL's code where it has ended a transaction in which nothing was stated for too long."""

REFUSALS: Final = (
    # PostgreSQL gives no code to a connection that fails.
    "password",
    "does not exist",
    "pg_hba.conf",
    "not permitted to log in",
    "permission denied",
    "invalid sslmode",
    "invalid connection option",
    "server does not support SSL",
    # SQLite gives none by way of SQLAlchemy.
    "file is not a database",
    "malformed",
    "readonly database",
    "unable to open database file",
)
"""What a message without a code has that stays true until somebody changes something."""


def product_error(error: DBAPIError | PoolTimeout, url: URL) -> MarketlensError | None:
    """The product's error for a driver's; None for one that is a defect of a statement."""
    cause = str(getattr(error, "orig", error))
    if _lacks_schema(cause):
        return SetupError("The database lacks tables of this release: run `marketlens migrate`.")
    found: MarketlensError
    state = _state(error)
    if state in REFUSING_STATES or (state is None and any(told in cause for told in REFUSALS)):
        found = Misconfigured("The database refuses what this needs.")
    elif _is_wrong_statement(error):
        return None
    elif isinstance(error, OperationalError | InterfaceError | PoolTimeout) or _is_cut(error):
        found = Unavailable("The database can't be reached or is busy.")
    else:
        return None
    found.add_note(f"{_where(url)}: {_reason(cause)}. {_advice(url)}")
    return found


def hide_values(engine: Engine) -> None:
    """Take from errors of PostgreSQL what it tells of the rows that a statement was to store.

    Its details, such as `Failing row contains (…)`, would have them in logs.
    """

    @event.listens_for(engine, "handle_error")
    def _without_details(context: ExceptionContext) -> None:
        raised, ours = context.original_exception, context.sqlalchemy_exception
        sentence = getattr(getattr(raised, "diag", None), "message_primary", None)
        if sentence:
            raised.args = (sentence,)
            if ours is not None:
                ours.args = (f"({type(raised).__module__}.{type(raised).__name__}) {sentence}",)


def _state(error: DBAPIError | PoolTimeout) -> str | None:
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state


def _is_wrong_statement(error: DBAPIError | PoolTimeout) -> bool:
    """Whether it is SQLite's for SQL that it can't execute: its module has no class for that."""
    return getattr(getattr(error, "orig", None), "sqlite_errorname", None) == "SQLITE_ERROR"


def _is_cut(error: DBAPIError) -> bool:
    """Whether the connection has ended, which drivers also tell by errors of other kinds."""
    return error.connection_invalidated or _state(error) == ABANDONED


def _lacks_schema(cause: str) -> bool:
    """Whether a statement named a missing table or column, judged by each driver's message."""
    if "does not exist" in cause:
        return 'relation "' in cause or "column " in cause
    return any(lack in cause for lack in ("no such table", "no such column", "has no column named"))


def _where(url: URL) -> str:
    """The database as messages name it, without a password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "SQLite in memory"
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL, {url.host or url.query.get('host', 'local')}{port}/{url.database or ''}"


def _reason(cause: str) -> str:
    """A driver's first line, without what it says before the reason."""
    line = next(iter(cause.strip().splitlines()), "no reason given")
    return line.rpartition("FATAL:")[2].strip().removesuffix(".")


def _advice(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return "Its folder must be there and writable: see MARKETLENS_DATA_DIR."
    return "Start it, or set MARKETLENS_DATABASE_URL."
