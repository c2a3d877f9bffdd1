"""Weights that are none are refused by every command that would use them, and leave nothing."""

from pathlib import Path

import pytest

from db.session import Database
from db.vectors.encoders import all_encoders
from models.domain.errors import ExitCode
from tests.support.commands import invoke
from tests.support.feeds import image_row, product_row, write_feed
from tests.support.pictures import jpeg

COMMANDS = [
    ("up",),
    ("demo", "--once"),
    ("worker", "search"),
    ("worker", "embed"),
    ("seed", "{feed}", "--inline"),
    ("encoder", "list"),
    ("encoder", "register", "{weights}"),
    ("encoder", "migrate", "{weights}", "--inline"),
    ("encoder", "export", "{weights}", "--calibrate", "{feed}"),
    ("train", "--data", "{clean}"),
    ("train", "--data", "{clean}", "--encoder", "{weights}"),
    ("evaluate", "--data", "{clean}"),
    ("evaluate", "{weights}", "--data", "{clean}"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A feed of 40 photos, the same cleaned, and a text file that is given as weights."""
    folder = tmp_path_factory.mktemp("feed")
    numbers = range(1, 41)
    feed = write_feed(
        folder / "feed",
        [product_row(number) for number in numbers],
        [image_row(number, number) for number in numbers],
        {number: jpeg(number) for number in numbers},
    )
    invoke("clean", feed, folder / "clean")
    weights = folder / "weights.safetensors"
    weights.write_text("This is a text.")
    return {"feed": feed, "clean": folder / "clean", "weights": weights}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_text_given_as_weights_is_refused_in_one_line_and_not_kept(
    command: tuple[str, ...],
    folders: dict[str, Path],
    database: Database,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("MARKETLENS_DATABASE_URL", sqlite_url)
    monkeypatch.delenv("MARKETLENS_ENCODER", raising=False)
    monkeypatch.setenv("MARKETLENS_WEIGHTS", str(folders["weights"]))
    result = invoke(*(word.format(**folders) for word in command))
    assert result.exit_code == ExitCode.NOT_DONE
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("marketlens: ")]
    assert "neither safetensors nor a state dict" in line
    with database.read() as session:
        assert all_encoders(session) == []
    assert [*(tmp_path / "var").glob("models/*")] == []
