"""A small deployment with something of everything that a backup has."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from db.catalogue.listing_photos import PhotoData
from db.catalogue.listings import ListingData
from db.jobs.accepting import accept
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors import generations
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.clock import utc_now
from models.domain.job_payloads import ReindexPayload, SearchPayload
from models.domain.types import EncoderSpec
from models.index.build import BuildOptions, build_generation
from ops.backup.create import Deployment, Reporting, back_up
from ops.backup.destination import Destination
from ops.backup.manifest import Manifest
from ops.backup.restore import restore
from tests.support.any_rows import rows_in
from tests.support.catalogue import add_listing
from tests.support.clock import Clock

ENCODER = EncoderSpec("hog", 8, "d" * 64)
LISTINGS = 6


@dataclass(frozen=True)
class Place:
    """A data folder, and the database that goes with it."""

    folder: Path
    database_url: str

    @property
    def deployment(self) -> Deployment:
        return Deployment(
            database_url=self.database_url,
            store=PhotoStore(self.folder / "photos"),
            models_dir=self.folder / "models",
            generations_dir=self.folder / "generations",
            columns_file=self.folder / "columns" / "listings.safetensors",
        )

    def with_store(self, url: str) -> Deployment:
        """The same, with the photos elsewhere."""
        return replace(self.deployment, store=PhotoStore(url))


def photo(number: int) -> bytes:
    """What stands for a photo's file: nothing here decodes it."""
    return f"photo {number}".encode() * 50


def fill(deployment: Deployment) -> None:
    """Listings with photos and vectors, a generation of them, an encoder's files, columns, jobs."""
    with closing(Database(deployment.database_url)) as database:
        with database.write() as session:
            encoder = activate_initial_encoder(session, ENCODER, Clock()())
            vectors = {}
            for number in range(LISTINGS):
                digest = deployment.store.put(photo(number))
                _, (photo_id,) = add_listing(
                    session,
                    [PhotoData(digest, 3, 4)],
                    listing=ListingData(UUID(int=number), f"Oak chair {number}"),
                )
                vectors[photo_id] = np.eye(8, dtype=np.float32)[number]
            add_embeddings(session, encoder.id, vectors)
            # A photo that is searched by, and no listing's.
            searched = SearchPayload(positive=(deployment.store.put(photo(99)),), limit=1)
            accept(session, searched, job_id=uuid4(), now=Clock()())
        build(database, deployment, vectors)
    package = deployment.models_dir / ENCODER.label
    package.mkdir(parents=True)
    (package / "manifest.json").write_text("{}")
    (package / "head.safetensors").write_bytes(b"head" * 1000)
    # What can be downloaded again, and what a killed process left.
    (deployment.models_dir / "downloaded.pth").write_bytes(b"weights")
    (deployment.models_dir / ".unfinished").mkdir()
    (deployment.models_dir / ".unfinished" / "weights").write_bytes(b"weights")
    deployment.columns_file.parent.mkdir()
    deployment.columns_file.write_bytes(b"columns")


def build(
    database: Database, deployment: Deployment, vectors: dict[int, NDArray[np.float32]]
) -> None:
    """Build a generation of these vectors and make it live."""
    with database.write() as session:
        job = accept(session, ReindexPayload(), job_id=uuid4(), now=Clock()())
        encoder = activate_initial_encoder(session, ENCODER, Clock()())
        generation_id = generations.begin(session, encoder.id, job.id, Clock()()).id
    ids = np.array(list(vectors), dtype=np.int64)
    rows = np.stack(list(vectors.values()))
    deployment.generations_dir.mkdir(parents=True, exist_ok=True)
    built = build_generation(
        deployment.generations_dir / str(generation_id),
        iter([(ids, rows)]),
        encoder=ENCODER,
        last_change=0,
        created_at=Clock()(),
        recall_target=1.0,
        options=BuildOptions(),
    )
    with database.write() as session:
        generations.activate(
            session, generation_id, Clock()(), manifest_sha256=built.manifest_sha256
        )


def quiet(say: Callable[[str], None] = lambda _: None) -> Reporting:
    """Draws no bars."""
    return Reporting(lambda *_: None, say, utc_now)


def backed_up(deployment: Deployment, place: str | Path) -> Manifest:
    """Write a snapshot."""
    return back_up(deployment, Destination(str(place)), quiet())


def restored(
    target: Place,
    place: str | Path,
    *,
    replace: bool = False,
    snapshot: str | None = None,
    deployment: Deployment | None = None,
) -> None:
    """Restore a snapshot, the newest by default."""
    source = Destination(str(place))
    target.folder.mkdir(exist_ok=True)
    restore(
        deployment or target.deployment,
        target.folder,
        source,
        source.read(snapshot or source.newest()),
        quiet(),
        replace=replace,
    )


def contents(deployment: Deployment) -> dict[str, object]:
    """All that a backup has of a deployment."""
    with closing(Database(deployment.database_url)) as database:
        rows = rows_in(database)
    return {
        "rows": rows,
        "photos": {
            digest: deployment.store.get(digest)
            for prefix in range(256)
            for digest in deployment.store.list_prefix(f"{prefix:02x}", utc_now()).digests
        },
        "files": {
            str(path.relative_to(folder)): path.read_bytes()
            for folder in (deployment.models_dir, deployment.generations_dir)
            for path in sorted(folder.glob("[!.]*/*"))
        },
        "columns": deployment.columns_file.read_bytes(),
    }


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, to see that none has changed."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def forget(folder: Path) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
