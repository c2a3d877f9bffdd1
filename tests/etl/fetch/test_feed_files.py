import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.fetch.feed_files import FeedFile, feed_files, is_hidden, safe_name
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
    ("given", "found"),
    [
        (("a/Products.csv", "a/images/x", "README.md", "b/x"), {"Products.csv", "images/x"}),
        (("a/b/Products.csv", "a/b/images/x.jpg"), {"Products.csv", "images/x.jpg"}),
        (("Products.csv", "old/Products.csv"), {"Products.csv", "old/Products.csv"}),
        (("products.csv", "IMAGES.CSV"), {"products.csv", "IMAGES.CSV"}),
        (("a/PRODUCTS.CSV", "a/export.csv"), {"PRODUCTS.CSV", "export.csv"}),
        (("export.tsv", "readme.txt", "photos/x"), {"export.tsv", "readme.txt", "photos/x"}),
        (("a/export.ndjson", "a.zip", "LICENSE.txt"), {"export.ndjson"}),
        (("a/export.json", "a/notes.txt"), {"export.json", "notes.txt"}),
        (("Products.csv", "images\\x.jpg"), {"Products.csv", "images/x.jpg"}),
        (("top\\Products.csv", "top\\images\\x.jpg"), {"Products.csv", "images/x.jpg"}),
        (("a/Products.csv", "../../x.jpg", "/etc/x", "x\n"), {"Products.csv"}),
        (
            ("Products.csv", "Icon\r", "images/Icon\r", "Thumbs.db", "images/Desktop.ini",
             "__MACOSX/images/x.jpg", "images/.DS_Store", "images/@eaDir/x.jpg/thumb.jpg",
             "~$Products.csv"),
            {"Products.csv"},
        ),
    ],
)  # fmt: skip
def test_what_is_beside_the_feed_is_passed_over(given: tuple[str, ...], found: set[str]) -> None:
    assert set(names(*given)) == found


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ((), "holds nothing, but no table"),
        (("a.zip", "readme.txt"), "holds a.zip, readme.txt, but no table"),
        (("images/x.jpg", "images/y.jpg", "Icon\r"), "holds images/, but no table"),
        (tuple(f"{number}.jpg" for number in range(9)), "4.jpg and 4 more, but no table"),
        (("a/Products.csv", "b/Products.csv"), "several feeds, in a/, b/"),
        (("a/x.csv", "b/x.csv"), "several feeds, in a/, b/"),
    ],
)
def test_what_is_no_feed_is_refused_by_what_was_seen(given: tuple[str, ...], seen: str) -> None:
    with pytest.raises(InvalidFeed, match=re.escape(seen)):
        names(*given)


@pytest.mark.parametrize("bad", ["../x.jpg", "images/..\\..\\x.jpg", "\\x.jpg", "c:\\x.jpg"])
def test_what_would_be_written_is_judged(bad: str) -> None:
    with pytest.raises(InvalidFeed, match="unsafe name"):
        names("Products.csv", bad)
    with pytest.raises(InvalidFeed, match="unsafe name"):
        names("top/Products.csv", f"top/{bad}")


parts = st.text("a.\\/~: \r\n\x00éZ", min_size=1, max_size=8) | st.sampled_from(
    ["..", "Icon\r", "__MACOSX", "images", "C:", ".x"]
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(parts, min_size=1, max_size=4).map("/".join), max_size=4), st.booleans())
def test_no_name_leads_out_of_the_folder(given_names: list[str], below: bool) -> None:
    try:
        found = names("top/Products.csv" if below else "Products.csv", *given_names)
    except InvalidFeed:
        return
    for name in found:
        path = PurePosixPath(name)
        assert not path.is_absolute()
        assert not {"..", "."} & {*path.parts}
        assert "\\" not in name
        assert name.isprintable()
        assert not is_hidden(name)


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InvalidFeed, match=r"images/x\.jpg twice"):
        names("Products.csv", "images/x.jpg", "./images/x.jpg")


@pytest.mark.parametrize("deep", ["images/x.jpg", "images/a/b/x.jpg"])
def test_a_file_that_is_a_folder_too_is_refused(deep: str) -> None:
    with pytest.raises(InvalidFeed, match="images both as a file and as a folder"):
        names("Products.csv", "images", deep)
