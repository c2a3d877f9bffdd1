"""A private S3 server for tests: moto's, as a process on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from s3fs import S3FileSystem

from tests.support.ports import free_port, wait_until_listening

ACCESS_KEY = "AKIDNOTSHOWN"
SECRET_KEY = "notshown/secret+key"  # noqa: S105 - moto takes any

# How many keys a listing has at a time: few, so that every listing has pages.
PAGE = 10


@contextmanager
def s3_server() -> Iterator[int]:
    """Run a server; gives its port."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_listening(process, port)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def photo_bucket(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of photos in a new bucket, with the settings that any AWS tool takes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    bucket = f"photos-{uuid4()}"
    s3_client(port).create_bucket(Bucket=bucket)
    # Connections are kept with the settings that they were made with.
    S3FileSystem.clear_instance_cache()
    yield f"s3://{bucket}/photos"
    S3FileSystem.clear_instance_cache()


def s3_client(port: int) -> Any:
    """A client of the server that is not the one under test."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        # As most objects were uploaded, without the checksums that came later.
        config=Config(request_checksum_calculation="when_required"),
    )


def upload(client: Any, folder: Path, bucket: str, prefix: str) -> None:
    """Put every file of a folder under a prefix."""
    for path in folder.rglob("*"):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
