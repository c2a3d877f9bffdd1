"""The page at `/`, in a real browser on a running machine."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

from command_line.addresses import free_port
from db.session import Database
from db.vectors.encoders import active_encoder, set_matching
from models.matching.labels import Calibration, SameItem
from ops.demo import HeldOut, search
from ops.processes import marketlens_command
from tests.support.machine import TIMEOUT_S, SeededMachine, marketlens
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

# What the browser itself notes about an answer of 4xx; the page can't help it.
STATUS_NOTE = "Failed to load resource: the server responded with a status of 4"
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Visit:
    """A page in a browser of its own, and what it asked for and complained of since it opened."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )

    def drop(self, path: Path) -> None:
        """Drag a file from the desktop over the drop zone and let go, as the browser sees it."""
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        wire = self.page.context.new_cdp_session(self.page)

        def drag(kind: str) -> None:
            box = self.page.locator("#zone").bounding_box()
            assert box is not None
            where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
            wire.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})

        def is_over() -> bool:
            # Again and again, as a hand moves: the page may still be taking its shape.
            drag("dragEnter")
            drag("dragOver")
            return self.page.locator("#zone.over").is_visible()

        # Until the page has said that it takes files, a browser refuses a drop.
        wait_until(is_over)
        drag("dragOver")
        drag("drop")
        wire.detach()

    def found(self, heading: str) -> list[str]:
        """Wait until listings are shown under this heading; their titles in order."""
        self.page.locator("#results:not([aria-busy]) h2", has_text=heading).wait_for()
        return self.page.locator("#cards h3").all_inner_texts()

    def problem(self) -> str:
        """Wait for a sentence about what went wrong."""
        problem = self.page.locator("[role=alert]:not(:empty)")
        problem.wait_for()
        return problem.inner_text()


def browser_path(chromium: BrowserType) -> str | None:
    """The system's Chromium, or the one that Playwright installed."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return chromium.executable_path if Path(chromium.executable_path).exists() else None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = browser_path(playwright.chromium)
        if path is None:
            pytest.skip("needs a Chromium: `apt install chromium` or `playwright install chromium`")
        # Chromium refuses to run as root in its sandbox.
        sandbox = os.geteuid() != 0
        launched = playwright.chromium.launch(
            executable_path=path, args=QUIET, chromium_sandbox=sandbox
        )
        yield launched
        launched.close()


@contextmanager
def visiting(browser: Browser, url: str) -> Iterator[Visit]:
    """The page, opened afresh."""
    with browser.new_context(locale="en-GB") as context:
        visit = Visit(context.new_page())
        visit.page.set_default_timeout(TIMEOUT_S * 1e3)
        visit.page.goto(url)
        yield visit


@pytest.fixture
def visit(browser: Browser, seeded: SeededMachine) -> Iterator[Visit]:
    with visiting(browser, seeded.machine.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def view(seeded: SeededMachine, views: list[HeldOut]) -> HeldOut:
    """A held-out view that finds its own listing over HTTP."""
    return next(view for view in views if search(seeded.http, view.path).top1 == view.listing_id)


@pytest.fixture(scope="module")
def title(seeded: SeededMachine, view: HeldOut) -> str:
    """The title of the listing that the view is of."""
    listing = seeded.http.get(f"/v1/listings/{view.listing_id}").raise_for_status().json()
    text: str = listing["title"]
    return text


@pytest.fixture(params=["notes.txt", "notes.jpg"])
def text_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A text file, also under a photo's name."""
    path: Path = tmp_path / request.param
    path.write_text("Not a photo.\n" * 50)
    return path


