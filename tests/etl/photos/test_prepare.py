import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from multiprocessing import active_children
from pathlib import Path

import psutil
import pytest

from db.store.photo_store import PhotoStore
from etl.photos import prepare as images
from etl.photos.ledger import Ledger
from etl.photos.photo_files import Outcome, PhotoFile, keep_photo, stat_photo
from etl.photos.prepare import LOOKUP_BATCH, FeedPhoto, PreparedPhoto, prepare_photos
from etl.photos.process_pool import AHEAD
from models.domain.errors import Unavailable
from tests.support.feeds import listing_id, photo_id
from tests.support.pictures import jpeg

LIMIT = 100_000

# What starts with processes of photos and what they must do without.
HEAVY = {"torch", "pandas", "numpy", "sqlalchemy", "faiss", "celery"}


def feed_photo(number: int, path: Path) -> FeedPhoto:
    return FeedPhoto(number + 1, str(photo_id(number)), str(listing_id(1)), path)


def write_photos(folder: Path, count: int) -> list[FeedPhoto]:
    folder.mkdir()
    photos = [feed_photo(number, folder / f"{number:03}.jpg") for number in range(count)]
    for number, photo in enumerate(photos):
        photo.path.write_bytes(jpeg(number, (64, 48)))
    return photos


def spoil(path: Path) -> None:
    """Change the file's content so that nothing but reading it tells."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def prepare(
    photos: Sequence[FeedPhoto], store: PhotoStore | None, ledger: Ledger | None = None
) -> list[PreparedPhoto]:
    return list(prepare_photos(photos, store, ledger, max_bytes=LIMIT, processes=2))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


def test_photos_are_stored_in_the_standard_form_and_come_in_order(
    tmp_path: Path, store: PhotoStore
) -> None:
    photos = []
    for number in range(40):
        path = tmp_path / f"{number}.jpg"
        # Large and small in turn, so that later ones are done before earlier ones.
        path.write_bytes(jpeg(number, (900, 700) if number % 2 else (64, 48)))
        photos.append(feed_photo(number, path))
    prepared = prepare(photos, store)
    assert [photo.source for photo in prepared] == photos
    for photo in prepared:
        assert photo.data is not None
        assert sha256(store.get(photo.data.sha256)).hexdigest() == photo.data.sha256
    assert {(photo.data.width, photo.data.height) for photo in prepared if photo.data} == {
        (512, 398),
        (64, 48),
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just text", "not a JPEG, PNG, WebP, HEIC, AVIF, GIF or BMP"),
        (b"II*\0" + bytes(50), "not a JPEG, PNG, WebP, HEIC, AVIF, GIF or BMP"),
        (b"GIF89a" + bytes(50), "damaged"),
        (jpeg(1)[:-2000], "damaged"),
        (jpeg(1) + bytes(LIMIT), "more than 100,000 bytes"),
        (None, "no such photo file"),
    ],
)
def test_a_photo_that_cannot_be_used_gives_a_reason_and_spoils_no_other(
    tmp_path: Path, store: PhotoStore, data: bytes | None, reason: str
) -> None:
    bad, good = tmp_path / "bad.jpg", tmp_path / "good.jpg"
    if data is not None:
        bad.write_bytes(data)
    good.write_bytes(jpeg(2))
    refused, used = prepare([feed_photo(1, bad), feed_photo(2, good)], store)
    assert refused.data is None
    assert reason in refused.reason
    assert used.data is not None


def deadly(path: str, store: PhotoStore | None, max_bytes: int) -> Outcome:
    if path.endswith("003.jpg"):
        os.kill(os.getpid(), signal.SIGKILL)
    return keep_photo(path, store, max_bytes)


def test_a_photo_that_kills_its_decoder_gives_a_reason_spoils_no_other_and_gets_another_chance(
    tmp_path: Path, store: PhotoStore, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write_photos(tmp_path / "feed", 8)
    with monkeypatch.context() as patch:
        patch.setattr(images, "keep_photo", deadly)
        prepared = prepare(photos, store, ledger)
    assert [photo.source for photo in prepared if photo.data is None] == [photos[3]]
    assert "decoder" in prepared[3].reason
    assert all(photo.data for photo in prepare(photos, store, ledger))


def test_a_folder_in_the_place_of_a_photo_is_no_photo(tmp_path: Path, store: PhotoStore) -> None:
    (refused,) = prepare([feed_photo(1, tmp_path)], store)
    assert "no such photo file" in refused.reason


def test_a_file_that_cannot_be_read_is_not_held_against_it(
    tmp_path: Path, store: PhotoStore, ledger: Ledger
) -> None:
    path = tmp_path / "photo.jpg"
    path.symlink_to(path)
    (refused,) = prepare([feed_photo(1, path)], store, ledger)
    assert "can't be read" in refused.reason
    path.unlink()
    path.write_bytes(jpeg(1))
    (used,) = prepare([feed_photo(1, path)], store, ledger)
    assert used.data is not None


@pytest.mark.parametrize("folder", [".", "there/is/none"])
def test_missing_photos_start_no_process(tmp_path: Path, folder: str) -> None:
    photos = [feed_photo(number, tmp_path / folder / f"{number}.jpg") for number in range(500)]
    for prepared in prepare_photos(photos, None, None, max_bytes=LIMIT, processes=2):
        assert "no such photo file" in prepared.reason
        assert not active_children()


def test_a_file_of_too_many_bytes_starts_no_process(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(bytes(LIMIT + 1))
    photos = [feed_photo(1, path)]
    for prepared in prepare_photos(photos, None, None, max_bytes=LIMIT, processes=2):
        assert "more than 100,000 bytes" in prepared.reason
        assert not active_children()


def test_only_a_window_of_photos_is_taken_ahead(tmp_path: Path, store: PhotoStore) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(1, (64, 48)))
    taken = 0

    def photos() -> Iterator[FeedPhoto]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield feed_photo(number, path)

    prepared = prepare_photos(photos(), store, None, max_bytes=LIMIT, processes=2)
    next(prepared)
    assert active_children()
    prepared.close()
    assert not active_children()
    assert taken <= 2 * AHEAD + LOOKUP_BATCH


def test_a_store_that_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "feed", 3)
    (tmp_path / "store").write_text("a file in the way")
    with pytest.raises(Unavailable):
        prepare(photos, PhotoStore(str(tmp_path / "store")))
    assert not active_children()


def test_without_a_store_nothing_is_written(
    tmp_path: Path, store: PhotoStore, ledger: Ledger
) -> None:
    photos = write_photos(tmp_path / "feed", 3)
    files = [stat_photo(photo.path, LIMIT) for photo in photos]
    before = sorted(tmp_path.iterdir())
    tried = prepare(photos, None, ledger)
    assert sorted(tmp_path.iterdir()) == before
    assert not ledger.lookup(file for file in files if isinstance(file, PhotoFile))
    assert tried == prepare(photos, store, ledger)


def test_what_the_ledger_knows_is_not_decoded_again(
    tmp_path: Path, store: PhotoStore, ledger: Ledger
) -> None:
    photos = write_photos(tmp_path / "feed", 6)
    photos[4].path.write_bytes(b"no photo")
    first = prepare(photos, store, ledger)
    for photo in photos:
        spoil(photo.path)
    again = prepare_photos(photos, store, ledger, max_bytes=LIMIT, processes=2)
    for number, prepared in enumerate(again):
        assert not active_children()
        assert prepared == first[number]
    assert "not a JPEG" in first[4].reason


def test_a_changed_file_is_decoded_again(tmp_path: Path, store: PhotoStore, ledger: Ledger) -> None:
    photos = write_photos(tmp_path / "feed", 2)
    before = prepare(photos, store, ledger)
    photos[1].path.write_bytes(jpeg(77, (64, 48)))
    after = prepare(photos, store, ledger)
    assert after[0] == before[0]
    assert after[1].data != before[1].data


def test_a_photo_that_the_store_has_lost_is_stored_again(
    tmp_path: Path, store: PhotoStore, ledger: Ledger
) -> None:
    photos = write_photos(tmp_path / "feed", 2)
    first = prepare(photos, store, ledger)
    assert first[0].data is not None
    digest = first[0].data.sha256
    next((tmp_path / "photos").rglob(f"{digest}.jpg")).unlink()
    assert prepare(photos, store, ledger) == first
    assert store.get(digest)


def test_decoding_processes_are_light() -> None:
    names = "print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.check_output(
        [
            sys.executable,
            "-c",
            f"import sys, etl.photos.photo_files, etl.photos.process_pool; {names}",
        ],
        text=True,
    )
    assert "PIL" in loaded.split()
    assert not HEAVY & set(loaded.split())


RUN = """
import sys
from pathlib import Path
from db.store.photo_store import PhotoStore
from etl.photos.prepare import FeedPhoto, prepare_photos
from etl.photos.ledger import Ledger

