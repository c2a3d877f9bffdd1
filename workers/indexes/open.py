"""Opens the index to search: one in this process, or one that all workers share."""

from dataclasses import dataclass
from pathlib import Path

from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder
from models.domain.errors import SetupError
from models.domain.optional_dependencies import requires_extra
from workers.generations.prune import remove_unused_folders
from workers.generations.publish import fetch_generation
from workers.indexes.following import FollowingIndex, SharedFollowingIndex
from workers.indexes.live import Candidate, LiveIndex


@dataclass(frozen=True, slots=True)
class Indexes:
    """Opens the indexes of encoders' vectors; `url` names a server that keeps them, if one does."""

    database: Database
    store: PhotoStore
    generations_dir: Path
    url: str | None

    def open(self, encoder: Encoder) -> FollowingIndex:
        """The index of an encoder's vectors, not synchronised yet; the caller closes it.

        Raises SetupError where there is a server and its client is not installed, and Unavailable
        where it does not answer.
        """
        if self.url is not None:
            return self.open_shared(encoder)
        return LiveIndex(
            encoder.spec,
            encoder.id,
            self.generations_dir,
            self._fetch,
        )

    def open_shared(self, encoder: Encoder) -> SharedFollowingIndex:
        """The index of an encoder's vectors on the server. Raises as `open` does."""
        if self.url is None:
            raise SetupError("No server keeps the index: MARKETLENS_INDEX_URL is not set.")
        with requires_extra("milvus"):
            from workers.indexes.shared_index import open_shared  # noqa: PLC0415 - an optional dependency
        return open_shared(self.url, encoder.spec, self.database, encoder.id)

    def _fetch(self, wanted: Candidate) -> None:
        """Download a generation that another machine has built, and remove those not kept."""
        if self.store.files.is_elsewhere:
            remove_unused_folders(self.database, self.generations_dir)
            fetch_generation(self.store, self.generations_dir, wanted.id, wanted.manifest_sha256)
