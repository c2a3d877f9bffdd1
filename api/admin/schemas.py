"""Generations, encoders and audit entries as shown. Names and shapes are the HTTP contract."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from db.access.tables import AuditEntry
from db.tables import Generation
from db.vectors.encoders import EncoderSummary
from models.domain.types import AuditSource, EncoderStatus, GenerationStatus
from models.matching.labels import Calibration, stored_calibration


class GenerationOut(BaseModel):
    """One build of the index."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    status: GenerationStatus
    factory: str | None
    rows: int | None
    last_change: int | None
    recall_at_10: float | None
    p50_ms: float | None
    bytes: int | None
    error: str | None
    created_at: datetime
    activated_at: datetime | None

    @classmethod
    def of(cls, generation: Generation) -> Self:
        """The generation's row."""
        return cls.model_validate(generation)


class EncoderOut(BaseModel):
    """An encoder, and what it is to the catalogue."""

    label: str
    fingerprint: str
    dimension: int
    status: EncoderStatus
    embedded: int = Field(description="Shown photos that it has embedded.")
    missing: int = Field(description="Shown photos that it has not.")
    generation_id: int | None = Field(description="The index that is searched with it.")
    created_at: datetime
    activated_at: datetime | None
    matching: Calibration | None = Field(
        description="Its match labels; null until they are calibrated."
    )

    @classmethod
    def of(cls, summary: EncoderSummary) -> Self:
        """The encoder as it stands."""
        row = summary.encoder
        return cls(
            label=row.spec.label,
            fingerprint=row.fingerprint,
            dimension=row.dimension,
            status=row.status,
            embedded=summary.embedded,
            missing=summary.missing,
            generation_id=summary.generation_id,
            created_at=row.created_at,
            activated_at=row.activated_at,
            matching=stored_calibration(row.matching),
        )


class AuditEntryOut(BaseModel):
    """An admin call, or a command that changes something."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    source: AuditSource
    actor: str = Field(description="The name of the API key, or the operating system's user.")
    action: str = Field(description="The method and the route's path, or the command.")
    details: dict[str, JsonValue]
    result: str | None = Field(
        description="`done`, or an error's code; null while it is under way, and of what was "
        "killed."
    )
    ended_at: datetime | None


class AuditPage(BaseModel):
    """Entries of the audit log, newest first."""

    items: list[AuditEntryOut]
    next_cursor: int | None

    @classmethod
    def of(cls, entries: Sequence[AuditEntry], limit: int) -> Self:
        """These entries, of which there are more if they are as many as `limit`."""
        items = [AuditEntryOut.model_validate(entry) for entry in entries]
        return cls(items=items, next_cursor=items[-1].id if len(items) == limit else None)
