"""Fetching from a real OpenSSH server."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.fetch import transfer as fetching
from etl.fetch.transfer import Fetched
from models.domain.errors import InvalidFeed, SetupError, Unavailable
from tests.support.fetching import copy, feed_of, files_in, noise, sums_hold, write_files
from tests.support.relay import relay_to
from tests.support.ssh import SshServer, find_sshd, ssh_server

pytestmark = pytest.mark.skipif(
    find_sshd() is None, reason="needs an OpenSSH server: apt install openssh-server"
)

FEED = feed_of(photos=40)
BIG = 12 * 2**20


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with ssh_server() as running:
        yield running


@pytest.fixture(autouse=True)
def home(server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, which is known to the server and knows it."""
    home = tmp_path / "home"
    shutil.copytree(server.home, home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture
def source(server: SshServer, tmp_path: Path) -> Path:
    return write_files(server.folder / tmp_path.name, FEED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "feed"


def test_a_feed_comes_over_ssh(server: SshServer, source: Path, folder: Path) -> None:
    assert copy(server.url(source), folder) == Fetched(42, 42, 0, sum(map(len, FEED.values())))
    assert files_in(folder) == FEED
    assert sums_hold(folder)

    assert copy(server.url(source), folder) == Fetched(42, 0, 42, 0)


def test_links_on_the_server_are_followed(server: SshServer, source: Path, folder: Path) -> None:
    (source / "images").rename(source.with_name("elsewhere"))
    (source / "images").symlink_to(source.with_name("elsewhere"))
    (source / "Images.csv").rename(source / ".Images.csv")
    (source / "Images.csv").symlink_to(".Images.csv")
    try:
        copy(server.url(source), folder)
    finally:
        shutil.rmtree(source.with_name("elsewhere"))

    assert files_in(folder) == FEED


def test_an_archive_comes_over_ssh(server: SshServer, source: Path, folder: Path) -> None:
    archive = Path(shutil.make_archive(str(source), "gztar", source.parent, source.name))

    assert copy(server.url(archive), folder).fetched == 42
    assert files_in(folder) == FEED
    assert copy(server.url(archive), folder) == Fetched(42, 0, 42, 0)


def test_after_a_broken_connection_only_the_rest_is_read(
    server: SshServer, source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = noise(BIG)
    write_files(source, {"Products.csv": big})
    monkeypatch.setattr(fetching, "WAITS", (0.01,))
    with relay_to(server.port) as relay:
        relay.gone_after = BIG * 2 // 3
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{relay.port}"):
            copy(server.url(source, relay.port), folder)
        part = (folder / "Products.csv.part").stat().st_size
        assert part > BIG // 4

        relay.gone_after = None
        before = relay.down
        copy(server.url(source, relay.port), folder)
        # Besides the rest there are photos, packets' headers and the key exchange.
        assert BIG - part <= relay.down - before < BIG - part + 2**20

    assert (folder / "Products.csv").read_bytes() == big


def test_a_broken_connection_is_made_anew(
    server: SshServer, source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(source, {"Products.csv": noise(BIG)})
    monkeypatch.setattr(fetching, "WAITS", (0.01,) * 5)
    with relay_to(server.port) as relay:
        relay.cut_after = BIG * 2 // 3
        copy(server.url(source, relay.port), folder)
        assert relay.connections > 1

    assert (folder / "Products.csv").read_bytes() == noise(BIG)


@pytest.mark.parametrize("known", ["nobody", "another key", "switched off"])
def test_a_host_that_is_not_known_is_refused(
    known: str, server: SshServer, source: Path, folder: Path, home: Path
) -> None:
    hosts = home / ".ssh/known_hosts"
    match known:
        case "nobody":
            hosts.unlink()
        case "another key":
            key = (home / ".ssh/id_ed25519.pub").read_text()
            hosts.write_text(f"127.0.0.1 {key}")
        case "switched off":
            hosts.unlink()
            (home / ".ssh/config").write_text(
                "StrictHostKeyChecking no\nUserKnownHostsFile none\nGlobalKnownHostsFile none\n"
            )

    with pytest.raises(
        SetupError,
        match=rf"add it: ssh-keyscan -p {server.port} 127\.0\.0\.1 >> ~/\.ssh/known_hosts",
    ):
        copy(server.url(source), folder)
    assert files_in(folder) == {}


def test_what_the_error_says_makes_the_host_known(
    server: SshServer, source: Path, folder: Path, home: Path
) -> None:
    hosts = home / ".ssh/known_hosts"
    command = ["ssh-keyscan", "-p", str(server.port), "127.0.0.1"]
    hosts.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)

    assert copy(server.url(source), folder).fetched == 42


def test_a_key_that_the_server_does_not_know_is_refused(
    server: SshServer, source: Path, folder: Path, home: Path
) -> None:
    (home / ".ssh/id_ed25519").unlink()

    with pytest.raises(SetupError, match=r"accepts none of the keys .* ssh-add"):
        copy(server.url(source), folder)


def test_the_keys_of_the_agent_are_used(
    server: SshServer,
    source: Path,
    folder: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shutil.which("ssh-agent") is None:
        pytest.skip("needs ssh-agent: apt install openssh-client")
    socket = home / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        key = home / ".ssh/id_ed25519"
        environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environment)
        key.unlink()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))

        assert copy(server.url(source), folder).fetched == 42
    finally:
        agent.terminate()
        agent.wait()


def test_the_ssh_configuration_is_used(
    server: SshServer, source: Path, folder: Path, home: Path
) -> None:
    (home / ".ssh/id_ed25519").rename(home / "feed.pem")
    (home / ".ssh/config").write_text(
        f"Host feeds\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
        f"  IdentityFile {home}/feed.pem\n"
    )

    assert copy(f"sftp://feeds{source}", folder).fetched == 42


def test_what_is_not_there_or_may_not_be_read_is_said(
    server: SshServer, source: Path, folder: Path
) -> None:
    with pytest.raises(InvalidFeed, match=r"There is no sftp://127\.0\.0\.1:\d+/nowhere\."):
        copy(server.url(Path("/nowhere")), folder)

    (source / "images/0007.jpg").chmod(0)
    os.chown(source / "images/0007.jpg", os.getuid(), os.getgid())
    if os.getuid() == 0:
        with pytest.raises(SetupError, match=r"images/0007\.jpg of .* may not be read"):
            copy(server.url(source), folder)


def test_a_name_that_no_system_would_take_is_refused(
    server: SshServer, source: Path, folder: Path
) -> None:
    (Path(os.fsdecode(os.fsencode(source) + b"/images/\xff.jpg"))).write_bytes(b"x")

    with pytest.raises(InvalidFeed, match="unsafe name"):
        copy(server.url(source), folder)


def test_a_server_that_is_down_is_unavailable(
    server: SshServer, source: Path, folder: Path
) -> None:
    with relay_to(server.port) as relay:
        port = relay.port
    with pytest.raises(Unavailable, match=rf"sftp://127\.0\.0\.1:{port}/.* can't be read now"):
        copy(server.url(source, port), folder)


def test_a_password_in_the_url_is_refused_before_anything_is_sent(
    server: SshServer, source: Path, folder: Path
) -> None:
    with relay_to(server.port) as relay:
        url = server.url(source, relay.port).replace("@", ":hush@")
        with pytest.raises(InvalidFeed, match="ssh agent") as refused:
            copy(url, folder)
        assert relay.connections == 0
    assert "hush" not in str(refused.value)
