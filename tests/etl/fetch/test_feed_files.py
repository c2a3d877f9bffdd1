import pytest

from etl.fetch.feed_files import FeedFile, feed_files, safe_name
from models.domain.errors import InvalidFeed


def listed(*names: str) -> list[FeedFile]:
    return [FeedFile(name, name, 1, "1") for name in names]


def names(*given: str) -> list[str]:
    return [file.name for file in feed_files(listed(*given), "there")]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "images/../../x",
        "images/..",
        "/etc/passwd",
        "//host/share",
        "images//x",
        "images/",
        "x\0.jpg",
        "x\n.jpg",
        "x\x7f.jpg",
        "\udcff.jpg",
        "C:x",
        "c:/x",
        "..\\x",
        "\\\\host\\share",
        "x" * 251,
        "é" * 126,
    ],
)
def test_an_unsafe_name_is_refused_and_named(name: str) -> None:
    with pytest.raises(InvalidFeed, match="there holds a file with an unsafe name") as refused:
        safe_name(name, "there")
    assert ascii(name)[:200] in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["x", "images/x.jpg", "été/10:30 …jpg", "x" * 250, "...", "a..b"])
def test_an_honest_name_is_as_it_was(name: str) -> None:
    assert safe_name(name, "there") == name


def test_a_dot_component_means_nothing() -> None:
    assert safe_name("./images/./x.jpg", "there") == "images/x.jpg"


def test_hidden_and_unfinished_files_are_none_of_the_feed() -> None:
    given = ("Products.csv", ".git/config", "images/.x.jpg", "images/y.jpg.part", ".fetch.jsonl")
    assert names(*given) == ["Products.csv"]


def test_the_only_top_folder_is_the_feed() -> None:
    assert names("a/Products.csv", "a/images/x.jpg", "__MACOSX/._a") == [
        "Products.csv",
        "images/x.jpg",
    ]


@pytest.mark.parametrize(
    "given",
    [
        ("a/Products.csv", "b/x.jpg"),
        ("a/b/Products.csv",),
        ("a/Products.csv", "x.jpg"),
        ("products.csv",),
        (),
    ],
)
def test_what_has_no_products_is_no_feed(given: tuple[str, ...]) -> None:
    with pytest.raises(InvalidFeed, match=r"there is not a feed: it holds no Products\.csv"):
        names(*given)


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InvalidFeed, match=r"images/x\.jpg twice"):
        names("Products.csv", "images/x.jpg", "./images/x.jpg")


@pytest.mark.parametrize("deep", ["images/x.jpg", "images/a/b/x.jpg"])
def test_a_file_that_is_a_folder_too_is_refused(deep: str) -> None:
    with pytest.raises(InvalidFeed, match="images both as a file and as a folder"):
        names("Products.csv", "images", deep)
