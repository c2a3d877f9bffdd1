"""Fetching from a real S3 server, which is a process of its own."""

import logging
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from traceback import format_exception
from typing import Any
from uuid import uuid4

import pytest

from etl.fetch import transfer as fetching
from etl.fetch.transfer import Fetched
from models.domain.errors import InvalidFeed, SetupError, Unavailable
from tests.support.archives import pack_zip
from tests.support.fetching import copy, feed_of, files_in, noise, sums_hold, write_files
from tests.support.relay import Relay, relay_to
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, s3_client, s3_server, upload

FEED = feed_of(photos=40)
BIG = 12 * 2**20


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with s3_server() as running:
        yield running


@pytest.fixture
def relay(port: int) -> Iterator[Relay]:
    with relay_to(port) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and the endpoint, as any AWS tool takes them."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{relay.port}")
    monkeypatch.setattr(fetching, "WAITS", (0.01,))


@pytest.fixture
def client(port: int) -> Any:
    return s3_client(port)


@pytest.fixture
def bucket(client: Any, tmp_path: Path) -> str:
    """A bucket with a feed under `daily/today`, and other things beside it."""
    name = f"feeds-{uuid4()}"
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="daily/today/", Body=b"")
    client.put_object(Bucket=name, Key="daily/today/images/", Body=b"")
    client.put_object(Bucket=name, Key="daily/todays/other.csv", Body=b"not of the feed")
    upload(client, write_files(tmp_path / "source", FEED), name, "daily/today")
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "feed"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_prefix_is_a_feed(bucket: str, folder: Path, slash: str) -> None:
    url = f"s3://{bucket}/daily/today{slash}"

    assert copy(url, folder) == Fetched(42, 42, 0, sum(map(len, FEED.values())))
    assert files_in(folder) == FEED
    assert sums_hold(folder)

    assert copy(url, folder) == Fetched(42, 0, 42, 0)


def test_one_table_is_a_feed(bucket: str, client: Any, folder: Path) -> None:
    client.put_object(Bucket=bucket, Key="daily/export.csv", Body=noise(100))

    assert copy(f"s3://{bucket}/daily/export.csv", folder) == Fetched(1, 1, 0, 100)
    assert files_in(folder) == {"export.csv": noise(100)}


def test_a_bucket_is_a_feed(client: Any, bucket: str, folder: Path, tmp_path: Path) -> None:
    client.create_bucket(Bucket=f"{bucket}-2")
    upload(client, tmp_path / "source", f"{bucket}-2", "feed")

    assert copy(f"s3://{bucket}-2", folder).fetched == 42
    assert files_in(folder) == FEED


def test_an_archive_in_a_bucket_is_a_feed(client: Any, bucket: str, folder: Path) -> None:
    archive = pack_zip(folder.with_name("f.zip"), FEED)
    client.put_object(Bucket=bucket, Key="f.zip", Body=archive.read_bytes())

    assert copy(f"s3://{bucket}/f.zip", folder).fetched == 42
    assert files_in(folder) == FEED
    assert copy(f"s3://{bucket}/f.zip", folder) == Fetched(42, 0, 42, 0)


def test_after_a_broken_connection_only_the_rest_is_read(
    client: Any, bucket: str, folder: Path, relay: Relay
) -> None:
    big = noise(BIG)
    client.put_object(Bucket=bucket, Key="daily/today/Products.csv", Body=big)
    relay.gone_after = BIG * 2 // 3
    with pytest.raises(Unavailable, match=f"s3://{bucket}/daily/today"):
        copy(f"s3://{bucket}/daily/today", folder)
    part = (folder / "Products.csv.part").stat().st_size
    assert part >= BIG // 3

    relay.gone_after = None
    before = relay.down
    copy(f"s3://{bucket}/daily/today", folder)

    assert (folder / "Products.csv").read_bytes() == big
    # Besides the rest there are photos, listings and headers.
    assert BIG - part <= relay.down - before < BIG - part + 2**20


def test_an_object_that_changed_since_starts_over(
    client: Any, bucket: str, folder: Path, relay: Relay
) -> None:
    client.put_object(Bucket=bucket, Key="daily/today/Products.csv", Body=noise(BIG, 1))
    relay.gone_after = BIG * 2 // 3
    with pytest.raises(Unavailable):
        copy(f"s3://{bucket}/daily/today", folder)
    relay.gone_after = None

    client.put_object(Bucket=bucket, Key="daily/today/Products.csv", Body=noise(BIG, 2))
    copy(f"s3://{bucket}/daily/today", folder)

    assert (folder / "Products.csv").read_bytes() == noise(BIG, 2)


