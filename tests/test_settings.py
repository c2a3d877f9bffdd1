"""Settings as people write them: taken as they are meant, or refused in one line."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import SetupError
from settings import MAX_SOCKET_PATH, PREFIX, Settings, _warn_if_unknown
from workers.queue.broker import celery_url, redis_url

SECRET = "pa55word"  # noqa: S105 - of nothing
"""Part of values that no message may show."""


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Sets settings as a shell does, in a folder without a `.env`."""
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    _warn_if_unknown.cache_clear()

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(PREFIX + name.upper(), value)

    return set_all


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_tilde_is_the_home_folder(
    environ: Callable[..., None], tmp_path: Path, where: str
) -> None:
    home = tmp_path / "home"
    given_values = {"DATA_DIR": "~/ml", "WEIGHTS": "~/w.safetensors"}
    if where == ".env":
        lines = [f"{PREFIX}{name}={value}" for name, value in given_values.items()]
        (tmp_path / ".env").write_text("\n".join(lines))
    else:
        environ(**given_values)
    read = Settings()
    assert (read.data_dir, read.weights) == (home / "ml", home / "w.safetensors")


@pytest.mark.parametrize("name", ["~x", "a~", "a/~/b"])
def test_other_tildes_are_part_of_names(
    environ: Callable[..., None], tmp_path: Path, name: str
) -> None:
    environ(data_dir=name)
    assert Settings().data_dir.absolute() == tmp_path / name


@pytest.mark.parametrize("level", ["info", "INFO", "Info", " info "])
def test_a_log_level_is_taken_in_any_case(environ: Callable[..., None], level: str) -> None:
    environ(log_level=level)
    assert Settings().log_level == "INFO"


@pytest.mark.parametrize("host", ["[::1]", "::1", " ::1 "])
def test_an_ipv6_host_is_taken_as_in_urls(environ: Callable[..., None], host: str) -> None:
    environ(host=host)
    assert Settings().host == "::1"


def test_what_kubernetes_makes_for_a_service_of_our_name_is_no_setting(
    environ: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    address = "tcp://10.96.0.1:8000"
    environ(port=address, port_8000_tcp=address, service_host="10.96.0.1")
    assert Settings().port == Settings.model_fields["port"].default
    assert not caplog.records


@pytest.mark.parametrize("where", ["environment", ".env"])
@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("MARKETLENS_DATADIR", "MARKETLENS_DATA_DIR"),
        ("MARKETLENS_REDIS", "MARKETLENS_REDIS_URL"),
        ("MARKETLENS_DATABASE", "MARKETLENS_DATABASE_URL"),
        ("marketlens_prot", "MARKETLENS_PORT"),
    ],
)
def test_a_variable_that_is_no_setting_is_named_with_the_nearest(
    environ: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    where: str,
    variable: str,
    nearest: str,
) -> None:
    del environ
    if where == ".env":
        (tmp_path / ".env").write_text(f"{variable}=1\n")
    else:
        monkeypatch.setenv(variable, "1")
    Settings()
    Settings()
    (said,) = caplog.messages
    assert variable in said
    assert f"{nearest}?" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "abc"),
        ("port", "-1"),
        ("port", "65536"),
        ("log_level", "loud"),
        ("threads", "0"),
        ("recall_target", "2"),
        ("encoder", "vgg"),
        ("auto_reindex", "perhaps"),
        ("data_dir", "/dev/null"),
        ("data_dir", "/dev/null/below"),
        ("data_dir", "a\nb"),
        ("data_dir", "a\x1bb"),
        ("data_dir", "a\udc80b"),
        ("data_dir", "a" * 300),
    ],
)
def test_what_can_not_be_used_is_named(environ: Callable[..., None], name: str, value: str) -> None:
    environ(**{name: value})
    with pytest.raises(SetupError, match=re.escape(PREFIX + name.upper())):
        Settings()


def test_a_value_that_may_be_secret_is_not_shown(tmp_path: Path) -> None:
    values = {"data_dir": tmp_path, "geocoder_key": [SECRET], "database_url": {SECRET: SECRET}}
    with pytest.raises(SetupError) as refused:
        Settings.model_validate(values)
    assert "MARKETLENS_DATABASE_URL" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_file_of_settings_that_can_not_be_read_is_named(
    environ: Callable[..., None], tmp_path: Path
) -> None:
    del environ
    (tmp_path / ".env").write_bytes(b"MARKETLENS_HOST=\xff\xfe\n")
    with pytest.raises(SetupError, match=r"\.env"):
        Settings()


NASTY = (
    "a#b?c%41&d",
    "~x",
    "каталог 商品",
    "a::b",
    "s3:",
    "http:",
    "a b+c@d:e",
    "'\"`$(x)",
    "[bold]x[y]",
    "%",
    "%%s",
    "-rf",
    ";a=1;",
    "a\\b",
    "e\u0301 \xa0\u3000",
    "👩‍🚀",
    "file:memdb?mode=memory",
    ".. ",
)

NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
    min_size=1,
    max_size=60,
).filter(lambda name: name not in {".", ".."} and len(os.fsencode(name)) <= 200)
"""What Linux may call a folder, bytes that are no UTF-8 included, as Python reads them."""


def everything_lies_beneath(folder: Path) -> None:
    """Use database, store and lock of a data folder; only it may be in its parent then."""
    made = Settings(data_dir=folder)
    made.data_dir.mkdir()
    database = Database(made.sqlalchemy_url)
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE things (id INTEGER)")
    database.close()
    assert (folder / "marketlens.db").stat().st_size
    digest = PhotoStore(made.photo_store_url).put(b"photo")
    assert [path.stem for path in (folder / "photos").rglob("*.jpg")] == [digest]
    assert list(folder.parent.iterdir()) == [folder]


def sockets_of(made: Settings) -> set[str]:
    """The socket that each library would connect to."""
    url = made.broker_url
    with Celery(broker=celery_url(url)).connection_for_read() as connection:
        # A channel connects only when it is used: its connection's settings are read before.
        transport = connection.transport
        channel = transport.Channel.__new__(transport.Channel)
        channel.connection = transport
        by_kombu = channel._connparams()["path"]
    by_redis = Redis.from_url(redis_url(url)).connection_pool.connection_kwargs["path"]
    return {by_kombu, by_redis}


@pytest.mark.parametrize("name", NASTY)
def test_everything_lies_under_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    everything_lies_beneath(tmp_path / name)


@pytest.mark.parametrize("name", NASTY)
def test_both_libraries_find_the_socket_in_a_folder_of_any_name(name: str) -> None:
    # In a short path: else the socket is elsewhere, under a name of digits.
    made = Settings(data_dir=Path("/tmp") / name)  # noqa: S108 - nothing is made there
    assert sockets_of(made) == {str(made.redis_socket)}
    assert made.redis_socket.is_relative_to(made.data_dir)


@settings(max_examples=60, deadline=None)
@given(NAMES)
def test_any_folder_is_taken_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    parent = tmp_path_factory.mktemp("any")
    try:
        made = Settings(data_dir=parent / name)
    except SetupError:
        assert any(not letter.isprintable() for letter in name)
        return
    everything_lies_beneath(parent / name)
    assert len(os.fsencode(made.redis_socket)) <= MAX_SOCKET_PATH
    near_root = Settings(data_dir=Path("/") / name)
    assert sockets_of(near_root) == {str(near_root.redis_socket)}
