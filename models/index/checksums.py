"""Verify that a generation's files are those that were built. Standard library only."""

from hashlib import sha256
from pathlib import Path

from models.domain.durable_files import sha256_of
from models.domain.errors import GenerationCorrupt
from models.index.manifest import MANIFEST_FILE, Manifest, from_json


def verify_generation(folder: Path, expected_manifest_sha256: str | None) -> Manifest:
    """The manifest of the generation in `folder`, after hashing it and every file it names.

    With None for what the manifest's hash should be, only the files' agreement with their manifest
    is verified, not where they come from. Reads every byte once. Raises GenerationCorrupt if a file
    is missing or is not what its hash says, and OSError if one can't be read.
    """
    manifest = _read_manifest(folder / MANIFEST_FILE, expected_manifest_sha256)
    for name, expected in manifest.files.items():
        _check_hash(folder / name, expected)
    return manifest


def _read_manifest(path: Path, expected_sha256: str | None) -> Manifest:
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GenerationCorrupt(f"{path} is missing.") from error
    if expected_sha256 is not None and sha256(raw).hexdigest() != expected_sha256:
        raise GenerationCorrupt(f"{path} is not the manifest that was recorded.")
    return from_json(raw)


def _check_hash(path: Path, expected: str) -> None:
    try:
        actual = sha256_of(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GenerationCorrupt(f"{path} is missing.") from error
    if actual != expected:
        raise GenerationCorrupt(f"{path} is not the file that its manifest describes.")
