"""A real API behind a reverse proxy on its machine, which is known by what it adds to requests."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.access.keys import create_key
from db.schema_migration import upgrade
from db.session import Database
from models.domain.types import Scope
from settings import Settings
from tests.support.api_process import ApiProcess, api_processes
from tests.support.raw_http import RawServer

pytestmark = pytest.mark.e2e

BUYER, OTHER = "203.0.113.7", "203.0.113.8"


def ask(api: ApiProcess, *headers: str, version: str = "HTTP/1.1") -> int:
    """The status of a list of listings."""
    port = int(api.url.rpartition(":")[2])
    head = [f"GET /v1/listings {version}", f"Host: 127.0.0.1:{port}", "Connection: close", *headers]
    return RawServer(port).send("\r\n".join([*head, "", ""]).encode()).status


def forwarded_for(address: str) -> str:
    return f"X-Forwarded-For: {address}"


def test_who_is_trusted_and_whose_address_counts(tmp_path: Path) -> None:
    plain = Settings(data_dir=tmp_path, rate_address="1/hour")
    upgrade(plain.sqlalchemy_url)
    database = Database(plain.sqlalchemy_url)
    with database.write() as session:
        key = create_key(session, "shop", [Scope.SEARCH], datetime.now(UTC))
    database.close()
    bearer = f"Authorization: Bearer {key}"
    trusting = plain.model_copy(update={"trusted_proxies": "127.0.0.1"})
    with api_processes(plain, trusting) as (api, behind_proxy):
        # nginx speaks HTTP/1.0 to what is behind it, and adds nothing, unless told otherwise.
        assert [ask(api), ask(api, version="HTTP/1.0")] == [200, 401]
        # By default nobody is believed about an address, so that nobody gets around a limit.
        for address, status in ((BUYER, 200), (OTHER, 429)):
            assert ask(api, bearer, forwarded_for(address)) == status
        for address, status in ((BUYER, 200), (OTHER, 200), (BUYER, 429)):
            assert ask(behind_proxy, bearer, forwarded_for(address)) == status
        assert ask(behind_proxy) == 401
