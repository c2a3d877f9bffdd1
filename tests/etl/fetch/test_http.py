"""Fetching from a real web server."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from traceback import format_exception

import pytest

from etl.fetch import transfer as fetching
from etl.fetch.transfer import Fetched
from models.domain.errors import InvalidFeed, SetupError, Unavailable
from tests.support.archives import pack_tar, pack_zip
from tests.support.fetching import copy, feed_of, files_in, noise, sums_hold, write_files
from tests.support.relay import relay_to
from tests.support.web import FileServer, file_server

FEED = feed_of(photos=40)
BIG = 12 * 2**20


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NETRC", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetching, "WAITS", (0.01,))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What the server serves: a feed in the folder `a feed`."""
    write_files(tmp_path / "root" / "a feed", FEED)
    return tmp_path / "root"


@pytest.fixture
def server(root: Path) -> Iterator[FileServer]:
    with file_server(root) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "feed"


def url_of(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}/{path}"


@pytest.mark.parametrize("path", ["a%20feed", "a feed", "a%20feed/"])
def test_a_listing_is_a_feed(server: FileServer, folder: Path, path: str) -> None:
    url = url_of(server.server_port, path)

    assert copy(url, folder) == Fetched(42, 42, 0, sum(map(len, FEED.values())))
    assert files_in(folder) == FEED
    assert sums_hold(folder)

    assert copy(url, folder) == Fetched(42, 0, 42, 0)


def test_names_that_need_quotes_keep_them(server: FileServer, root: Path, folder: Path) -> None:
    odd = "images/a b&c#d?e%41;é'\"<.jpg"
    write_files(root / "a feed", {odd: b"x"})

    copy(url_of(server.server_port, "a%20feed"), folder)

    assert files_in(folder) == FEED | {odd: b"x"}


def test_other_links_of_a_page_are_not_followed(
    server: FileServer, root: Path, folder: Path
) -> None:
    (root / "index.html").write_text(
        '<a href="?C=N;O=D">Name</a> <a href="../">up</a> <a href="/">top</a>'
        '<a href="https://example.org/x.csv">x</a> <a href="mailto:me@example.org">me</a>'
        '<a href="#top">top</a> <a href="./a%20feed/">feed</a> http://127.0.0.1/x.jpg'
    )

    copy(url_of(server.server_port, ""), folder)

    assert files_in(folder) == FEED


def test_links_are_read_as_html_writes_them(server: FileServer, root: Path, folder: Path) -> None:
    write_files(root / "a feed", {"x&y.jpg": b"x"})
    (root / "a feed/index.html").write_text(
        "<A HREF='Products.csv'>1</A> <a class=file href=\"x&amp;y.jpg\">2</a>"
    )

    copy(url_of(server.server_port, "a%20feed"), folder)

    assert files_in(folder).keys() == {"Products.csv", "x&y.jpg"}


@pytest.mark.parametrize("link", ["%2e%2e/x.csv", "..%2fx.csv", "../x.csv", "%2fetc/x", "x%00y"])
def test_a_link_that_leads_out_is_refused(
    server: FileServer, root: Path, folder: Path, link: str
) -> None:
    write_files(root, {"x.csv": b"x", "a feed/etc/x": b"x"})
    (root / "a feed" / "index.html").write_text(
        f'<a href="{link}">x</a> <a href="Products.csv">y</a>'
    )

    with pytest.raises(InvalidFeed, match="unsafe name"):
        copy(url_of(server.server_port, "a%20feed"), folder)
    assert files_in(folder.parent).keys() == files_in(root.parent).keys()


@pytest.mark.parametrize("name", ["f.zip", "f.tar", "f.tar.gz"])
def test_an_archive_is_a_feed(server: FileServer, root: Path, folder: Path, name: str) -> None:
    pack = pack_zip if name == "f.zip" else pack_tar
    archive = pack(root / name, {f"top/{file}": data for file, data in FEED.items()})
    url = url_of(server.server_port, f"{name}?signature=x")

    assert copy(url, folder) == Fetched(42, 42, 0, archive.stat().st_size)
    assert files_in(folder) == FEED

    asked = len(server.requested)
    assert copy(url, folder) == Fetched(42, 0, 42, 0)
    assert len(server.requested) == asked


