"""Liveness and readiness as shown. Names and shapes are the HTTP contract."""

from typing import Literal

from pydantic import BaseModel, Field


class Alive(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """Whether a search would be done now, and what is missing if not."""

    status: Literal["ready", "degraded", "not ready"] = Field(
        description="`degraded`: searches are done, but a check on which they do not depend is"
        " false: photos are not embedded, no index is built, or lost messages are not replaced."
    )
    checks: dict[str, bool]
    encoder: str | None = Field(description="The encoder that the search worker holds.")