folder = Path(sys.argv[1])
photos = [FeedPhoto(1, "", "", path) for path in sorted((folder / "feed").iterdir())]
store = PhotoStore(str(folder / "photos"))
with Ledger(folder / "ledger.db") as ledger:
    for photo in prepare_photos(photos, store, ledger, max_bytes=10**7, processes=2):
        # A pipe holds no more than three of these: whoever reads is never too late to stop it.
        print(f"{photo.data.sha256:<20000}", flush=True)
"""


def write_large_photos(folder: Path, count: int) -> list[Path]:
    (folder / "feed").mkdir()
    kinds = [jpeg(seed, (3000, 2000)) for seed in range(5)]
    paths = [folder / "feed" / f"{number:03}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(kinds[number % len(kinds)])
    return paths


def stop_midway(folder: Path, stop: Callable[[int], None]) -> tuple[int, list[str], str]:
    """Run, stop it after five photos; gives its exit status, the photos, and what it complained."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        digests = [running.stdout.readline().strip() for _ in range(5)]
        children = psutil.Process(running.pid).children(recursive=True)
        assert len(children) >= 2
        stop(running.pid)
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
        status = running.wait(timeout=30)
        return status, digests, running.stderr.read()


def test_a_killed_run_leaves_no_process_and_the_next_one_goes_on_from_there(tmp_path: Path) -> None:
    paths = write_large_photos(tmp_path, 60)
    status, digests, _ = stop_midway(tmp_path, lambda pid: os.kill(pid, signal.SIGKILL))
    assert status == -signal.SIGKILL
    for path in paths[:5]:
        spoil(path)
    again = subprocess.check_output([sys.executable, "-c", RUN, str(tmp_path)], text=True).split()
    assert again == digests * 12


def test_an_interrupt_ends_all_processes_without_their_complaints(tmp_path: Path) -> None:
    write_large_photos(tmp_path, 60)
    status, _, complaints = stop_midway(tmp_path, lambda pid: os.killpg(pid, signal.SIGINT))
    assert status == -signal.SIGINT
    assert complaints.count("Traceback") == 1
