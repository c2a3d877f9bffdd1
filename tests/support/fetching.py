"""Feeds to fetch, and what came of it."""

import random
import subprocess
from collections.abc import Mapping
from pathlib import Path

from etl.fetch.transfer import Fetched, fetch


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files by their names."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def noise(count: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(count)


def feed_of(photos: int, photo_bytes: int = 2_000) -> dict[str, bytes]:
    """The files of a feed, whose photos are noise."""
    files = {"Products.csv": b"id,product_name\n1,lamp\n", "Images.csv": b"id,product_id\n"}
    return files | {f"images/{n:04}.jpg": noise(photo_bytes, n) for n in range(photos)}


def files_in(folder: Path) -> dict[str, bytes]:
    """What stands in a folder, but for the fetch's own files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {".fetch.jsonl", "SHA256SUMS"}
    }


def copy(url: str | Path, folder: Path) -> Fetched:
    """Fetch, watched by nobody."""
    return fetch(str(url), folder, dry_run=False, on_progress=lambda _done, _total: None)


def sums_hold(folder: Path) -> bool:
    """Whether sha256sum, the program, agrees with the folder's SHA256SUMS."""
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0
