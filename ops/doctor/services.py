"""What is looked at of database, photo store, broker, encoder and workers."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final
from uuid import uuid4

from command_line.resources import database_exists, database_of, library_of, store_of
from db.consumption import RELAY, consumed_lately
from db.schema_migration import is_migrated
from db.session import Database
from db.vectors.encoders import active_encoder
from models.domain.clock import utc_now
from models.domain.errors import WeightsMissing
from models.domain.types import EncoderSpec
from models.encoders.library import EncoderLibrary
from ops.doctor.findings import Finding, Verdict
from settings import Settings
from workers.encoders.active_encoder import encoder_mismatch_warning, require_files
from workers.queue.broker import redis_url
from workers.queue.broker_check import check_redis
from workers.queue.messages import Queue

MOST_APART_S: Final = 5.0
"""Between this machine's clock and the database's. Jobs are leased for minutes."""
START: Final = "`marketlens up` starts all of them on one machine."


def database(settings: Settings) -> Iterator[Finding]:
    """Whether the database answers, and has this release's schema."""
    if not database_exists(settings):
        yield Finding(
            what="database",
            verdict=Verdict.WARNING,
            found="There is no database yet.",
            advice="`marketlens up`, `migrate` and `seed` make it.",
        )
        return
    with closing(Database(settings.sqlalchemy_url)) as opened, opened.read() as session:
        migrated = is_migrated(session)
        name = opened.engine.dialect.name
    if migrated:
        found = f"{name} answers, and has this release's schema."
        yield Finding(what="database", verdict=Verdict.OK, found=found)
        return
    yield Finding(
        what="database",
        verdict=Verdict.WARNING,
        found="The database has another release's schema.",
        advice="Run `marketlens migrate`.",
    )


def store(settings: Settings) -> Iterator[Finding]:
    """Whether photos can be stored."""
    store_of(settings)
    yield Finding(what="photos", verdict=Verdict.OK, found="The photo store can be used.")


def broker(settings: Settings) -> Iterator[Finding]:
    """Whether the broker that the settings name can be used."""
    if settings.redis_url is None:
        return
    check_redis(redis_url(settings.redis_url), f"marketlens.doctor.{uuid4()}")
    yield Finding(what="redis", verdict=Verdict.OK, found="The broker does what queues need.")


def encoder(settings: Settings) -> Iterator[Finding]:
    """Whether this machine has what makes vectors; nothing is downloaded."""
    library = library_of(settings)
    if settings.weights is not None:
        # What they are is found out before anything is copied or registered.
        given = library.configured()
        found = f"{settings.weights} has the weights of {given.name}."
        yield Finding(what="weights", verdict=Verdict.OK, found=found)
    if not database_exists(settings):
        return
    with database_of(settings) as opened, opened.read() as session:
        active = active_encoder(session) if is_migrated(session) else None
    if active is not None:
        yield from _active(settings, library, active.spec)


def clock(settings: Settings) -> Iterator[Finding]:
    """Whether this machine's clock agrees with the database's."""
    if not database_exists(settings):
        return
    with database_of(settings) as opened:
        apart = abs((utc_now() - opened.now()).total_seconds())
    if apart <= MOST_APART_S:
        yield Finding(what="clock", verdict=Verdict.OK, found="It agrees with the database's.")
        return
    yield Finding(
        what="clock",
        verdict=Verdict.WARNING,
        found=f"It is {apart:,.0f} s from the database's.",
        advice="Let a time service set both (chrony, systemd-timesyncd).",
    )


def workers(settings: Settings) -> Iterator[Finding]:
    """Whether each queue is being consumed, and the relay runs."""
    if not database_exists(settings):
        return
    with database_of(settings) as opened, opened.read() as session:
        if not is_migrated(session):
            return
        consumed = consumed_lately(session, opened.now())
    missing = [name for name in (*Queue, RELAY) if name not in consumed]
    if not missing:
        yield Finding(what="workers", verdict=Verdict.OK, found="Every queue is being consumed.")
    elif not consumed:
        yield Finding(
            what="workers", verdict=Verdict.WARNING, found="No worker runs.", advice=START
        )
    else:
        names = ", ".join(str(name) for name in missing)
        yield Finding(
            what="workers",
            verdict=Verdict.WARNING,
            found=f"Not consumed in the last half minute: {names}.",
            advice="Their logs say why: in the data folder's `log`, or `docker compose logs`.",
        )


def _active(settings: Settings, library: EncoderLibrary, active: EncoderSpec) -> Iterator[Finding]:
    try:
        require_files(library, active, settings.models_dir)
    except WeightsMissing as missing:
        yield Finding(what="encoder", verdict=Verdict.PROBLEM, found=str(missing))
        return
    wanted = encoder_mismatch_warning(active, library, settings.encoder, settings.weights)
    yield Finding(
        what="encoder",
        verdict=Verdict.WARNING if wanted else Verdict.OK,
        found=wanted or f"Searches are made with {active.label}.",
    )
