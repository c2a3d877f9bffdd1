"""A broker is refused for what it lacks, before anything depends on it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from models.domain.errors import Misconfigured, SetupError, Unavailable, sentence_of
from ops.redis_server import find_redis_server, redis_command, wait_for_redis
from tests.support.redis import broker_at
from workers.queue.broker import celery_url, redis_url
from workers.queue.broker_check import check_broker

SECRET = "pa55word"  # noqa: S105 - of nothing

StartRedis = Callable[..., str]


@contextmanager
def redis_with(*options: str) -> Iterator[str]:
    with TemporaryDirectory(prefix="ml-") as folder:
        path = Path(folder) / "redis.sock"
        command = [*redis_command(find_redis_server(), path), *options]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                wait_for_redis(process, path)
                yield f"unix://{path}"
            finally:
                process.terminate()


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    """Starts a real Redis with these options; gives its URL."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(redis_with(*options))


def test_one_that_will_do_is_left_as_it_was(redis_url: str) -> None:
    check_broker(broker_at(redis_url))
    with Redis(unix_socket_path=redis_url.partition("://")[2]) as redis:
        left = [key for key in redis.keys("test:check*") if redis.ttl(key) < 0]
    assert left == []


@pytest.mark.parametrize("lacking", ["BRPOP", "ZREVRANGEBYSCORE", "EVAL", "PUBLISH", "MULTI"])
def test_a_command_that_it_lacks_is_named(start_redis: StartRedis, lacking: str) -> None:
    url = start_redis("--rename-command", lacking, "")
    with pytest.raises(Misconfigured, match=f"(?i){lacking}"):
        check_broker(broker_at(url))


def test_one_without_memory_may_have_some_later(start_redis: StartRedis) -> None:
    with pytest.raises(Unavailable) as failed:
        check_broker(broker_at(start_redis("--maxmemory", "1")))
    assert not isinstance(failed.value, Misconfigured)


@pytest.mark.parametrize("option", ["nonsense=1", "socket_timeout=soon"])
def test_an_option_that_nobody_knows_is_refused(redis_url: str, option: str) -> None:
    with pytest.raises(Misconfigured, match="MARKETLENS_REDIS_URL") as refused:
        check_broker(broker_at(f"{redis_url}?{option}"))
    assert "\n" not in sentence_of(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        f"amqp://me:{SECRET}@host",
        f"memory://{SECRET}",
        f"redis://:{SECRET}/x@host/0",
        f"redis://:{SECRET}@host:port/0",
        f"redis://:{SECRET}@host/first",
        f"unix://:{SECRET}@",
        f"{SECRET}",
        "",
    ],
)
def test_other_urls_are_refused_without_being_shown(url: str) -> None:
    for parse in (celery_url, redis_url):
        with pytest.raises(SetupError, match="MARKETLENS_REDIS_URL") as refused:
            parse(url)
        assert SECRET not in str(refused.value)


@given(st.text(), st.sampled_from(["redis://", "unix://", "redis+socket://", "rediss://", ""]))
def test_any_text_is_a_url_or_refused(text: str, scheme: str) -> None:
    try:
        parsed = celery_url(scheme + text), redis_url(scheme + text)
    except SetupError as refused:
        assert sentence_of(refused) == str(refused)  # noqa: PT017 - it may also be taken
    else:
        assert parsed[0].startswith(("redis://", "rediss://", "redis+socket://"))
        assert parsed[1].startswith(("redis://", "rediss://", "unix://"))


def test_the_number_of_a_database_is_spelt_as_each_library_has_it() -> None:
    for given_url in ("unix:///a.sock?db=3", "redis+socket:///a.sock?virtual_host=3"):
        assert celery_url(given_url) == "redis+socket:///a.sock?virtual_host=3"
        assert redis_url(given_url) == "unix:///a.sock?db=3"
