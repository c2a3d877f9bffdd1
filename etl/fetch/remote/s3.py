"""A prefix or an archive in an S3-compatible object store, through s3fs.

Credentials, region and endpoint are those of every AWS tool: `AWS_*` variables (`AWS_ENDPOINT_URL`
among them), a profile, a role.
"""

import logging
import re
from collections.abc import Generator
from typing import ClassVar

import aiohttp
import fsspec
import s3fs
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from etl.fetch.feed_files import FeedFile
from etl.fetch.remote.remote import BLOCK_BYTES, FileInfo, Remote
from etl.fetch.source_url import split_url
from models.domain.errors import InvalidFeed, MarketlensError, SetupError

CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 3


class S3Remote(Remote):
    """`s3://bucket/prefix`."""

    FAULTS: ClassVar[tuple[type[Exception], ...]] = (
        OSError,
        BotoCoreError,
        ClientError,
        aiohttp.ClientError,
    )

    def __init__(self, url: str) -> None:
        if "@" in split_url(url).netloc:
            raise InvalidFeed("An s3 URL is s3://bucket/prefix: credentials do not belong into it.")
        super().__init__(url, url.partition("://")[2].rstrip("/"))

    def blocks(self, file: FeedFile, offset: int) -> Generator[bytes]:
        """The file's bytes from this offset on, a ranged request for each few megabytes."""
        for start in range(offset, file.size, BLOCK_BYTES):
            with self._translated_errors(file.name) as filesystem:
                end = min(start + BLOCK_BYTES, file.size)
                block = filesystem.cat_file(file.path, start=start, end=end)
            yield block

    def confirm_md5(self, file: FeedFile, md5: str) -> bool:
        """Whether content with this MD5 can be the object's.

        The ETag of an object that is encrypted with a key of the customer's looks like an MD5, but
        is none. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
        """
        if super().confirm_md5(file, md5):
            return True
        with self._translated_errors(file.name) as filesystem:
            bucket, key, _ = filesystem.split_path(file.path)
            head = filesystem.call_s3("head_object", Bucket=bucket, Key=key)
        encryption = head.get("ServerSideEncryption", "")
        return encryption.startswith("aws:kms") or "SSECustomerAlgorithm" in head

    def _connect(self) -> fsspec.AbstractFileSystem:
        # At DEBUG they log the headers of requests, including session tokens.
        for name in ("aiobotocore", "botocore", "s3fs"):
            logging.getLogger(name).setLevel(logging.INFO)
        filesystem = s3fs.S3FileSystem(
            config_kwargs={
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
                "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
            },
            skip_instance_cache=True,
        )
        # botocore retries requests, and the fetch retries reads: a third layer would multiply them.
        filesystem.retries = 1
        return filesystem

    def _version(self, info: FileInfo) -> str:
        return str(info["ETag"]).strip('"')

    def _describe(self, info: FileInfo, name: str) -> FeedFile:
        tag = self._version(info)
        # The ETag of a multipart upload is not an MD5: it has a dash.
        md5 = tag if re.fullmatch(r"[0-9a-f]{32}", tag) else ""
        return FeedFile(name, info["name"], self._size(info, name), tag, md5)

    def _translate(self, error: Exception, what: str) -> MarketlensError:
        match error:
            case NoCredentialsError() | ProfileNotFound():
                return SetupError(
                    f"{self.shown} needs AWS credentials: set AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
                )
            case _:
                return super()._translate(error, what)
