from pathlib import Path

import pytest

from etl.fetch.source_url import feed_name, is_archive, split_url
from models.domain.errors import InvalidFeed
from models.domain.urls import is_url, redact


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
        ("https://host/%2e%2e", "feed"),
        ("https://host/.hidden.zip", "hidden"),
        ("https://host/été & co.zip", "t-co"),
        ("https://host/" + "x" * 300, "x" * 100),
    ],
)
def test_a_feed_is_named_after_the_last_component(source: str, name: str) -> None:
    assert feed_name(source) == name


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