@contextmanager
def paused(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A process and its children, standing still."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


@contextmanager
def guarded_api(seeded: SeededMachine) -> Iterator[str]:
    """Another API of the same machine, on an address where it asks for keys; gives its URL."""
    port = free_port("0.0.0.0", seeded.machine.settings.port + 1)  # noqa: S104 - keys are the point
    process = subprocess.Popen(
        marketlens_command("api", "--host", "0.0.0.0", "--port", str(port)),  # noqa: S104 - same
        env=seeded.machine.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_alive(process, url)
        yield url
    finally:
        process.terminate()
        process.wait()


def wait_until_alive(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(f"{url}/healthz").raise_for_status()
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} did not come up")


def assert_sentence(text: str) -> None:
    assert text[0].isupper()
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text
    assert len(text) < 120


def test_a_dropped_photo_finds_its_listing_first(visit: Visit, view: HeldOut, title: str) -> None:
    visit.drop(view.path)
    titles = visit.found("look like it")
    assert titles[0] == title
    assert len(titles) == 12
    assert visit.page.locator("#stage").inner_text() == "12 listings found."
    assert "% similar" in visit.page.locator("#cards .similarity").first.inner_text()
    assert "encoder hog-" in visit.page.locator("#provenance").inner_text()
    visit.page.locator("#preview").wait_for()
    # Rejects, and so fails here, if the photo can't be had or is none.
    visit.page.locator("#cards img").first.evaluate("image => image.decode()")


@contextmanager
def labelled(seeded: SeededMachine, calibration: Calibration) -> Iterator[None]:
    """The active encoder has these match labels, for as long as the block lasts."""
    database = Database(seeded.machine.settings.sqlalchemy_url)
    with database.write() as session:
        active = active_encoder(session)
        assert active
        set_matching(session, active.id, calibration.to_json())
    yield
    with database.write() as session:
        set_matching(session, active.id, {})
    database.close()


def test_results_say_how_sure_they_are(
    visit: Visit, seeded: SeededMachine, view: HeldOut, title: str
) -> None:
    same = Calibration(
        photos=1,
        listings=1,
        same_item=SameItem(similarity=-1, ratio=0.99),
        same_item_alone=-1,
        very_similar=None,
        very_similar_alone=None,
        related=-1,
        stranger=-1,
    )
    with labelled(seeded, same):
        visit.drop(view.path)
        assert visit.found("look like it")[0] == title
        assert visit.page.locator("#cards .match").first.inner_text() == "Same item"
    nothing = same.model_copy(update={"stranger": 2.0})
    with labelled(seeded, nothing):
        visit.drop(view.path)
        assert visit.found("Nothing in the catalogue looks like this")[0] == title
        assert visit.page.locator("#cards .match").first.inner_text() == "Not alike"
        assert visit.page.locator("#results.unlike").count() == 1
    visit.drop(view.path)
    visit.found("look like it")
    assert visit.page.locator("#cards .match").first.is_hidden()
    assert visit.page.locator("#results.unlike").count() == 0


def test_a_chosen_photo_finds_its_listing_first(visit: Visit, view: HeldOut, title: str) -> None:
    visit.page.set_input_files("#file", view.path)
    assert visit.found("look like it")[0] == title


def search_words(visit: Visit, words: str) -> None:
    visit.page.get_by_label("Words to search for").fill(words)
    visit.page.locator("#words-form button[type=submit]").click()


def test_words_alone_find_listings_that_have_them(visit: Visit, title: str) -> None:
    search_words(visit, title)
    assert title in visit.found(f"Listings for “{title}”")
    assert "words alone" in visit.page.locator("#provenance").inner_text()
    assert not visit.page.locator("#cards .similarity").first.is_visible()
    search_words(visit, "zzzzzzzzzz")
    assert visit.found("zzzzzzzzzz") == []
    assert visit.page.locator("#stage").inner_text() == "No listing was found."


def test_words_count_beside_a_photo_and_results_say_why(
    visit: Visit, view: HeldOut, title: str
) -> None:
    visit.page.set_input_files("#file", view.path)
    assert visit.found("look like it")[0] == title
    assert not visit.page.locator("#cards .reasons").first.is_visible()
    search_words(visit, title)
    assert visit.found("look like it, for")[0] == title
    reasons = visit.page.locator("#cards .reasons").first
    reasons.locator("summary").click()
    assert {"similarity", "text"} <= set(reasons.locator("dt").all_inner_texts())
    visit.page.get_by_role("button", name="Without the photo").click()
    assert title in visit.found("Listings for")
    assert not visit.page.locator("#preview").is_visible()


def test_a_text_file_gets_a_sentence(visit: Visit, text_file: Path) -> None:
    visit.drop(text_file)
    problem = visit.problem()
    assert_sentence(problem)
    assert "JPEG, PNG, WebP, HEIC, AVIF, GIF or BMP" in problem
    assert visit.page.locator("#results").is_hidden()
    assert [text for text in visit.complaints if not text.startswith(STATUS_NOTE)] == []


def test_after_a_text_file_a_photo_is_searched(
    visit: Visit, text_file: Path, view: HeldOut, title: str
) -> None:
    visit.drop(text_file)
    visit.problem()
    visit.drop(view.path)
    assert visit.found("look like it")[0] == title
    assert visit.page.locator("[role=alert]").inner_text() == ""


def test_more_like_this_shows_others(
    visit: Visit, seeded: SeededMachine, view: HeldOut, title: str
) -> None:
    listing = seeded.http.get(f"/v1/listings/{view.listing_id}").raise_for_status().json()
    own_photos = {photo["url"] for photo in listing["photos"]}
    visit.drop(view.path)
    visit.found("look like it")
    photos = visit.page.locator("#cards img")
    shown = "images => images.map(image => image.getAttribute('src'))"
    assert own_photos & set(photos.evaluate_all(shown))

    visit.page.get_by_role("button", name=f"More like this: {title}").first.click()
    assert len(visit.found(f"like “{title}”")) == 12
    assert not own_photos & set(photos.evaluate_all(shown))
    assert visit.page.locator("#found").evaluate("heading => heading === document.activeElement")


def test_a_search_that_waits_can_be_cancelled(
    visit: Visit, seeded: SeededMachine, view: HeldOut
) -> None:
    with paused(seeded.machine.supervisor.process_of("search")):
        with visit.page.expect_response("**/v1/searches") as answer:
            visit.drop(view.path)
        visit.page.get_by_text("Waiting in the queue").wait_for()
        with visit.page.expect_response(lambda response: response.request.method == "DELETE"):
            visit.page.get_by_role("button", name="Cancel").click()
        visit.page.get_by_text("Cancelled.").wait_for()
        job = seeded.http.get(answer.value.headers["location"]).json()
    assert job["status"] == "cancelled"
    assert visit.page.locator("#results").is_hidden()


def test_a_server_that_is_gone_gets_a_sentence(visit: Visit, view: HeldOut) -> None:
    visit.page.context.set_offline(True)
    visit.drop(view.path)
    assert_sentence(visit.problem())


def test_a_key_is_asked_for_where_one_is_needed(
    browser: Browser, seeded: SeededMachine, view: HeldOut, title: str
) -> None:
    made = marketlens(seeded.machine.environment, "keys", "create", "browser", "--scope", "search")
    assert made.returncode == 0, made.stderr
    with guarded_api(seeded) as url, visiting(browser, url) as visit:
        visit.drop(view.path)
        assert visit.problem() == "Searching here needs an API key."
        visit.page.get_by_label("API key").fill(made.stdout.strip())
        visit.page.keyboard.press("Enter")
        assert visit.found("look like it")[0] == title


def test_the_page_says_that_the_encoder_is_the_baseline(visit: Visit) -> None:
    visit.page.get_by_text("MARKETLENS_WEIGHTS").wait_for()
    assert visit.page.locator("#not-ready").is_hidden()


def test_the_page_needs_no_other_host_and_complains_of_nothing(
    visit: Visit, seeded: SeededMachine, view: HeldOut
) -> None:
    visit.drop(view.path)
    visit.found("look like it")
    visit.page.locator("#cards button").first.click()
    visit.found("Listings like")
    visit.page.locator("#cards img").first.evaluate("image => image.decode()")
    hosts = {urlsplit(url.removeprefix("blob:")).netloc for url in visit.requests}
    assert hosts == {urlsplit(seeded.machine.url).netloc}
    assert visit.complaints == []


def test_the_api_reference_needs_no_other_host(browser: Browser, seeded: SeededMachine) -> None:
    with visiting(browser, f"{seeded.machine.url}/docs") as visit:
        visit.page.get_by_text("/v1/listings:batch").first.wait_for()
        hosts = {urlsplit(url).netloc for url in visit.requests if not url.startswith("data:")}
    assert hosts == {urlsplit(seeded.machine.url).netloc}
