"""What results are made of. Unknown fields of other releases are ignored."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from models.domain.job_payloads import Sha256, StoredJson
from models.domain.types import JobType


def _sha256_of(stored: object) -> object:
    """Earlier releases stored a photo with its URL."""
    return stored["id"] if isinstance(stored, dict) and "id" in stored else stored


PhotoName = Annotated[Sha256, BeforeValidator(_sha256_of)]
"""SHA-256 of a photo."""


Milliseconds = dict[str, float]
"""The time that each named part of a job took, and the `total` from its acceptance."""


class Part(BaseModel):
    """A part of a result. Unknown fields of other releases are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class JobResult(Part):
    """The result of a job."""

    job_type: ClassVar[JobType]

    def to_json(self) -> StoredJson:
        """The result as the database stores it."""
        return self.model_dump(mode="json")
