"""What a release contains, and when one is refused: on a repository of its own."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

PACKAGES = sorted(path.parent.name for path in REPOSITORY.glob("*/__init__.py"))
MODULES = ["marketlens.py", "progress.py", "settings.py"]
COPIED = re.findall(r"^COPY (?!--)(.+) \S+$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
VERSIONED = ["pyproject.toml", "docker-compose.yml", "CHANGELOG.md"]
NO_CACHES = shutil.ignore_patterns("__pycache__")
NEXT = "999.0.0"
DISTRIBUTION = "marketlens_search"
"""As names of files have it."""


def git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def repository_at(folder: Path, *names: str) -> Path:
    """A repository of the release's files and of `names`, with everything committed on main."""
    for name in {"scripts/release.py", *VERSIONED, *names}:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, target, ignore=NO_CACHES)
        else:
            shutil.copy(REPOSITORY / name, target)
    (folder / ".gitignore").write_text((REPOSITORY / ".gitignore").read_text())
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for key, value in (("user.name", "Test"), ("user.email", "test@localhost")):
        git(folder, "config", key, value)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Everything")
    return folder


def release(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "scripts/release.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def version_of(repository: Path) -> str:
    version: str = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["version"]
    return version


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What a release changes, without the packages."""
    return repository_at(tmp_path)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository of what the image is built from, after a release, and what that printed."""
    folder = tmp_path_factory.mktemp("released")
    repository = repository_at(folder, *(name for line in COPIED for name in line.split()))
    done = release(repository, NEXT)
    assert done.returncode == 0, done.stdout + done.stderr
    return repository, done.stdout


def test_a_release_is_committed_and_tagged(released: tuple[Path, str]) -> None:
    repository, _ = released
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "tag", "--points-at", "main").split() == [f"v{NEXT}"]
    assert git(repository, "cat-file", "-t", f"v{NEXT}").strip() == "tag"
    changed = git(repository, "diff", "--name-only", "main~1", "main").split()
    assert sorted(changed) == sorted(VERSIONED)


def test_a_release_sets_the_version(released: tuple[Path, str]) -> None:
    repository, said = released
    assert version_of(repository) == NEXT
    assert f"image: marketlens:{NEXT}\n" in (repository / "docker-compose.yml").read_text()
    assert f"docker build -t marketlens:{NEXT} -t marketlens:999.0 " in said
    assert f"git push origin main v{NEXT}" in said


def test_a_release_dates_the_changelog(released: tuple[Path, str]) -> None:
    repository, _ = released
    before = (REPOSITORY / "CHANGELOG.md").read_text()
    after = (repository / "CHANGELOG.md").read_text()
    heading = re.search(rf"^## Unreleased\n\n## {NEXT} - (\S+)\n", after, re.MULTILINE)
    assert heading
    assert abs(datetime.now(UTC).date() - datetime.fromisoformat(heading[1]).date()).days <= 1
    assert after.replace(f"\n## {NEXT} - {heading[1]}\n", "") == before


def test_a_wheel_of_what_the_image_copies_has_every_file_of_every_package(
    released: tuple[Path, str],
) -> None:
    repository, _ = released
    (wheel,) = repository.glob(f"dist/{DISTRIBUTION}-{NEXT}-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path for name in PACKAGES for path in (REPOSITORY / name).rglob("*") if path.is_file()]
    ours = {str(path.relative_to(REPOSITORY)) for path in files if "__pycache__" not in path.parts}
    assert packed == ours | set(MODULES)
    assert {f"{name}/py.typed" for name in PACKAGES} <= packed


def test_an_sdist_has_what_the_wheel_is_built_from(released: tuple[Path, str]) -> None:
    repository, _ = released
    with tarfile.open(repository / f"dist/{DISTRIBUTION}-{NEXT}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "api/web/index.html", *MODULES} <= names


def test_a_dry_run_changes_nothing(repository: Path) -> None:
    done = release(repository, NEXT, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert git(repository, "status", "--porcelain", "--ignored") == ""
    assert git(repository, "tag") == ""


def test_the_version_in_the_project_can_be_released_once(repository: Path) -> None:
    version = version_of(repository)
    assert release(repository, version, "--dry-run").returncode == 0
    git(repository, "tag", f"v{version}")
    again = release(repository, version, "--dry-run")
    assert again.returncode == 1
    assert f"not greater than the last release, {version}" in again.stderr


@pytest.mark.parametrize("version", ["998.9.9", "999.0.0"])
def test_a_version_must_be_greater_than_the_last_one(repository: Path, version: str) -> None:
    git(repository, "tag", "v999.0.0")
    git(repository, "tag", "v99.1.0")
    refused = release(repository, version)
    assert refused.returncode == 1
    assert "not greater than the last release, 999.0.0" in refused.stderr


def test_a_version_is_not_below_the_project_s(repository: Path) -> None:
    refused = release(repository, "0.0.1")
    assert refused.returncode == 1
    assert "less than the version in pyproject.toml" in refused.stderr


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3rc1", ""])
def test_a_version_is_three_numbers(repository: Path, version: str) -> None:
    assert release(repository, version).returncode == 2


@pytest.mark.parametrize("name", ["pyproject.toml", "new.txt"])
def test_an_uncommitted_change_is_refused(repository: Path, name: str) -> None:
    with (repository / name).open("a") as file:
        file.write("\n")
    refused = release(repository, NEXT)
    assert refused.returncode == 1
    assert name in refused.stderr
    assert version_of(repository) != NEXT


def test_another_branch_is_refused(repository: Path) -> None:
    git(repository, "switch", "--quiet", "--create", "feature")
    refused = release(repository, NEXT)
    assert refused.returncode == 1
    assert "this is feature" in refused.stderr


def test_an_empty_changelog_is_refused(repository: Path) -> None:
    (repository / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2030\n\nA\n"
    )
    git(repository, "commit", "--all", "--quiet", "--message", "Nothing to tell")
    refused = release(repository, NEXT)
    assert refused.returncode == 1
    assert "nothing under `## Unreleased`" in refused.stderr


def test_a_failed_build_leaves_no_trace(repository: Path) -> None:
    with (repository / "pyproject.toml").open("a") as file:
        file.write("[")
    git(repository, "commit", "--all", "--quiet", "--message", "No TOML any more")
    failed = release(repository, NEXT)
    assert failed.returncode == 1
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "tag") == ""