def test_unpacking_goes_on_where_it_stopped(server: FileServer, root: Path, folder: Path) -> None:
    pack_tar(root / "f.tar.gz", FEED | {"big": noise(BIG)})
    url = url_of(server.server_port, "f.tar.gz")

    def stop_unpacking(_done: int, _total: int) -> None:
        if list(folder.glob("images/*7.jpg")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetching.fetch(url, folder, dry_run=False, on_progress=stop_unpacking)
    kept = len(list(folder.glob("images/*.jpg")))
    assert kept > 0

    fetched = copy(url, folder)

    assert (fetched.unchanged >= kept, fetched.bytes) == (True, 0)
    assert server.requested == ["/f.tar.gz"]
    assert files_in(folder) == FEED | {"big": noise(BIG)}


def test_an_archive_that_is_refused_is_not_kept(
    server: FileServer, root: Path, folder: Path
) -> None:
    pack_zip(root / "f.zip", FEED | {"../x": b"x"})

    with pytest.raises(InvalidFeed, match="unsafe name"):
        copy(url_of(server.server_port, "f.zip"), folder)
    assert files_in(folder) == {}


def test_what_a_server_gives_no_version_of_is_always_read_whole(
    server: FileServer, folder: Path
) -> None:
    server.versions = False
    with relay_to(server.server_port) as relay:
        relay.gone_after = 20_000
        with pytest.raises(Unavailable):
            copy(url_of(relay.port, "a%20feed"), folder)

    for _ in range(2):
        assert copy(url_of(server.server_port, "a%20feed"), folder).fetched == 42
        assert files_in(folder) == FEED


def test_what_a_server_gives_no_version_of_is_not_pieced_together(
    server: FileServer, root: Path, folder: Path
) -> None:
    server.versions = False
    products = root / "a feed/Products.csv"
    products.write_bytes(noise(BIG, 1))
    changed: list[bool] = []

    with relay_to(server.server_port) as relay:

        def change_and_break(data: bytes) -> bytes:
            if relay.down > BIG // 2 and not changed:
                products.write_bytes(noise(BIG, 2))
                changed.append(True)
                raise ConnectionError
            return data

        relay.alter = change_and_break
        copy(url_of(relay.port, "a%20feed"), folder)

    assert (folder / "Products.csv").read_bytes() == noise(BIG, 2)


@pytest.mark.parametrize("ranges", [True, False])
def test_after_a_broken_connection_the_rest_is_read(root: Path, folder: Path, ranges: bool) -> None:
    archive = pack_zip(root / "f.zip", FEED | {"big": noise(BIG)})
    size = archive.stat().st_size
    with file_server(root, ranges=ranges) as server, relay_to(server.server_port) as relay:
        relay.gone_after = size * 2 // 3
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+/f\.zip"):
            copy(url_of(relay.port, "f.zip"), folder)
        part = (folder / ".archive.part").stat().st_size
        assert part > size // 3

        relay.gone_after = None
        before = relay.down
        fetched = copy(url_of(relay.port, "f.zip"), folder)

        least = size - part if ranges else size
        assert least <= relay.down - before < least + 2**16
    assert fetched.bytes == size - part
    assert files_in(folder) == FEED | {"big": noise(BIG)}


def test_a_connection_that_breaks_often_is_no_trouble_while_it_brings_something(
    server: FileServer, root: Path, folder: Path
) -> None:
    pack_zip(root / "f.zip", FEED | {"big": noise(BIG)})
    with relay_to(server.server_port) as relay:
        relay.cut_after = BIG // 8
        copy(url_of(relay.port, "f.zip"), folder)
        assert relay.connections > 8

    assert files_in(folder) == FEED | {"big": noise(BIG)}


def test_a_file_that_changed_since_starts_over(
    server: FileServer, root: Path, folder: Path
) -> None:
    write_files(root, {"a feed/Products.csv": noise(BIG, 1)})
    with relay_to(server.server_port) as relay:
        relay.gone_after = BIG * 2 // 3
        with pytest.raises(Unavailable):
            copy(url_of(relay.port, "a%20feed"), folder)
    assert (folder / "Products.csv.part").stat().st_size > BIG // 3

    write_files(root, {"a feed/Products.csv": noise(BIG, 2)})
    os.utime(root / "a feed/Products.csv", (1, 1))
    copy(url_of(server.server_port, "a%20feed"), folder)

    assert (folder / "Products.csv").read_bytes() == noise(BIG, 2)


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    server: FileServer, root: Path, folder: Path
) -> None:
    products = root / "a feed/Products.csv"
    products.write_bytes(noise(BIG, 1))

    def change(done: int, _total: int) -> None:
        if done > BIG // 2 and products.stat().st_mtime > 1:
            os.utime(products, (1, 1))

    with pytest.raises(Unavailable, match=r"Products\.csv .* changed while it was read"):
        fetching.fetch(
            url_of(server.server_port, "a%20feed"), folder, dry_run=False, on_progress=change
        )
    assert not list(folder.rglob("Products.csv*"))


def test_many_files_are_under_way_at_a_time(server: FileServer, folder: Path) -> None:
    server.seconds_a_request = 0.05

    copy(url_of(server.server_port, "a%20feed"), folder)

    assert server.most_at_once >= 8


