import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.domain.errors import WeightsError, WeightsMissing, WeightsRefused
from models.encoders.networks.architectures import RESNET50, DownloadedWeights, InstalledWeights
from models.encoders.weights import downloaded_weights, given_weights, installed_weights

CONTENT = bytes(range(256)) * 9_000


@dataclass
class Mirror:
    """A real HTTP server that hands out one body, and counts how often it was asked."""

    body: bytes = CONTENT
    declared_length: int | None = len(CONTENT)
    status: int = 200
    requests: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def published(self) -> DownloadedWeights:
        return DownloadedWeights(
            url=f"http://127.0.0.1:{self.port}/models/weights.pth",
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            size=len(CONTENT),
        )


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mirror = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.requests.append(self.path)
            self.send_response(mirror.status)
            if mirror.declared_length is not None:
                self.send_header("Content-Length", str(mirror.declared_length))
            self.end_headers()
            with suppress(ConnectionError):  # a client that has seen enough hangs up
                self.wfile.write(mirror.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mirror.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    server.shutdown()
    thread.join()
    server.server_close()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_given_file_is_used_as_it_is(tmp_path: Path, mirror: Mirror) -> None:
    given = tmp_path / "mine.safetensors"
    given.write_bytes(b"weights")
    assert given_weights(given) == given
    assert not mirror.requests


@pytest.mark.parametrize("name", ["absent.pth", "."])
def test_a_given_path_that_is_no_file_is_an_error_not_a_download(
    tmp_path: Path, mirror: Mirror, name: str
) -> None:
    with pytest.raises(WeightsMissing, match="MARKETLENS_WEIGHTS names, is not a file"):
        given_weights(tmp_path / name)
    assert not mirror.requests


def test_weights_are_downloaded_once(tmp_path: Path, mirror: Mirror) -> None:
    models_dir = tmp_path / "var" / "models"
    progress: list[tuple[int, int]] = []
    first = downloaded_weights(
        mirror.published, models_dir, lambda received, total: progress.append((received, total))
    )
    second = downloaded_weights(mirror.published, models_dir)
    assert first == second == models_dir / "weights.pth"
    assert first.read_bytes() == CONTENT
    assert mirror.requests == ["/models/weights.pth"]
    assert files_in(models_dir) == ["weights.pth"]
    assert [received for received, _ in progress] == sorted(received for received, _ in progress)
    assert progress[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    ("body", "declared_length", "error"),
    [
        (CONTENT[:-1] + b"?", len(CONTENT), WeightsRefused),
        (CONTENT[:-1], None, WeightsRefused),
        (CONTENT * 2, len(CONTENT) * 2, WeightsRefused),
        (CONTENT[:1000], len(CONTENT), WeightsMissing),
    ],
    ids=["another hash", "too short", "too long", "broken off"],
)
def test_anything_but_the_published_bytes_leaves_no_file(
    tmp_path: Path,
    mirror: Mirror,
    body: bytes,
    declared_length: int | None,
    error: type[WeightsError],
) -> None:
    mirror.body, mirror.declared_length = body, declared_length
    with pytest.raises(error, match=re.escape(mirror.published.url)):
        downloaded_weights(mirror.published, tmp_path)
    assert files_in(tmp_path) == []


def test_an_endless_download_is_cut(tmp_path: Path, mirror: Mirror) -> None:
    mirror.body, mirror.declared_length = CONTENT * 20, None
    received = 0

    def note(so_far: int, _total: int) -> None:
        nonlocal received
        received = so_far

    with pytest.raises(WeightsRefused, match="larger"):
        downloaded_weights(mirror.published, tmp_path, note)
    assert received <= len(CONTENT)


def test_a_missing_page_is_named(tmp_path: Path, mirror: Mirror) -> None:
    mirror.status = 404
    with pytest.raises(WeightsMissing, match=r"can't be downloaded from .*404"):
        downloaded_weights(mirror.published, tmp_path)
    assert files_in(tmp_path) == []


def test_an_unreachable_server_is_named(tmp_path: Path, mirror: Mirror) -> None:
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        closed = replace(mirror.published, url=f"http://127.0.0.1:{taken.getsockname()[1]}/w.pth")
        with pytest.raises(WeightsMissing) as caught:
            downloaded_weights(closed, tmp_path)
    sentence = str(caught.value)
    assert closed.url in sentence
    assert "\n" not in sentence


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path, mirror: Mirror) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(WeightsMissing, match=r"can't be kept in .*file/models"):
        downloaded_weights(mirror.published, blocked / "models")


def test_a_download_damaged_on_disk_is_refused(tmp_path: Path, mirror: Mirror) -> None:
    path = downloaded_weights(mirror.published, tmp_path)
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(WeightsRefused, match=re.escape(str(path))):
        downloaded_weights(mirror.published, tmp_path)


def test_the_published_weights_are_the_ones_torchvision_names() -> None:
    from models.encoders.networks.torchvision_cpu import ResNet50_Weights  # noqa: PLC0415 - only this test needs it

    weights, published = ResNet50_Weights.IMAGENET1K_V2, RESNET50.weights
    assert isinstance(published, DownloadedWeights)
    assert weights.url == published.url
    assert published.filename == f"resnet50-{published.sha256[:8]}.pth"


def test_installed_weights_are_found_without_running_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (package / "weights.pth").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    right = hashlib.sha256(CONTENT).hexdigest()
    installed = InstalledWeights("some-weights", "some_weights", "weights.pth", right)
    assert installed_weights(installed) == package / "weights.pth"
    with pytest.raises(WeightsRefused, match="install some-weights anew"):
        installed_weights(replace(installed, sha256="0" * 64))
    for absent in (replace(installed, filename="w.pth"), replace(installed, module="no_weights")):
        with pytest.raises(WeightsMissing, match="some-weights is not installed"):
            installed_weights(absent)
