"""`marketlens search`, `similar` and `recommend`, on a catalogue that was seeded."""

import json
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from typer.testing import Result

from db.consumption import consumed_lately
from db.session import Database
from models.domain.errors import InvalidInput, MarketlensError, NotFound, UnsupportedPhoto
from tests.support.commands import invoke
from tests.support.feeds import image_row, product_row, write_feed
from tests.support.pictures import jpeg


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a catalogue of three listings: Lamp 1 to Lamp 3."""
    folder = tmp_path_factory.mktemp("catalogue")
    numbers = (1, 2, 3)
    feed = write_feed(
        folder / "feed",
        [product_row(number) for number in numbers],
        [image_row(number, number) for number in numbers],
        {number: jpeg(number) for number in numbers},
    )
    with pytest.MonkeyPatch.context() as patch:
        use(folder, patch)
        for command in (["migrate"], ["seed", str(feed), "--inline"]):
            ended = invoke(*command)
            assert ended.exit_code == 0, ended.output
    return folder


def use(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("MARKETLENS_DATA_DIR", str(folder / "var"))
    patch.setenv("MARKETLENS_ENCODER", "hog")
    for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
        patch.delenv(f"MARKETLENS_{name}", raising=False)


@pytest.fixture(autouse=True)
def data_dir(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(catalogue, monkeypatch)
    return catalogue / "var"


def photo(folder: Path, number: int) -> str:
    path = folder / "query.jpg"
    path.write_bytes(jpeg(number))
    return str(path)


def run(*arguments: str) -> Result:
    result = invoke(*arguments)
    if isinstance(result.exception, MarketlensError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def titles(*arguments: str) -> list[str]:
    told = json.loads(run(*arguments, "--json").stdout.splitlines()[-1])
    return [one["title"] for one in told["results"]]


def id_of(title: str) -> str:
    told = json.loads(run("search", *title.split(), "--json").stdout.splitlines()[-1])
    listing_id: str = told["results"][0]["listing_id"]
    return listing_id


def test_a_photo_finds_its_listing_without_a_worker(tmp_path: Path) -> None:
    ended = run("search", photo(tmp_path, 2), "--limit", "1")
    assert "Lamp 2" in ended.stdout
    assert "No search worker runs" in ended.stderr
    assert "broker" not in ended.output


def test_who_answers_by_itself_is_no_worker(data_dir: Path, tmp_path: Path) -> None:
    run("search", photo(tmp_path, 1))
    database = Database(f"sqlite:///{data_dir / 'marketlens.db'}")
    with database.read() as session:
        assert consumed_lately(session, database.now()) == {}
    database.close()


def test_words_and_a_photo_with_words(tmp_path: Path) -> None:
    assert titles("search", "lamp", "3")[0] == "Lamp 3"
    assert titles("search", photo(tmp_path, 2), "lamp")[0] == "Lamp 2"


def test_a_listing_finds_those_like_it() -> None:
    found = titles("similar", id_of("Lamp 1"))
    assert sorted(found) == ["Lamp 2", "Lamp 3"]


def test_filters(tmp_path: Path) -> None:
    assert titles("search", photo(tmp_path, 1), "--category", "Nothing of the kind") == []
    assert "Nothing was found." in run("search", "lamp", "--price-max", "0.01").stdout


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["search", "/no/such/photo.jpg"], InvalidInput),
        (["search", "lamp", "--price-max", "cheap"], InvalidInput),
        (["similar", str(uuid4())], NotFound),
    ],
)
def test_what_can_not_be_asked(arguments: list[str], error: type[MarketlensError]) -> None:
    with pytest.raises(error):
        run(*arguments)


def test_a_file_that_is_no_photo_and_two_photos(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no photo")
    with pytest.raises(UnsupportedPhoto):
        run("search", str(text))
    with pytest.raises(InvalidInput, match="One photo"):
        run("search", photo(tmp_path, 1), str(text))


def test_tables_show_ids_whole_in_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in (["search", photo(tmp_path, 1)], ["recommend"]):
        shown = run(*command).stdout
        ids = {word for word in shown.split() if len(word) == len(str(uuid4()))}
        assert {str(UUID(one)) for one in ids} == ids
        assert len(ids) == 3
        assert max(map(len, shown.splitlines())) <= 80
