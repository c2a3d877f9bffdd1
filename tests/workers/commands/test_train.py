"""`marketlens train` from its options to what it leaves, on small drawn photos."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import Result

from models.domain.errors import (
    Conflict,
    InvalidFeed,
    InvalidInput,
    MarketlensError,
    WeightsMissing,
)
from models.domain.types import EncoderSpec
from models.encoders.library import EncoderLibrary
from models.encoders.runtimes import open_encoder
from models.head import load_head
from models.labels import Level
from models.photos import decode
from models.training.data.split import Part, load_split
from tests.support.commands import invoke
from tests.support.feeds import image_row, product_row, write_feed
from tests.support.networks import write_weights
from workers.commands.labelled_photos import labelled_in_folder

COLOURS = {
    "Home / Lamps": (210, 60, 60),
    "Home / Rugs": (60, 190, 60),
    "Toys / Cars": (60, 60, 210),
}
LISTINGS = 24

Run = Callable[..., Result]


def photo(number: int) -> bytes:
    """Noise around the colour of its listing's category."""
    colour = list(COLOURS.values())[(number - 1) % len(COLOURS)]
    noise = np.random.default_rng(number).normal(colour, 30, (48, 48, 3))
    file = io.BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


def write_clean(folder: Path, categories: list[str]) -> Path:
    """A cleaned feed with a listing, of one photo, for each of the categories."""
    numbers = range(1, len(categories) + 1)
    feed = write_feed(
        folder / "feed",
        [product_row(n, category=path) for n, path in zip(numbers, categories, strict=True)],
        [image_row(number, number) for number in numbers],
        {number: photo(number) for number in numbers},
    )
    invoke("clean", feed, folder / "clean")
    return folder / "clean"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 listings of three categories in turn."""
    paths = list(COLOURS)
    folder = tmp_path_factory.mktemp("train")
    return write_clean(folder, [paths[number % len(paths)] for number in range(LISTINGS)])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "untrained.safetensors")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs the command; what it refuses to do is raised."""
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("MARKETLENS_ENCODER", "hog")
    monkeypatch.setenv("MARKETLENS_THREADS", "1")
    for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
        monkeypatch.delenv(f"MARKETLENS_{name}", raising=False)
    threads = torch.get_num_threads()

    def run(*words: object, ends: int = 0) -> Result:
        result = invoke("train", *words)
        if isinstance(result.exception, MarketlensError):
            raise result.exception
        assert result.exit_code == ends, result.output
        return result

    yield run
    torch.set_num_threads(threads)


def last_line(result: Result) -> Any:
    return json.loads(result.stdout.splitlines()[-1])


def accuracy_by_hand(told: dict[str, Any], clean: Path, models_dir: Path) -> float:
    """The accuracy on test photos of what was left: the encoder by its label, and its head."""
    library = EncoderLibrary("hog", None, models_dir)
    spec: EncoderSpec = library.find(told["encoder"])
    head = load_head(models_dir / spec.label / "head.safetensors", spec)
    photos = labelled_in_folder(clean, Level(told["level"]))
    split = load_split(Path(told["run"]) / "split.json", photos)
    test = photos.take(split.rows(photos, Part.TEST))
    vectors = open_encoder(library, spec, 1).embed(
        [decode(test.read(row)) for row in range(len(test))]
    )
    predicted = [head.categories[number] for number in head.probabilities(vectors).argmax(axis=1)]
    return float(
        np.mean([one == other for one, other in zip(predicted, test.categories, strict=True)])
    )


def test_a_probe_leaves_a_head_and_says_how_good_it_is(
    run: Run, clean: Path, tmp_path: Path
) -> None:
    told = last_line(run("--data", clean, "--level", "sub", "--json"))
    assert told["mode"] == "probe"
    assert [one["category"] for one in told["categories"]] == sorted(COLOURS)
    assert told["photos"] == told["listings"] == {"train": 18, "validation": 3, "test": 3}
    # Colours are all that there is to see.
    assert told["accuracy"]["test"]["value"] > 0.6 > told["majority_accuracy"]
    by_hand = accuracy_by_hand(told, clean, tmp_path / "var" / "models")
    assert by_hand == pytest.approx(told["accuracy"]["test"]["value"])
    folder = Path(told["run"])
    assert folder.parent == tmp_path / "var" / "training"
    assert {path.name for path in folder.iterdir()} > {
        *("split.json", "metrics.json", "confusion.png", "curves.png", "worst.png", "tensorboard")
    }
    kept = json.loads((folder / "metrics.json").read_bytes())
    assert kept["accuracy"] == told["accuracy"]


