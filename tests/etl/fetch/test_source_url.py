import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from etl.fetch.source_url import feed_name, former_feed_name, is_archive, is_table, split_url
from models.domain.errors import InvalidFeed
from models.domain.urls import is_url, redact
from tests.support.archives import pack_zip


@pytest.mark.parametrize("source", ["s3://bucket/x", "SFTP://host/x", "file:///x", "ftp://host"])
def test_what_is_a_url(source: str) -> None:
    assert is_url(source)


@pytest.mark.parametrize("source", ["feeds/today", "/feeds", "C:/feeds", "a b://c", "", "://"])
def test_what_is_a_path(source: str) -> None:
    assert not is_url(source)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("feeds/today", "today"),
        ("feeds/today/", "today"),
        ("feeds/today.tar.gz", "today"),
        ("feeds/Today.TGZ", "Today"),
        ("s3://bucket/a/b.zip", "b"),
        ("s3://bucket", "bucket"),
        ("s3://bucket/", "bucket"),
        ("sftp://me@host:22/data/gumtree/", "gumtree"),
        ("https://host/x/feed.tar?signature=abc/def.zip", "feed"),
        ("https://host/my%20feed%2F..%2Fx.zip", "x"),
        ("https://host/%2e%2e", "feed~5ec1f7e700f3"),
        ("https://host/.hidden.zip", "hidden~1692419006a8"),
        ("https://host/été & co.zip", "été - co~ad2b3f74bcab"),
        ("https://host/" + "x" * 300, "x" * 87 + "~0d4e2ca9e9cb"),
        ("https://host/" + "x" * 100, "x" * 100),
        ("feeds/_a.b-c_", "_a.b-c_"),
        ("feeds/каталог", "каталог"),
        ("feeds/商品", "商品"),
        ("feeds/cafe\u0301", "caf\u00e9"),
        ("feeds/my shop", "my shop"),
        ("feeds/a~b", "a-b~941528e5e77c"),
        ("s3://bucket/export.csv", "export"),
        ("exports/export-2026-11-27.csv", "export"),
        ("exports/export_20261127T0630Z.XML", "export"),
        ("exports/export 27.11.2026.tsv", "export"),
        ("exports/export-2026-11-27-063011.parquet", "export"),
        ("exports/2026-11-27.csv", "2026-11-27"),
        ("exports/products_export_1.csv", "products_export_1"),
        ("exports/export-20261399.csv", "export-20261399"),
        ("exports/export-2026-11-27.zip", "export-2026-11-27"),
        ("exports/export-2026-11-27", "export-2026-11-27"),
    ],
)
def test_a_feed_is_named_after_the_last_component(source: str, name: str) -> None:
    assert feed_name(source) == name


SAFE = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")

folder_names = st.text(
    st.characters(exclude_characters="/\0") | st.sampled_from("~-. aé\u0301_商"),
    min_size=1,
    max_size=30,
).filter(lambda name: name.strip(".") and "://" not in name and not is_archive(f"/{name}"))


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@example("каталог", "商品")
@example("a b", "a-b")
@example("a?", "a:")
@example("a?", feed_name("/a?"))
@example(".a", "a")
@example("é" * 60, "é" * 61)
@given(folder_names, folder_names)
def test_names_that_differ_are_names_of_different_feeds(one: str, other: str) -> None:
    names = [feed_name(f"/{name}/") for name in (one, other)]
    forms = [unicodedata.normalize("NFC", name) for name in (one, other)]
    assume(not any(is_table(f"/{name}") for name in (one, other)))
    assert (names[0] == names[1]) == (forms[0] == forms[1])
    for name, written in zip(names, (one, other), strict=True):
        assert len(f"{name}-rejects.csv.part".encode()) <= 255
        assert "/" not in name
        assert name not in {".", ".."}
        assert not any(unicodedata.category(character).startswith("C") for character in name)
        assert name == unicodedata.normalize("NFC", name)
        if SAFE.fullmatch(written):
            assert name == written == former_feed_name(f"/{written}")


def test_both_unicode_forms_of_a_name_are_one_feed() -> None:
    assert feed_name("feeds/Möbel") == feed_name("feeds/Mo\u0308bel") == "Möbel"


def test_an_archive_that_is_here_is_known_by_its_content(tmp_path: Path) -> None:
    zipped = pack_zip(tmp_path / "export", {"x": b"x"})
    assert is_archive(str(zipped))
    assert not is_archive(str(zipped.rename(tmp_path / "export.xlsx")))
    (tmp_path / "text").write_bytes(b"id,title\n")
    assert not is_archive(str(tmp_path / "text"))
    assert not is_archive(str(tmp_path))


def test_a_path_is_named_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "2024-11-22").touch()
    (tmp_path / "latest.zip").symlink_to("2024-11-22")
    monkeypatch.chdir(tmp_path)

    assert feed_name("latest.zip") == "latest"
    assert is_archive("latest.zip")
    assert feed_name(".") == feed_name("") == feed_name("x/..") == tmp_path.name


def test_an_archive_is_known_by_its_path_not_by_its_query() -> None:
    assert is_archive("https://host/a.zip?x=1@2")
    assert is_archive("feeds/A.TAR.GZ")
    assert not is_archive("https://host/list?name=a.zip")
    assert not is_archive("feeds/a.gz")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sftp://me:hush@host:22/a/b", "sftp://host:22/a/b"),
        ("https://host/a.zip?X-Amz-Signature=hush#hush", "https://host/a.zip"),
        ("https://me:hu/sh@host/a", "https://host/a"),
        ("https://me:hu?sh@host/a", "https://…"),
        ("https://me:hu#sh@host/a", "https://…"),
        ("https://me:hu@sh@host/a", "https://host/a"),
        ("https://host/a?b=hush@hush", "https://…"),
        ("feeds/a?b@c", "feeds/a?b@c"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "sftp://me:hush@host/a",
        "https://me:hush@host/a.zip",
        "s3://me:hush@bucket",
        "sftp://me:hu/sh@host/a",
        "sftp://:hush@host/a",
        "https://[host",
        "https://host:99999/?hush",
    ],
)
def test_a_password_or_nonsense_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidFeed) as refused:
        split_url(url)
    assert "hush" not in str(refused.value)
