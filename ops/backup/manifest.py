"""What a snapshot consists of, with the SHA-256 of all of it.

<destination>/
    photos/ab/cd/<sha256>.jpg       photos of all snapshots, each once
    files/<sha256>                  all other files, each once
    snapshots/<id>/manifest.json    which of them a snapshot has, and their places
    snapshots/<id>/manifest.sha256  the manifest's hash: with it, the snapshot is complete
"""

from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models.domain.errors import InvalidInput

FORMAT: Final = 1
DATABASE: Final = "database.sqlite"
PHOTO_LIST: Final = "photos.txt"
MODELS: Final = "models"
GENERATIONS: Final = "generations"
COLUMNS: Final = "columns"

Sha256 = Field(pattern="^[0-9a-f]{64}$")


class StoredFile(BaseModel):
    """A file by its place in the snapshot, a path of names separated by slashes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    sha256: str = Sha256
    bytes: int = Field(ge=0)

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
            raise ValueError("is no path inside of a snapshot")
        return path


class DatabaseCopy(BaseModel):
    """The database: the kind that it was of, and what tells which it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(pattern="^(sqlite|postgresql)$")
    revision: str
    deployment: str


class Manifest(BaseModel):
    """A snapshot.

    `photos` is how many `photos.txt` lists, a SHA-256 a line in ascending order, and `absent` how
    many more the database names that were not in the photo store. `generations` are the ids of the
    live ones that it has, `encoder` is the label of the active encoder. `created_at` is ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(ge=FORMAT, le=FORMAT)
    id: str
    created_at: str
    release: str
    database: DatabaseCopy
    photos: int = Field(ge=0)
    photo_bytes_added: int = Field(ge=0)
    absent: int = Field(ge=0)
    generations: tuple[int, ...]
    encoder: str | None
    files: tuple[StoredFile, ...]

    def file(self, path: str) -> StoredFile:
        """The file at this place. Raises InvalidInput if the snapshot has none."""
        found = next((file for file in self.files if file.path == path), None)
        if found is None:
            raise InvalidInput(f"The snapshot {self.id} has no {path}.")
        return found

    def below(self, folder: str) -> list[StoredFile]:
        """The files in a folder and in those below it."""
        return [file for file in self.files if file.path.startswith(f"{folder}/")]

    @property
    def file_bytes(self) -> int:
        """The size of all files but photos."""
        return sum(file.bytes for file in self.files)

    def to_json(self) -> bytes:
        """The bytes of the manifest's file."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    @classmethod
    def parse(cls, raw: bytes, checksum: bytes, snapshot_id: str) -> Self:
        """Read both files of a snapshot. Raises InvalidInput if one is not as it was written."""
        if checksum != checksum_of(raw):
            raise InvalidInput(f"The manifest of the snapshot {snapshot_id} is damaged.")
        try:
            manifest = cls.model_validate_json(raw)
        except ValidationError as error:
            raise InvalidInput(
                f"The snapshot {snapshot_id} was written by a release that this one can't read."
            ) from error
        if manifest.id != snapshot_id:
            raise InvalidInput(f"The manifest of the snapshot {snapshot_id} is of another one.")
        return manifest


def checksum_of(raw: bytes) -> bytes:
    """The file beside a manifest, as `sha256sum` writes it."""
    return f"{sha256(raw).hexdigest()}  manifest.json\n".encode()
