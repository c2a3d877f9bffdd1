"""The table of the audit log."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Base, BigId, enum_type
from models.domain.job_payloads import StoredJson
from models.domain.types import AuditSource


class AuditEntry(Base):
    """An admin call, or a command that changes something: who, what, when, and how it ended.

    `actor` is the name of the API key, or of the operating system's user. `details` has ids and
    options, never secrets, paths or users of the marketplace. `result` is `done` or the code of an
    error; None while it is under way, and for ever if its process was killed.
    """

    __tablename__ = "audit_entries"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads this

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    source: Mapped[AuditSource] = mapped_column(enum_type(AuditSource))
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(Text)
    details: Mapped[StoredJson]
    result: Mapped[str | None] = mapped_column(String(64))
    ended_at: Mapped[datetime | None]
