"""Reads every byte of a snapshot and compares it with what was written."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from models.domain.errors import InvalidInput
from ops.backup.destination import Destination
from ops.backup.manifest import PHOTO_LIST, Manifest
from ops.backup.photos import THREADS, damaged_photos, digests_in, some_of

Show = Callable[[str, int, int, bool], None]


@contextmanager
def photo_list(destination: Destination, manifest: Manifest) -> Generator[Path]:
    """The snapshot's list of photos, as a temporary file. Raises InvalidInput if it is damaged."""
    with NamedTemporaryFile(prefix="marketlens-photos-") as file:
        file.writelines(destination.parts(manifest.file(PHOTO_LIST)))
        file.flush()
        yield Path(file.name)


def problems_of(destination: Destination, manifest: Manifest, show: Show) -> list[str]:
    """What is wrong with a snapshot, in sentences; nothing if it can be restored.

    Raises Unavailable.
    """
    problems = []
    for done, file in enumerate(manifest.files, 1):
        if (problem := destination.problem_with(file)) is not None:
            problems.append(problem)
        show("files", done, len(manifest.files), False)
    damaged: list[str] = []
    done = 0
    try:
        with (
            photo_list(destination, manifest) as listed,
            ThreadPoolExecutor(THREADS, "photos") as pool,
        ):
            for _, digests in digests_in(listed):
                damaged += damaged_photos(pool, destination.photos, digests)
                done += len(digests)
                show("photos", done, manifest.photos, False)
    except InvalidInput as error:
        if str(error) not in problems:
            problems.append(str(error))
    else:
        if done != manifest.photos:
            problems.append(f"It lists {done:,} photos, and should {manifest.photos:,}.")
    if damaged:
        problems.append(f"{len(damaged):,} photos are missing or damaged: {some_of(damaged)}.")
    return problems


def require_sound(destination: Destination, manifest: Manifest, show: Show) -> None:
    """Raise InvalidInput unless every byte is what was written."""
    if problems := problems_of(destination, manifest, show):
        raise InvalidInput(
            f"The snapshot {manifest.id} can't be restored; nothing was changed."
            f" {' '.join(problems)}"
        )