def test_bytes_that_changed_on_the_way_are_refused(
    client: Any, bucket: str, folder: Path, relay: Relay
) -> None:
    client.put_object(Bucket=bucket, Key="daily/today/Products.csv", Body=b"id,name\n1,lamp\n")
    relay.alter = lambda data: data.replace(b"1,lamp", b"1,lump")

    with pytest.raises(InvalidFeed, match=r"Products\.csv of s3://.* is damaged: its MD5"):
        copy(f"s3://{bucket}/daily/today", folder)
    assert not (folder / "Products.csv").exists()
    assert not (folder / "Products.csv.part").exists()


def test_the_tag_of_an_object_encrypted_with_a_key_is_no_md5(
    client: Any, bucket: str, folder: Path, relay: Relay
) -> None:
    body = b"id,name\n1,lamp\n"
    client.put_object(
        Bucket=bucket,
        Key="daily/today/Products.csv",
        Body=body,
        ServerSideEncryption="aws:kms",
    )
    # The server makes it one all the same: on the way it becomes what S3 would send.
    tag = md5(body, usedforsecurity=False).hexdigest().encode()
    relay.alter = lambda data: data.replace(tag, tag[::-1])

    copy(f"s3://{bucket}/daily/today", folder)

    assert (folder / "Products.csv").read_bytes() == body


def test_the_tag_of_an_object_uploaded_in_parts_is_no_md5(
    client: Any, bucket: str, folder: Path
) -> None:
    target = {"Bucket": bucket, "Key": "daily/today/Products.csv"}
    upload_id = client.create_multipart_upload(**target)["UploadId"]
    part = client.upload_part(**target, UploadId=upload_id, PartNumber=1, Body=b"id\n1\n")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    client.complete_multipart_upload(**target, UploadId=upload_id, MultipartUpload=parts)

    copy(f"s3://{bucket}/daily/today", folder)

    assert (folder / "Products.csv").read_bytes() == b"id\n1\n"


def test_a_key_that_leads_out_is_refused(client: Any, bucket: str, folder: Path) -> None:
    client.put_object(Bucket=bucket, Key="daily/today/images/../../../x", Body=b"x")

    with pytest.raises(InvalidFeed, match="unsafe name"):
        copy(f"s3://{bucket}/daily/today", folder)


@pytest.mark.parametrize("path", ["nowhere/at/all", "nowhere.zip"])
def test_what_is_not_there_is_said(bucket: str, folder: Path, path: str) -> None:
    with pytest.raises(InvalidFeed, match=f"There is no s3://{bucket}/{path}"):
        copy(f"s3://{bucket}/{path}", folder)
    with pytest.raises(InvalidFeed, match=f"There is no s3://no-{bucket}/{path}"):
        copy(f"s3://no-{bucket}/{path}", folder)


def test_without_credentials_it_says_which(
    bucket: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(SetupError, match="needs AWS credentials: set AWS_ACCESS_KEY_ID"):
        copy(f"s3://{bucket}/daily/today", folder)

    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SetupError, match="needs AWS credentials: set AWS_ACCESS_KEY_ID"):
        copy(f"s3://{bucket}/daily/today", folder)


def test_a_server_that_is_down_is_unavailable(bucket: str, folder: Path, relay: Relay) -> None:
    relay.gone_after = 0

    with pytest.raises(Unavailable, match=f"s3://{bucket}/daily/today can't be read now"):
        copy(f"s3://{bucket}/daily/today", folder)


def test_no_secret_is_told_or_logged_or_kept(
    bucket: str,
    folder: Path,
    relay: Relay,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "tokennotshown")
    copy(f"s3://{bucket}/daily/today", folder)
    relay.gone_after = 0
    with pytest.raises(Unavailable) as unavailable:
        copy(f"s3://{bucket}/daily/today", folder)
    with pytest.raises(InvalidFeed) as invalid:
        copy(f"s3://{ACCESS_KEY}:{SECRET_KEY}@{bucket}/daily/today", folder)

    told = [*format_exception(unavailable.value), *format_exception(invalid.value), caplog.text]
    told.append((folder / ".fetch.jsonl").read_text())
    for secret in (ACCESS_KEY, SECRET_KEY, "tokennotshown"):
        assert secret not in "".join(told)
