"""When each queue was last consumed: shows that a worker takes messages, not only that it runs.

All times are the database's: a process whose own clock is off must neither look alive when it is
not, nor dead.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.statements import upsert
from db.tables import Consumption, Encoder

# Probes are sent every few seconds; three lost in a row mean that the queue has no consumer.
FRESH_FOR = timedelta(seconds=30)

# The relay consumes no queue, but records its liveness in the same table.
RELAY = "relay"


def record_consumption(session: Session, queue: str, now: datetime, encoder_id: int | None) -> None:
    """Record that a message was just taken from a queue, and the consumer's encoder."""
    values = {"seen_at": now, "encoder_id": encoder_id}
    statement = upsert(session, Consumption).values(queue=queue, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["queue"], set_=values))


def clear_consumption(session: Session) -> None:
    """Delete what was recorded before a restart, so that it is not taken for current."""
    session.execute(delete(Consumption))


def consumed_lately(
    session: Session, now: datetime, fresh_for: timedelta = FRESH_FOR
) -> dict[str, str | None]:
    """The queues that are being consumed, and the label of each consumer's encoder."""
    rows = session.execute(
        select(Consumption.queue, Encoder)
        .outerjoin(Encoder, Encoder.id == Consumption.encoder_id)
        .where(Consumption.seen_at > now - fresh_for)
    )
    return {queue: row.spec.label if row else None for queue, row in rows}


def last_consumed(session: Session) -> dict[str, datetime]:
    """When each queue was last consumed; the relay's last sign of life under its own name."""
    rows = session.execute(select(Consumption.queue, Consumption.seen_at))
    return {row.queue: row.seen_at for row in rows}
