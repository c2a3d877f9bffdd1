"""URLs are fetched side by side, few of a host at a time; one that hangs holds up no other."""

import threading
from collections import Counter
from queue import SimpleQueue

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.errors import InvalidInput, Unavailable
from tests.support.waiting import wait_until
from workers.fetching.host_queues import HostQueues

Results = SimpleQueue[str | Exception | None]


class Host:
    """Counts what is fetched at a time; URLs of `slow` wait until they are released."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.released = threading.Event()

    def fetch(self, url: str) -> str:
        host = url.split("/")[2]
        with self.lock:
            for name in (host, "all"):
                self.running[name] += 1
                self.most[name] = max(self.most[name], self.running[name])
        if host == "slow":
            self.released.wait(30)
        with self.lock:
            self.running -= Counter([host, "all"])
            self.fetched.append(url)
        return url


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=60))
def test_each_is_fetched_once_within_the_limits(names: list[str]) -> None:
    host, results = Host(), Results()
    queues = HostQueues(host.fetch, threads=4, of_a_host=2)
    urls = [f"http://{name}/{number}" for number, name in enumerate(names)]
    for url in urls:
        queues.submit(url, results.put)
    assert sorted(str(results.get(timeout=30)) for _ in urls) == sorted(urls)
    assert sorted(host.fetched) == sorted(urls)
    assert host.most["all"] <= 4
    assert max(host.most[name] for name in names) <= 2


def test_a_host_that_hangs_holds_up_no_other() -> None:
    host, results = Host(), Results()
    queues = HostQueues(host.fetch, threads=3, of_a_host=2)
    for number in range(50):
        queues.submit(f"http://slow/{number}", results.put)
    for number in range(10):
        queues.submit(f"http://h{number}/", results.put)
    assert {str(results.get(timeout=30))[:8] for _ in range(10)} == {"http://h"}
    assert host.most["slow"] == 2
    host.released.set()
    for _ in range(50):
        results.get(timeout=30)


def test_a_host_that_does_not_answer_is_left_alone_for_a_while() -> None:
    results = Results()
    asked: list[str] = []

    def fetch(url: str) -> str:
        asked.append(url)
        raise Unavailable("It takes too long.")

    queues = HostQueues(fetch, of_a_host=1, slow_s=0.0, pause_s=0.5)
    for number in range(20):
        queues.submit(f"http://down/{number}", results.put)
    errors = [str(results.get(timeout=30)) for _ in range(20)]
    assert asked == [f"http://down/{number}" for number in range(4)]
    assert errors[4:] == ["The photo's host down has not answered lately."] * 16

    def is_asked_again() -> bool:
        queues.submit("http://down/again", results.put)
        results.get(timeout=30)
        return asked[-1] == "http://down/again"

    wait_until(is_asked_again)


def test_what_fails_soon_or_for_good_is_no_host_that_hangs() -> None:
    for error, slow_s in ((Unavailable("Refused."), 60.0), (InvalidInput("None."), 0.0)):
        results, asked = Results(), list[str]()

        def fetch(url: str, asked: list[str] = asked, error: Exception = error) -> str:
            asked.append(url)
            raise error

        queues = HostQueues(fetch, of_a_host=1, slow_s=slow_s)
        for number in range(20):
            queues.submit(f"http://a/{number}", results.put)
        assert {results.get(timeout=30) for _ in range(20)} == {error}
        assert len(asked) == 20


def test_what_is_not_wanted_any_more_is_not_fetched() -> None:
    host, results = Host(), Results()
    queues = HostQueues(host.fetch)
    queues.submit("http://a/1", results.put, is_wanted=lambda: False)
    assert results.get(timeout=30) is None
    assert host.fetched == []


def test_nothing_begins_once_it_is_stopped() -> None:
    host, results = Host(), Results()
    queues = HostQueues(host.fetch, of_a_host=1)
    queues.submit("http://slow/1", results.put)
    queues.submit("http://slow/2", results.put)
    wait_until(lambda: host.running["slow"])
    queues.stop()
    host.released.set()
    assert results.get(timeout=30) == "http://slow/1"
    queues.submit("http://a/1", results.put)
    wait_until(lambda: not host.running.total())
    assert host.fetched == ["http://slow/1"]
    assert results.empty()
