"""A snapshot of which anything is missing, truncated or altered is refused, and changes nothing."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput, NotFound
from ops.backup.destination import Destination
from ops.backup.manifest import DATABASE, PHOTO_LIST, Manifest
from tests.support.commands import invoke
from tests.support.deployments import Place, backed_up, files_in, restored

Damage = Callable[[Path], None]


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[random.Random(7).randrange(len(data))] ^= 1
    path.write_bytes(data)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def every_file(destination: Path, manifest: Manifest) -> dict[str, Path]:
    """One file of each kind that a snapshot consists of."""
    by_place = {file.path: destination / "files" / file.sha256 for file in manifest.files}
    folder = destination / "snapshots" / manifest.id

    def stored(end: str) -> Path:
        return next(path for place, path in by_place.items() if place.endswith(end))

    return {
        "manifest": folder / "manifest.json",
        "checksum": folder / "manifest.sha256",
        "database": by_place[DATABASE],
        "photo list": by_place[PHOTO_LIST],
        "photo": next((destination / "photos").rglob("*.jpg")),
        "head": next(
            path for place, path in by_place.items() if place.endswith("head.safetensors")
        ),
        "index": stored("index.faiss"),
        "columns": stored("listings.safetensors"),
    }


@pytest.mark.parametrize("damage", [remove, truncate, empty, alter, lengthen])
def test_damage_is_refused_in_words_and_changes_nothing(
    sqlite_source: Place, target: Place, destination: Path, damage: Damage
) -> None:
    manifest = backed_up(sqlite_source.deployment, destination)
    target.folder.mkdir()
    (target.folder / "mine").write_text("as it was")
    before = files_in(target.folder)
    for kind, path in every_file(destination, manifest).items():
        whole = path.read_bytes()
        damage(path)
        with pytest.raises((InvalidInput, NotFound)) as refused:
            restored(target, destination, snapshot=manifest.id)
        assert files_in(target.folder) == before, kind
        sentence = str(refused.value)
        assert sentence.endswith("."), sentence
        assert any(
            word in sentence for word in ("missing", "damaged", "trunc", "not what", "no sn")
        )
        path.write_bytes(whole)
    restored(target, destination, snapshot=manifest.id)


def test_verify_names_what_is_damaged(sqlite_source: Place, destination: Path) -> None:
    manifest = backed_up(sqlite_source.deployment, destination)
    assert invoke("backup", "verify", destination).exit_code == 0
    files = every_file(destination, manifest)
    truncate(files["index"])
    alter(files["photo"])
    result = invoke("backup", "verify", destination, "--json")
    assert result.exit_code == 1
    assert "generations/1/index.faiss is truncated" in result.stdout
    assert files["photo"].stem in result.stdout
    remove(files["manifest"])
    result = invoke("backup", "verify", destination)
    assert "manifest" in result.stdout
    assert result.exit_code == 1
    assert manifest.id in invoke("backup", "list", destination).stdout


def test_a_path_out_of_the_snapshot_is_refused(
    sqlite_source: Place, target: Place, destination: Path
) -> None:
    """Whoever can write to the destination must not write anywhere else."""
    manifest = backed_up(sqlite_source.deployment, destination)
    for place in ("../../outside", "/etc/outside", "models/../../outside"):
        moved = manifest.files[0].model_copy(update={"path": place})
        Destination(str(destination)).complete(
            manifest.model_copy(update={"files": (*manifest.files, moved)})
        )
        with pytest.raises(InvalidInput):
            restored(target, destination)
