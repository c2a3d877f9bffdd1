"""Snapshots in an object store, of photos in another one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from models.domain.errors import InvalidInput, Unavailable
from ops.backup.create import back_up
from ops.backup.destination import Destination
from ops.backup.verify import problems_of
from tests.support.commands import invoke, last_line
from tests.support.deployments import Place, contents, fill, quiet, restored
from tests.support.s3 import photo_bucket, s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def bucket(s3: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty folder in a bucket."""
    with photo_bucket(s3, monkeypatch) as url:
        yield url


def silent(*_: object) -> None:
    """Draws no bar."""


def test_everything_is_as_it_was(
    tmp_path: Path, sqlite_url: str, target: Place, bucket: str
) -> None:
    source = Place(tmp_path / "source", sqlite_url)
    source.folder.mkdir()
    deployment = source.with_store(f"{bucket}/live")
    fill(deployment)
    destination = Destination(f"{bucket}/backups")
    manifest = back_up(deployment, destination, quiet())
    assert destination.snapshots() == [manifest.id]
    assert problems_of(destination, manifest, silent) == []
    assert deployment.store.files.names_in("holds") == set()
    restored(target, f"{bucket}/backups")
    assert contents(target.deployment) == contents(deployment)

    filesystem = S3FileSystem()
    index = next(file for file in manifest.files if file.path.endswith("index.faiss"))
    path = f"{bucket.removeprefix('s3://')}/backups/files/{index.sha256}"
    filesystem.pipe_file(path, filesystem.cat_file(path)[:-1])
    with pytest.raises(InvalidInput, match="truncated"):
        restored(target, f"{bucket}/backups", replace=True)
    second = back_up(deployment, destination, quiet())
    assert second.photo_bytes_added == 0
    # The damaged file was written again, as its size is not what it should be.
    assert problems_of(destination, second, silent) == []


def test_a_bucket_that_is_not_there_is_said(
    sqlite_source: Place, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bucket
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(sqlite_source.folder))
    monkeypatch.setenv("MARKETLENS_DATABASE_URL", sqlite_source.database_url)
    result = invoke("backup", "s3://there-is-none/backups", "--json")
    assert result.exit_code == 2
    error = last_line(result)["error"]
    assert error.startswith("The backups in s3://there-is-none/backups can't be reached")
    assert "there-is-none does not exist" in error
    assert "MARKETLENS_STORE_URL" not in error
    assert isinstance(result.exception, Unavailable)
