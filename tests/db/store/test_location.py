"""A store is a folder of any name or a URL; one that will not do says why."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from db.store.location import location_of
from db.store.photo_store import PhotoStore
from models.domain.errors import Misconfigured, SetupError, Unavailable, sentence_of
from tests.support.ports import free_port
from tests.support.s3 import photo_bucket, s3_server


@pytest.fixture(scope="module")
def s3_port() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def s3_url(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with photo_bucket(s3_port, monkeypatch) as url:
        yield url


@pytest.mark.parametrize("name", ["s3::x", "http:", "a::b", "#?%41", "file:x", "~x"])
def test_a_path_is_never_taken_for_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    store = PhotoStore(Path(name) / "photos")
    store.check()
    store.put(b"photo")
    store.files.write("generation", b"index")
    assert store.files.read("generation") == b"index"
    assert not store.files.is_elsewhere
    assert {path.name for path in (tmp_path / name / "photos").iterdir()} > {"generation"}
    assert list(tmp_path.iterdir()) == [tmp_path / name]
    # It is the same one in a process that has another working folder.
    assert store.url == location_of(store.url) == str(tmp_path / name / "photos")


def test_a_folder_may_be_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert PhotoStore("~/photos").url == str(tmp_path / "photos")
    assert PhotoStore("s3://bucket/~/photos").url == "s3://bucket/~/photos"


@pytest.mark.parametrize("url", ["nonsense://somewhere", "simplecache::nonsense://somewhere"])
def test_a_url_that_nothing_opens_is_refused(url: str) -> None:
    with pytest.raises(SetupError, match="MARKETLENS_STORE_URL"):
        PhotoStore(url).check()


@pytest.mark.parametrize("below", [".", "below", "below/it"])
def test_a_file_is_no_store(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    store = PhotoStore(str(tmp_path / "file" / below))
    with pytest.raises(Misconfigured, match=str(tmp_path / "file")):
        store.check()
    with pytest.raises(Misconfigured) as failed:
        store.put(b"photo")
    assert "[Errno" in sentence_of(failed.value)
    # Callers of the API are not told why.
    assert "[Errno" not in str(failed.value)


def test_a_bucket_is_there_or_refused(s3_url: str) -> None:
    PhotoStore(s3_url).check()
    PhotoStore(s3_url.rpartition("/")[0]).check()
    with pytest.raises(Misconfigured, match="nowhere does not exist"):
        PhotoStore("s3://nowhere/photos").check()


def test_credentials_that_lack_are_said(
    tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    S3FileSystem.clear_instance_cache()
    for use in (PhotoStore.check, lambda store: store.put(b"photo")):
        with pytest.raises(Misconfigured) as failed:
            use(PhotoStore(s3_url))
        assert "credentials" in sentence_of(failed.value)


def test_a_server_that_is_away_may_come_back(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(Unavailable) as failed:
        PhotoStore(s3_url).check()
    assert not isinstance(failed.value, Misconfigured)