def test_a_fetch_that_is_killed_again_and_again_ends_well(
    server: FileServer, root: Path, folder: Path
) -> None:
    big = noise(BIG)
    write_files(root, {"a feed/Products.csv": big})
    program = "import sys; from pathlib import Path; from etl.fetch.transfer import fetch\n"
    program += "fetch(sys.argv[1], Path(sys.argv[2]), dry_run=False, on_progress=lambda *_: None)"
    with relay_to(server.server_port) as relay:
        url = url_of(relay.port, "a%20feed")
        relay.seconds_a_chunk = 0.001
        for kills in range(1, 6):
            process = subprocess.Popen([sys.executable, "-c", program, url, str(folder)])
            while relay.down < kills * BIG // 8:
                assert process.poll() is None
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        relay.seconds_a_chunk = 0
        copy(url, folder)
        # Each kill costs what was under way, and the listing that is made anew.
        assert relay.down < BIG * 3 // 2

    assert files_in(folder) == FEED | {"Products.csv": big}
    assert sums_hold(folder)


def test_credentials_come_from_netrc(server: FileServer, folder: Path, tmp_path: Path) -> None:
    netrc = write_files(
        tmp_path / "home", {".netrc": b"machine 127.0.0.1 login me password hush\n"}
    )
    (netrc / ".netrc").chmod(0o600)

    copy(url_of(server.server_port, "a%20feed"), folder)

    assert server.authorizations == {"Basic bWU6aHVzaA=="}


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (HTTPStatus.UNAUTHORIZED, SetupError, r"~/\.netrc"),
        (HTTPStatus.FORBIDDEN, SetupError, r"~/\.netrc"),
        (HTTPStatus.GONE, InvalidFeed, "There is no"),
        (HTTPStatus.BAD_REQUEST, InvalidFeed, "answers 400"),
        (HTTPStatus.TOO_MANY_REQUESTS, Unavailable, "HTTP status 429"),
        (HTTPStatus.SERVICE_UNAVAILABLE, Unavailable, "HTTP status 503"),
    ],
)
@pytest.mark.parametrize("path", ["a%20feed", "f.zip?signature=hush"])
def test_what_a_server_refuses_is_said_without_secrets(
    server: FileServer,
    folder: Path,
    path: str,
    status: HTTPStatus,
    error: type[Exception],
    says: str,
) -> None:
    server.status = status

    with pytest.raises(error, match=says) as raised:
        copy(url_of(server.server_port, path), folder)
    assert "hush" not in str(raised.value)


def test_what_is_not_there_is_said(server: FileServer, folder: Path) -> None:
    for path in ("nowhere", "nowhere.zip"):
        with pytest.raises(InvalidFeed, match=rf"There is no http://127\.0\.0\.1:\d+/{path}\."):
            copy(url_of(server.server_port, path), folder)
    with pytest.raises(InvalidFeed, match="is not a feed"):
        copy(url_of(server.server_port, "a%20feed/images"), folder)


def test_a_file_that_vanishes_is_named(server: FileServer, root: Path, folder: Path) -> None:
    (root / "a feed/index.html").write_text('<a href="Products.csv"></a><a href="lost.jpg"></a>')

    with pytest.raises(InvalidFeed, match=r"There is no lost\.jpg of http://"):
        copy(url_of(server.server_port, "a%20feed"), folder)


def test_no_secret_is_told_or_logged_or_kept(
    server: FileServer, root: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    archive = pack_zip(root / "f.zip", FEED)
    query = "f.zip?X-Amz-Signature=" + "hush"
    copy(url_of(server.server_port, query), folder)
    archive.write_bytes(b"nothing")
    with pytest.raises(InvalidFeed) as damaged:
        copy(url_of(server.server_port, query), folder)
    with relay_to(server.server_port) as relay:
        port = relay.port
    with pytest.raises(Unavailable) as down:
        copy(url_of(port, query), folder)

    told = [*format_exception(damaged.value), *format_exception(down.value), caplog.text]
    told.append((folder / ".fetch.jsonl").read_text())
    assert "hush" not in "".join(told).replace('"hush"', "")


@pytest.mark.parametrize("user", ["me:hush@", "me@"])
def test_a_user_in_the_url_is_refused(server: FileServer, folder: Path, user: str) -> None:
    url = url_of(server.server_port, "f.zip").replace("127", f"{user}127", 1)

    with pytest.raises(InvalidFeed, match=r"~/\.netrc") as refused:
        copy(url, folder)
    assert "hush" not in str(refused.value)
    assert server.requested == []


@pytest.mark.parametrize("query", ["", "?signature=hush/x.zip"])
def test_one_table_is_a_feed(server: FileServer, root: Path, folder: Path, query: str) -> None:
    write_files(root, {"my export.csv": noise(100)})

    url = url_of(server.server_port, f"my%20export.csv{query}")

    assert copy(url, folder) == Fetched(1, 1, 0, 100)
    assert files_in(folder) == {"my export.csv": noise(100)}


def test_a_listing_with_a_query_is_refused(server: FileServer, folder: Path) -> None:
    with pytest.raises(InvalidFeed, match="only the URL of an archive or a table may have one"):
        copy(url_of(server.server_port, "a%20feed?token=hush"), folder)
