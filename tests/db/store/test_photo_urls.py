"""Photos by URL, from real servers on loopback; nothing that is refused opens a socket inward."""

import pickle
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from db.store.photo_urls import PhotoUrls
from db.store.public_addresses import is_public
from models.domain.errors import InvalidInput, Unavailable

# Global unicast, and assigned to nobody: nothing answers, and nobody is disturbed.
NOBODY = "2000::1"

Answer = Callable[[socket.socket], None]


@dataclass
class Server:
    """A listening socket on loopback, and the heads of the requests that it got."""

    port: int
    heads: list[bytes]
    accepted: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(
    *answers: Answer, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """Gives each connection the next of the answers."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.bind((host, 0))
        listening.listen()
        server = Server(listening.getsockname()[1], [])

        def run() -> None:
            for answer in answers:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                server.accepted += 1
                with connection:
                    _answer(connection, answer, server, tls)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server
        # Wakes an accept that waits; closing alone does not.
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert not thread.is_alive()


def _answer(
    connection: socket.socket, answer: Answer, server: Server, tls: ssl.SSLContext | None
) -> None:
    try:
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head and (more := connection.recv(65_536)):
            head += more
        server.heads.append(head)
        answer(connection)
        connection.close()
    except OSError:
        pass  # the client has gone, as it should


def content(body: bytes, *headers: str, status: str = "200 OK") -> Answer:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return lambda connection: connection.sendall(f"{head}\r\n\r\n".encode() + body)


def redirect(to: str, status: str = "302 Found") -> Answer:
    return content(b"", f"Location: {to}", "Set-Cookie: a=b", "Connection: close", status=status)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(65_536))


def trickling(first: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return answer


@pytest.fixture
def urls() -> Iterator[PhotoUrls]:
    """May fetch from 127.0.0.1, under that name only."""
    fetching = PhotoUrls({"127.0.0.1"}, seconds=5)
    yield fetching
    fetching.close()


def test_a_photo_is_fetched(urls: PhotoUrls) -> None:
    with serving(content(b"photo")) as server:
        assert urls.fetch(f"{server.url}/a b.jpg?size=1", 5) == b"photo"
    assert server.heads[0].startswith(b"GET /a%20b.jpg?size=1 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}\r\n".encode() in server.heads[0].lower()


def test_the_name_is_asked_for_and_its_address_connected_to() -> None:
    urls = PhotoUrls({"photos.example"}, seconds=5, find=lambda _host, _port: ["127.0.0.1"])
    with serving(content(b"photo")) as server:
        assert urls.fetch(f"http://photos.example:{server.port}/", 5) == b"photo"
    assert f"Host: photos.example:{server.port}\r\n".encode() in server.heads[0]
    urls.close()


def test_it_can_be_pickled_as_processes_need_it(urls: PhotoUrls) -> None:
    with serving(content(b"photo")) as server:
        copy: PhotoUrls = pickle.loads(pickle.dumps(urls))  # noqa: S301
        assert copy.fetch(server.url, 5) == b"photo"
        # Its connection is not left to be found by the garbage collector, in whichever test.
        copy.close()


def test_connections_are_used_again(urls: PhotoUrls) -> None:
    def twice(connection: socket.socket) -> None:
        content(b"one")(connection)
        connection.recv(65_536)
        content(b"two")(connection)

    with serving(twice) as server:
        assert [urls.fetch(server.url, 5) for _ in range(2)] == [b"one", b"two"]


@contextmanager
def connections() -> Iterator[list[str]]:
    """The addresses that this thread tries to connect to meanwhile, by any library."""
    tried: list[str] = []
    watching, thread = True, threading.get_ident()

    def hook(event: str, given: tuple[object, ...]) -> None:
        if watching and event == "socket.connect" and threading.get_ident() == thread:
            tried.append(str(given[1]))

    sys.addaudithook(hook)  # it can't be removed
    try:
        yield tried
    finally:
        watching = False


INWARD = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://127.0.1:{port}/",
    "http://127.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "https://127.0.0.1:{port}/",
]


@pytest.mark.parametrize("url", INWARD)
def test_no_socket_is_opened_inward(url: str) -> None:
    with (
        serving(content(b"secret")) as server,
        connections() as tried,
        pytest.raises(InvalidInput, match=r"public|not valid|a user or a password"),
    ):
        PhotoUrls(seconds=5).fetch(url.format(port=server.port), 100)
    assert not server.accepted
    assert not tried


def test_what_is_fetched_is_seen_to_connect(urls: PhotoUrls) -> None:
    with serving(content(b"photo")) as server, connections() as tried:
        urls.fetch(server.url, 5)
    assert tried == [str(("127.0.0.1", server.port))]


def test_the_same_of_loopback_by_ipv6() -> None:
    with (
        serving(content(b"secret"), host="::1") as server,
        pytest.raises(InvalidInput, match="public"),
    ):
        PhotoUrls(seconds=5).fetch(f"http://[::1]:{server.port}/", 100)
    assert not server.accepted


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/", "public"),
        ("http://[::ffff:169.254.169.254]/latest/meta-data/", "public"),
        ("http://2852039166/latest/meta-data/", "public"),
        ("http://0xa9fea9fe/latest/meta-data/", "public"),
        ("http://0251.0376.0251.0376/latest/meta-data/", "not valid"),
        ("http://[fe80::a9fe:a9fe]/", "public"),
        ("http://10.0.0.1/", "public"),
        ("http://172.16.0.1/", "public"),
        ("http://192.168.0.1/", "public"),
        ("http://100.64.0.1/", "public"),
        ("http://255.255.255.255/", "public"),
        ("http://224.0.0.1/", "public"),
        ("http://[fd00::1]/", "public"),
        ("http://[64:ff9b::a9fe:a9fe]/", "public"),
        ("http://[2002:7f00:1::]/", "public"),
        ("file:///etc/passwd", "no http or https URL"),
        ("ftp://example.com/a.jpg", "no http or https URL"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "no http or https URL"),
        ("data:image/png;base64,AAAA", "no http or https URL"),
        ("images/a.jpg", "no http or https URL"),
        ("http:///a.jpg", "names no host"),
        ("http://user:secret@example.com/a.jpg", "a user or a password"),
        ("http://exa\x00mple.com/", "not valid"),
        ("http://[::1/", "not valid"),
        ("http://example.com:99999999/", "not valid"),
        ("http://example.com/" + "a" * 3_000, "characters"),
    ],
)
def test_what_is_refused_is_refused_in_words(url: str, reason: str) -> None:
    with connections() as tried, pytest.raises(InvalidInput, match=reason) as refused:
        PhotoUrls(seconds=5).fetch(url, 100)
    assert "secret" not in str(refused.value)
    assert not tried


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["127.0.0.1", NOBODY], [NOBODY, "127.0.0.1"], [NOBODY, "::ffff:127.0.0.1"]],
    ids=" and ".join,
)
def test_every_address_of_a_name_must_be_public(addresses: list[str]) -> None:
    urls = PhotoUrls(seconds=5, find=lambda _host, _port: addresses)
    with (
        serving(content(b"secret")) as server,
        connections() as tried,
        pytest.raises(InvalidInput, match=r"127\.0\.0\.1"),
    ):
        urls.fetch(f"http://photos.example:{server.port}/", 100)
    assert not server.accepted
    assert not tried


def test_a_name_that_changes_its_answer_is_resolved_once() -> None:
    answers = iter([[NOBODY], ["127.0.0.1"], ["127.0.0.1"]])
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        del port
        asked.append(host)
        return next(answers)

    urls = PhotoUrls(seconds=0.5, find=rebinding)
    with serving(content(b"secret")) as server, pytest.raises(Unavailable, match="can't be read"):
        urls.fetch(f"http://rebinding.example:{server.port}/", 100)
    assert asked == ["rebinding.example"]
    assert not server.accepted


@pytest.mark.parametrize(
    "inward",
    [
        "http://localhost:{port}/",
        "https://localhost:{port}/",
        "http://2130706433:{port}/",
        "http://[::ffff:7f00:1]:{port}/",
        "//localhost:{port}/x",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("after", [0, 3])
def test_each_redirect_is_checked(urls: PhotoUrls, inward: str, after: int) -> None:
    before = [redirect(f"/{number}") for number in range(after)]
    with (
        serving(content(b"secret")) as inside,
        serving(*before, redirect(inward.format(port=inside.port))) as server,
        connections() as tried,
        pytest.raises(InvalidInput, match=r"public|no http"),
    ):
        urls.fetch(server.url, 100)
    assert not inside.accepted
    assert set(tried) == {str(("127.0.0.1", server.port))}


def test_redirects_are_followed_without_cookies_and_not_for_ever(urls: PhotoUrls) -> None:
    moved = [redirect(f"/{number}", "307 Temporary Redirect") for number in range(5)]
    with serving(*moved, content(b"photo")) as server:
        assert urls.fetch(server.url, 5) == b"photo"
    assert server.accepted == 6
    assert not any(b"cookie" in head.lower() for head in server.heads)
    with (
        serving(*moved, redirect("/6")) as server,
        pytest.raises(InvalidInput, match="more than 5"),
    ):
        urls.fetch(server.url, 5)


def test_proxies_of_the_environment_are_not_used(
    urls: PhotoUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(content(b"proxy")) as proxy, serving(content(b"photo")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert urls.fetch(server.url, 5) == b"photo"
    assert not proxy.accepted


@pytest.mark.parametrize(
    "answer",
    [
        endless,
        content(b"123456"),
        trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"),
    ],
    ids=["endless", "one too many", "a huge length"],
)
def test_too_many_bytes_are_refused(urls: PhotoUrls, answer: Answer) -> None:
    with serving(answer) as server, pytest.raises(InvalidInput, match="more than 5 bytes"):
        urls.fetch(server.url, 5)


@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["status", "header", "body"],
)
def test_a_trickle_ends_with_the_time(first: bytes) -> None:
    urls = PhotoUrls({"127.0.0.1"}, seconds=0.3)
    with serving(trickling(first)) as server, pytest.raises(Unavailable, match="takes too long"):
        urls.fetch(server.url, 10**9)


@pytest.mark.parametrize("answer", [lambda _: None, lambda it: it.sendall(b"\x00\x01\r\n\r\n")])
def test_no_answer_is_unavailable(urls: PhotoUrls, answer: Answer) -> None:
    with serving(answer) as server, pytest.raises(Unavailable):
        urls.fetch(server.url, 100)


def test_silence_ends_with_the_time() -> None:
    urls = PhotoUrls({"127.0.0.1"}, seconds=0.3)
    over = threading.Event()

    def silent(_: socket.socket) -> None:
        over.wait(5)

    with serving(silent) as server:
        with pytest.raises(Unavailable, match="can't be read now"):
            urls.fetch(server.url, 100)
        over.set()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("404 Not Found", InvalidInput),
        ("403 Forbidden", InvalidInput),
        ("304 Not Modified", InvalidInput),
        ("429 Too Many Requests", Unavailable),
        ("503 Service Unavailable", Unavailable),
    ],
)
def test_statuses(urls: PhotoUrls, status: str, error: type[Exception]) -> None:
    with serving(content(b"", status=status)) as server, pytest.raises(error, match=status[:3]):
        urls.fetch(f"{server.url}/a.jpg?signature=secret", 100)


def test_nothing_there_is_unavailable(urls: PhotoUrls) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="refused"):
            urls.fetch(f"http://127.0.0.1:{bound.getsockname()[1]}/", 100)
    nowhere = PhotoUrls(find=lambda _host, _port: [])
    with pytest.raises(Unavailable, match="no address"):
        nowhere.fetch("http://nowhere.example/", 100)


def test_certificates_are_verified_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = _certified(tmp_path, "photos.example")
    names = {"photos.example", "other.example"}
    urls = PhotoUrls(names, seconds=5, find=lambda _host, _port: ["127.0.0.1"])
    with serving(content(b"photo"), tls=context) as server, pytest.raises(Unavailable):
        urls.fetch(f"https://photos.example:{server.port}/", 5)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    urls.close()
    with serving(content(b"photo"), tls=context) as server:
        assert urls.fetch(f"https://photos.example:{server.port}/", 5) == b"photo"
    with serving(content(b"photo"), tls=context) as server, pytest.raises(Unavailable):
        urls.fetch(f"https://other.example:{server.port}/", 5)
    urls.close()


def _certified(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a certificate for this name, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("64:ff9b::5db8:d822", True),
        ("::ffff:93.184.216.34", True),
        ("2002:5db8:d822::1", True),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("::", False),
        ("::127.0.0.1", False),
        ("64:ff9b:1::7f00:1", False),
        ("fe80::1%lo", False),
        ("fec0::1", False),
        ("ff0e::1", False),
        ("2001:db8::1", False),
        ("not an address", False),
    ],
)
def test_which_addresses_are_public(address: str, *, public: bool) -> None:
    assert is_public(address) == public


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_as_public_in_every_dress(address: IPv4Address) -> None:
    number = int(address)
    for dressed in (
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
    ):
        assert is_public(str(dressed)) == is_public(str(address))
    if address.is_private or address.is_loopback or address.is_link_local:
        assert not is_public(str(address))
