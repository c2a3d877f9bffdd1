"""Where a server listens: at a port that is free, of an address that is this machine's."""

import socket
from collections.abc import Iterator
from contextlib import closing
from errno import EACCES, ENOBUFS
from os import strerror

import pytest

from command_line.addresses import bound_port, free_port, url_at
from models.domain.errors import Conflict, SetupError

NOT_OURS = "192.0.2.1"  # reserved for documentation: no machine has it


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    address: str = request.param
    try:
        socket.create_server((address, 0), family=family_of(address)).close()
    except OSError:
        if address == "127.0.0.1":
            raise
        pytest.skip("this machine has no IPv6")
    return address


@pytest.fixture
def busy(host: str) -> Iterator[int]:
    """A port of the host that somebody listens on."""
    with closing(socket.create_server((host, 0), family=family_of(host))) as server:
        port: int = server.getsockname()[1]
        yield port


def test_a_busy_port_is_passed_over(host: str, busy: int) -> None:
    assert free_port(host, busy) > busy
    with pytest.raises(Conflict, match=str(busy)):
        bound_port(host, busy)


def test_port_0_is_any_free_one(host: str) -> None:
    port = free_port(host, 0)
    assert bound_port(host, port) == port > 0


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::", "localhost"])  # noqa: S104 - probed only
def test_a_port_that_is_busy_at_one_address_is_busy(everywhere: str) -> None:
    port = free_port(everywhere, 0)
    assert bound_port(everywhere, port) == port


@pytest.mark.parametrize(
    "given", [NOT_OURS, "2001:db8::1", "no.such.host.invalid", "a..b", "é" * 70]
)
@pytest.mark.parametrize("choose", [free_port, bound_port])
def test_a_host_that_is_not_ours_is_named(choose: object, given: str) -> None:
    assert callable(choose)
    with pytest.raises(SetupError, match="MARKETLENS_HOST=") as refused:
        choose(given, 8000)
    assert given in str(refused.value)
    assert "port" not in str(refused.value).lower()


@pytest.mark.parametrize(
    ("listens_on", "opened_at"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - not bound
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("fe80::1%eth0", "http://[fe80::1%25eth0]:80"),
        ("localhost", "http://localhost:80"),
        ("192.168.1.2", "http://192.168.1.2:80"),
    ],
)
def test_the_url_is_one_that_can_be_opened(listens_on: str, opened_at: str) -> None:
    assert url_at(listens_on, 80) == opened_at


@pytest.mark.parametrize(("code", "says"), [(EACCES, "1024"), (ENOBUFS, "No buffer space")])
def test_a_port_that_can_not_be_had_says_why(
    monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    """Root, as which tests may run, has every right: the system's answer is made up."""

    def refuse(*_: object) -> None:
        raise OSError(code, strerror(code))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SetupError, match=says) as refused:
        free_port("127.0.0.1", 80)
    assert "80" in str(refused.value)
