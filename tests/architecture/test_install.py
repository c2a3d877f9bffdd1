"""What `make setup` installs must be what the project names."""

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.paths import REPOSITORY

PYPROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
GROUPS: dict[str, list[str | dict[str, str]]] = PYPROJECT["dependency-groups"]


@pytest.fixture(scope="module")
def install() -> ModuleType:
    return script("install")


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "scripts")
        return script("lock")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins_of(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock or the constraints: several, where Pythons differ."""
    pins: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([\w.-]+)==([^\s;]+)", (REPOSITORY / name).read_text(), re.MULTILINE
    ):
        pins.setdefault(spelled(package), set()).add(version)
    return pins


def names_in(group: str) -> set[str]:
    """The packages of a group and of those that it includes, as constraints.txt spells them."""
    found = set()
    for item in GROUPS[group]:
        if isinstance(item, dict):
            found |= names_in(item["include-group"])
        else:
            found.add(spelled(item))
    return found


def spelled(requirement: str) -> str:
    name = re.split(r"[\[<>=;, ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_is_of_every_extra_and_every_group(lock: ModuleType) -> None:
    assert lock.EVERYTHING == ("--all-extras", "--group", "dev")
    assert names_in("dev") == set().union(*map(names_in, GROUPS))


def test_torch_is_installed_in_the_versions_of_the_project(install: ModuleType) -> None:
    assert set(install.TORCH) <= set(PROJECT["dependencies"])


def test_everything_that_is_named_has_a_tested_version(install: ModuleType) -> None:
    extras = PROJECT["optional-dependencies"].values()
    wanted = {spelled(item) for items in (PROJECT["dependencies"], *extras) for item in items}
    product = {spelled(item) for item in PROJECT["dependencies"]}
    torch = {spelled(item) for item in install.TORCH}
    assert wanted | names_in("dev") <= set(pins_of("constraints.txt"))
    assert wanted | names_in("dev") <= set(pins_of("requirements-dev.lock")) | torch
    assert product <= set(pins_of("requirements.lock")) | torch


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_what_is_locked_has_hashes_and_the_tested_versions(name: str) -> None:
    pins = pins_of(name)
    assert len(pins) > 100
    tested = pins_of("constraints.txt")
    assert pins == {package: tested.get(package) for package in pins}
    text = (REPOSITORY / name).read_text()
    for pin in re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", pin), pin
    # pip would take it for a place to fetch from; the places are the machine's to say.
    assert not re.search(r"://|^\s*-(?!-hash)", text, re.MULTILINE)


def test_what_is_installed_here_is_what_is_locked() -> None:
    pins = pins_of("requirements.lock")
    installed = {spelled(package.metadata["Name"]): package.version for package in distributions()}
    found = {name: installed[name] for name in pins if name in installed}
    assert len(found) > 100
    assert {name: found[name] for name in found if found[name] not in pins[name]} == {}


def test_setup_takes_no_file_that_is_not_in_the_lock(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(install, "pip", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(install, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(install, "create_venv", lambda: None)
    monkeypatch.setattr(install, "has_torch", lambda: True)
    install.main()
    lock, project = asked
    assert {"--require-hashes", "--no-deps", str(REPOSITORY / "requirements-dev.lock")} <= set(lock)
    assert {"--no-deps", "--no-build-isolation", "--editable"} <= set(project)


def test_a_file_that_was_changed_is_not_installed(tmp_path: Path) -> None:
    """The real pip, on a wheel that is not the one of the lock."""
    wheel = tmp_path / "example-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("example.py", "")
        file.writestr("example-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: example\n")
        file.writestr("example-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr("example-1.0.dist-info/RECORD", "")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"example==1.0 --hash=sha256:{'0' * 64}\n")
    command = [
        *(sys.executable, "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-index"),
        *("--find-links", str(tmp_path), "--target", str(tmp_path / "into"), "-r", str(lock)),
    ]
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not (tmp_path / "into").exists()


def test_a_change_of_what_is_installed_is_seen(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = install.fingerprint()
    for name in ("pyproject.toml", install.LOCK):
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    monkeypatch.setattr(install, "ROOT", tmp_path)
    assert install.fingerprint() == before
    with (tmp_path / install.LOCK).open("a") as file:
        file.write("another==1\n")
    assert install.fingerprint() != before
