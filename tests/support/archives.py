"""Archives for tests, with the names they are told."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def pack_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def pack_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    """A tar, compressed if the path's name says so."""
    with _opened(path) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _opened(path: Path) -> tarfile.TarFile:
    name = path.name.lower()
    if name.endswith("gz"):
        return tarfile.open(path, "w:gz")
    if name.endswith("bz2"):
        return tarfile.open(path, "w:bz2")
    if name.endswith("xz"):
        return tarfile.open(path, "w:xz", preset=0)
    return tarfile.open(path, "w")
