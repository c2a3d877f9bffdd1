"""When each queue was last consumed: a proof that a worker takes work, not only that it runs."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.statements import upsert
from db.tables import Consumption, Encoder

# Probes are sent every few seconds; three lost in a row mean that nobody consumes.
FRESH_FOR = timedelta(seconds=30)


# The relay consumes no queue, but shows in the same way that it is at work.
RELAY = "relay"


def record_consumption(session: Session, queue: str, now: datetime, encoder_id: int | None) -> None:
    """Note that a message was just taken from a queue, and with which encoder it is searched."""
    values = {"seen_at": now, "encoder_id": encoder_id}
    statement = upsert(session, Consumption).values(queue=queue, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["queue"], set_=values))


def forget_consumption(session: Session) -> None:
    """Forget what was seen before a restart, so that it can't pass for the present."""
    session.execute(delete(Consumption))


def consumed_lately(session: Session, now: datetime) -> dict[str, str | None]:
    """The queues being consumed, and the label of the encoder that is searched with."""
    rows = session.execute(
        select(Consumption.queue, Encoder)
        .outerjoin(Encoder, Encoder.id == Consumption.encoder_id)
        .where(Consumption.seen_at > now - FRESH_FOR)
    )
    return {queue: row.spec.label if row else None for queue, row in rows}
