"""Liveness and readiness as shown. Names and shapes are the HTTP contract."""

from pydantic import BaseModel, Field


class Alive(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """Whether a search would be done now, and what is missing if not."""

    status: str
    checks: dict[str, bool]
    encoder: str | None = Field(description="The encoder that the search worker holds.")
