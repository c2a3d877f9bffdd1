"""The page at `/`, in a real browser on a running machine."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import (
    Browser,
    BrowserType,
    Locator,
    Page,
    Response,
    Route,
    sync_playwright,
)

from db.session import Database
from db.vectors.encoders import active_encoder, set_matching
from models.matching.labels import Calibration, SameItem
from ops.demo import HeldOut, search
from ops.processes import marketlens_command
from tests.support.http import listing_form
from tests.support.machine import TIMEOUT_S, SeededMachine, marketlens
from tests.support.pictures import jpeg
from tests.support.ports import free_port
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
    process, port = start_guarded_api(seeded)
    # Until it listens, another server may take the port, and would answer instead.
    while process.poll() is not None:
        process, port = start_guarded_api(seeded)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def start_guarded_api(seeded: SeededMachine) -> tuple[subprocess.Popen[bytes], int]:
    """An API that listens by itself, or has ended because its port is taken."""
    port = free_port()
    process = subprocess.Popen(
        marketlens_command("api", "--host", "0.0.0.0", "--port", str(port)),  # noqa: S104 - keys are the point
        env=seeded.machine.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: process.poll() is not None or port in listening_ports(process))
    return process, port


def listening_ports(process: subprocess.Popen[bytes]) -> set[int]:
    """The ports that a process listens on, or its children do."""
    try:
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
        connections = [one for member in family for one in member.net_connections("tcp")]
    except psutil.NoSuchProcess:
        return set()
    return {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}


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


def choices(visit: Visit, facet: str) -> Locator:
    """The buttons of a facet."""
    section = visit.page.locator("#facets section").filter(
        has=visit.page.get_by_role("heading", name=facet, exact=True)
    )
    return section.get_by_role("button")


def press(visit: Visit, choice: Locator) -> tuple[str, int]:
    """Press a choice and wait for what is found then; gives its label and how many it had."""
    label, _, count = choice.inner_text().rpartition(" ")
    with visit.page.expect_response("**/v1/searches"):
        choice.click()
    visit.found("look like it")
    return label, int(count)


def test_what_is_found_is_narrowed_by_facets(visit: Visit, view: HeldOut) -> None:
    visit.drop(view.path)
    everything = visit.found("look like it")
    deepest = choices(visit, "category").filter(has_text="/").last
    label, count = press(visit, deepest)
    shown = visit.page.locator("#cards .category").all_inner_texts()
    assert len(shown) == min(count, 12)
    assert all(path.startswith(label) for path in shown)
    pressed = visit.page.locator("#facets button[aria-pressed=true]")
    assert pressed.all_inner_texts() == [f"{label} {count}"]

    _, of_price = press(visit, choices(visit, "price").last)
    assert len(visit.page.locator("#cards li").all()) == min(of_price, 12)
    assert of_price <= count
    assert pressed.count() == 2

    press(visit, pressed.last)
    press(visit, pressed.first)
    assert visit.found("look like it") == everything
    assert pressed.count() == 0
    assert visit.complaints == []


def test_attributes_are_counted_once_a_result_has_shown_them(
    visit: Visit, seeded: SeededMachine
) -> None:
    made: list[str] = []
    for colour, height in (("Zaffre", 10), ("Zaffre", 12), ("Ochre", 30)):
        listing = {"title": "Zzqx vase", "attributes": {"colour": colour, "height": height}}
        form = listing_form(listing, jpeg(900 + len(made)))
        accepted = seeded.http.post("/v1/listings", **form).raise_for_status().json()
        made.append(accepted["listing_id"])
    try:
        search_words(visit, "zzqx")
        assert len(visit.found("zzqx")) == 3
        choices(visit, "colour").first.wait_for()
        assert choices(visit, "colour").all_inner_texts() == ["Zaffre 2", "Ochre 1"]
        lowest = choices(visit, "height").first
        count = int(lowest.inner_text().rpartition(" ")[2])
        for choice, left in ((lowest, count), (choices(visit, "colour").first, count)):
            with visit.page.expect_response("**/v1/searches"):
                choice.click()
            assert len(visit.found("zzqx")) == left
        shown = visit.page.locator("#cards .attributes").all_inner_texts()
        assert ["Zaffre" in text for text in shown] == [True] * count
    finally:
        for listing_id in made:
            seeded.http.delete(f"/v1/listings/{listing_id}").raise_for_status()


def test_what_is_for_you(visit: Visit, seeded: SeededMachine) -> None:
    user = "a visitor of the page"

    def show(expected: int | None = None) -> list[str]:
        visit.page.locator("#you").fill(user)
        with visit.page.expect_response("**/v1/recommendations"):
            visit.page.get_by_role("button", name="For you").click()
        titles = visit.found(f"For {user}")
        assert expected is None or len(titles) == expected
        return titles

    try:
        first = show(12)[0]
        assert visit.page.locator(".because:visible").count() == 0
        card = visit.page.locator("#cards li").first
        with visit.page.expect_response("**/v1/events"):
            card.get_by_role("button", name="Save").click()
        card.get_by_role("button", name="Save").get_by_text("Saved").wait_for()
        show(12)
        assert f"Because you saved “{first}”" in visit.page.locator(".because").all_inner_texts()
        card = visit.page.locator("#cards li").first
        listed = card.locator("img").get_attribute("src")
        with visit.page.expect_response("**/v1/events"):
            card.get_by_role("button", name="Not for me").click()
        wait_until(lambda: visit.page.locator("#cards li").count() == 11)
        show(12)
        assert visit.page.locator(f"#cards img[src='{listed}']").count() == 0
        assert visit.complaints == []
    finally:
        seeded.http.delete(f"/v1/users/{user}").raise_for_status()


def test_a_choice_that_nothing_has_any_more_can_be_taken_back(visit: Visit, title: str) -> None:
    search_words(visit, title)
    visit.found(title)
    first = choices(visit, "category").first
    with visit.page.expect_response("**/v1/searches"):
        first.click()
    visit.found(title)
    search_words(visit, "zzzzzzzzzz")
    assert visit.found("zzzzzzzzzz") == []
    with visit.page.expect_response("**/v1/searches"):
        visit.page.locator("#facets button[aria-pressed=true]").click()
    assert visit.found("zzzzzzzzzz") == []
    assert visit.page.locator("#facets").is_hidden()


def is_of_photo(response: Response) -> bool:
    """Whether it answers a search by a photo: attributes may be counted at the same time."""
    return "multipart/form-data" in response.request.headers.get("content-type", "")


def test_only_the_subject_is_looked_at_where_that_is_asked_for(
    visit: Visit, seeded: SeededMachine, view: HeldOut
) -> None:
    def with_region(route: Route) -> None:
        """The answer of a machine whose encoder can tell where the subject is."""
        answer = route.fetch()
        region = '"region":{"x":0.25,"y":0.5,"w":0.5,"h":0.25}'
        route.fulfill(response=answer, body=answer.text().replace('"region":null', region))

    switch = visit.page.get_by_label("Look at the subject only")
    assert switch.is_hidden()
    visit.drop(view.path)
    visit.found("look like it")
    assert visit.page.locator("#region").is_hidden()
    visit.page.route("**/events", with_region)
    with visit.page.expect_response(is_of_photo) as answer:
        switch.check()
    visit.page.locator("#region").wait_for()
    job = seeded.http.get(answer.value.headers["location"]).json()
    assert "subject" in job["result"]["took_ms"]
    frame = visit.page.locator("#region").bounding_box()
    photo = visit.page.locator("#preview").bounding_box()
    assert frame
    assert photo
    assert (frame["x"] - photo["x"]) / photo["width"] == pytest.approx(0.25, abs=0.02)
    assert (frame["y"] - photo["y"]) / photo["height"] == pytest.approx(0.5, abs=0.02)
    assert frame["width"] / photo["width"] == pytest.approx(0.5, abs=0.02)
    visit.page.unroute("**/events")
    with visit.page.expect_response(is_of_photo) as answer:
        switch.uncheck()
    visit.found("look like it")
    job = seeded.http.get(answer.value.headers["location"]).json()
    assert "subject" not in job["result"]["took_ms"]
    assert visit.page.locator("#region").is_hidden()


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