def test_roots_are_told_apart_by_default(run: Run, clean: Path) -> None:
    told = last_line(run("--data", clean, "--json"))
    assert [one["category"] for one in told["categories"]] == ["Home", "Toys"]


def test_the_same_command_gives_the_same_figures(run: Run, clean: Path) -> None:
    one, other = (last_line(run("--data", clean, "--json")) for _ in range(2))
    assert one.pop("seconds").keys() == other.pop("seconds").keys()
    assert one == other


def test_the_database_is_the_default(run: Run, clean: Path) -> None:
    invoke("seed", clean, "--no-wait")
    told, of_folder = last_line(run("--json")), last_line(run("--data", clean, "--json"))
    assert told["accuracy"] == of_folder["accuracy"]
    assert told["run"] == of_folder["run"]


def test_a_finetuning_leaves_an_encoder_and_its_head(
    run: Run, clean: Path, weights: Path, tmp_path: Path
) -> None:
    what = ("--data", clean, "--level", "sub", "--mode", "finetune", "--encoder", weights)
    how = ("--size", 32, "--epochs", 1, "--batch", 8, "--out", tmp_path / "run")
    said = run(*what, *how).output
    told = json.loads((tmp_path / "run" / "metrics.json").read_bytes())
    told |= {"run": tmp_path / "run"}
    assert f"marketlens encoder migrate {told['encoder']}" in said
    assert len(told["epochs"]) == 1
    by_hand = accuracy_by_hand(told, clean, tmp_path / "var" / "models")
    assert by_hand == pytest.approx(told["accuracy"]["test"]["value"])
    library = EncoderLibrary("hog", None, tmp_path / "var" / "models")
    training = library.facts(library.find(told["encoder"]))["training"]
    assert isinstance(training, dict)
    assert training["size"] == 32
    assert told["probe"]["encoder"] != told["encoder"]
    gain = told["accuracy"]["test"]["value"] - told["probe"]["accuracy"]["test"]["value"]
    assert told["gain"]["accuracy"]["value"] == pytest.approx(gain)


def test_what_a_probe_does_not_know_is_refused(run: Run, clean: Path) -> None:
    said = run("--data", clean, "--size", 64, "--metric-loss", "none", ends=2).output
    assert "--size, --metric-loss" in said


def test_a_run_of_other_photos_or_settings_is_not_gone_on_with(
    run: Run, clean: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "run")
    run("--data", clean, *out)
    with pytest.raises(Conflict, match="another seed"):
        run("--data", clean, "--seed", 1, *out)
    changed = write_clean(tmp_path / "changed", list(COLOURS) * 6)
    with pytest.raises(Conflict, match="have changed"):
        run("--data", changed, *out)


def test_a_category_of_few_listings_is_left_out_and_named(run: Run, tmp_path: Path) -> None:
    few = write_clean(tmp_path, [*["Home", "Toys"] * 8, "Books"])
    result = run("--data", few, "--json")
    assert "Books is left out: 1 listing" in result.stderr
    assert last_line(result)["left_out"] == {"Books": 1}


def test_one_category_is_nothing_to_learn(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing to tell apart"):
        run("--data", write_clean(tmp_path, ["Home"] * 8))


def test_a_feed_must_be_clean(run: Run, clean: Path) -> None:
    with pytest.raises(InvalidFeed, match="marketlens clean"):
        run("--data", clean.parent / "feed")


def test_an_encoder_without_weights_has_nothing_to_fine_tune(run: Run, clean: Path) -> None:
    with pytest.raises(WeightsMissing, match="has no weights"):
        run("--data", clean, "--mode", "finetune")
